//! The event hub over real sockets: what it does, and what it survives.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod cancelling;
mod connecting;
mod delivery;
mod disconnecting;
mod handlers;
mod misbehaving;
#[allow(dead_code, reason = "a part of it is used")]
mod relay;
mod server;
mod subscribing;
#[path = "../support/mod.rs"]
mod support;
#[cfg(target_os = "linux")]
mod threads;

use std::time::{Duration, Instant};

use ftrack_api::EventHub;
use ftrack_api::hub::{HubConfig, HubState, SubscribeOptions};

use server::Server;
use support::secret;

/// Long enough for what should come on a busy machine, short enough to wait for what should not.
pub(crate) const SHORT: Duration = Duration::from_millis(600);
/// For what must happen in the end: a test that waits this long has a fault, not just a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(120);

pub(crate) const KEY: &str = "hub-key-to-keep";

pub(crate) fn config(server: &Server) -> HubConfig {
    config_for(&server.url())
}

pub(crate) fn config_for(url: &str) -> HubConfig {
    HubConfig::new(url, "ada", secret(KEY))
}

pub(crate) fn hub(server: &Server) -> EventHub {
    let hub = EventHub::new(config(server));
    hub.connect().unwrap();
    hub
}

/// Subscribes so that nothing published afterwards is missed.
pub(crate) fn listen(hub: &EventHub, expression: &str) {
    let options = SubscribeOptions::new().acknowledged(LONG);
    hub.subscribe_with(expression, options, |_| Ok(None))
        .unwrap();
}

/// Runs handlers until `condition` holds, and a little longer for what should not come.
#[track_caller]
pub(crate) fn handle_until(hub: &EventHub, condition: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < end, "the events never came");
        hub.wait(Duration::from_millis(10)).unwrap();
    }
    hub.wait(Duration::from_millis(100)).unwrap();
}

/// `disconnect` and `close` are prompt in every state: where they have to give the thread up, the
/// log says so.
#[track_caller]
pub(crate) fn disconnects_promptly(hub: &EventHub) {
    support::trace::listen();
    hub.disconnect();
    assert_eq!(support::trace::logged_here("left to itself"), []);
    assert_eq!(hub.state(), HubState::Disconnected);
}
