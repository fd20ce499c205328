//! The session's event hub.

use serde_json::Value;

use crate::config::Config;
use crate::error::Result;
use crate::event::{Event, IntoFilter};
use crate::handle::Session;
use crate::hub::{EventHub, HubConfig, SubscribeOptions, SubscriberId};
use crate::transport::Dialer;

impl Session {
    /// The event hub of this session. It is not connected until
    /// [`connect`](EventHub::connect) is called, unless the builder
    /// [connects it](crate::SessionBuilder::auto_connect_event_hub); local events need no
    /// connection. Closing the session closes it.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use std::time::Duration;
    /// use ftrack_api::Event;
    ///
    /// let hub = session.event_hub();
    /// hub.connect()?;
    /// hub.subscribe("topic=studio.greeting", |event| Ok(Some(event.data().clone())))?;
    /// hub.publish(Event::new("studio.greeting").with_data("hello"))?;
    /// hub.wait(Duration::from_millis(50))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn event_hub(&self) -> &EventHub {
        &self.shared.event_hub
    }

    /// Subscribes to events as [`EventHub::subscribe`] does, with a handler that is given the
    /// session.
    ///
    /// The subscription does not keep the session open: it ends with the session.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// session.subscribe("topic=ftrack.update", |session, event| {
    ///     for entity in event.update(session.schema())?.entities {
    ///         println!("{} changed", entity.key());
    ///     }
    ///     Ok(None)
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`EventHub::subscribe`].
    pub fn subscribe(
        &self,
        filter: impl IntoFilter,
        callback: impl Fn(&Session, &Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> Result<SubscriberId> {
        self.subscribe_with(filter, SubscribeOptions::new(), callback)
    }

    /// [`subscribe`](Self::subscribe) with options: metadata, a priority and more.
    ///
    /// # Errors
    ///
    /// - Any error of [`EventHub::subscribe_with`].
    pub fn subscribe_with(
        &self,
        filter: impl IntoFilter,
        options: SubscribeOptions,
        callback: impl Fn(&Session, &Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> Result<SubscriberId> {
        // The hub belongs to the session: a handle in it would keep both alive.
        let session = self.downgrade();
        let hub = self.event_hub();
        hub.subscribe_with(filter, options, move |event| match session.upgrade() {
            Some(session) => callback(&session, event),
            None => Ok(None),
        })
    }

    /// The token that distinguishes this session's changes from others': every request carries it,
    /// and so do the `ftrack.update` events that the request causes.
    pub fn client_token(&self) -> &str {
        &self.shared.api.config().client_token
    }
}

/// A hub with the session's server, credentials, headers and token.
pub(crate) fn hub_for(config: &Config, dialer: Dialer) -> EventHub {
    EventHub::new(HubConfig::of_session(config, dialer))
}
