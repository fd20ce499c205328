//! What a session is opened with: everything that is wrong is reported at once, without secrets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::process::Command;

use ftrack_api::hub::{EventHub, HubConfig};
use ftrack_api::{ErrorKind, Session, config::Network, doctor};
use ftrack_emulator::Emulator;
use serde_json::json;

const KEY: &str = "s3cret-key-of-ada";

#[test]
fn open_reports_all_problems_at_once() {
    let error = Session::builder()
        .server_url(format!("https://ada:{KEY}@studio.example"))
        .api_key(format!("{KEY}\n2"))
        .header("x y", "1")
        .cookie("a", format!("{KEY}\r"))
        .network(Network::new().proxy(format!("gopher://{KEY}@proxy")))
        .plugin_arguments(json!(["a", "list"]))
        .open()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Configuration);
    let text = format!("{error}\n{error:#?}");
    for part in [
        "6 settings",
        "plugin arguments",
        "(user)@studio.example",
        "API key",
        "\"x y\"",
        "proxy",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("s3cret"), "{text}");
}

#[test]
fn a_key_in_the_place_of_the_url_is_shown_nowhere() {
    for url in [
        format!("https://studio.example/?apiKey={KEY}"),
        format!("{KEY}@studio.example"),
    ] {
        let builder = || {
            Session::builder()
                .server_url(url.as_str())
                .api_key("k")
                .api_user("ada")
        };
        let error = builder().open().unwrap_err();
        let report = doctor::examine(builder());
        let text = format!("{error:#?}\n{report}\n{report:#?}");
        assert!(
            text.contains("studio.example") && !text.contains("s3cret"),
            "{text}"
        );
    }
    for url in [
        "https://studio.ftrackapp.com",
        "ftrack.studio.lan",
        "localhost:8080",
    ] {
        let swapped = || {
            let builder = Session::builder().server_url(KEY).api_user("ada");
            builder.api_key(url)
        };
        let error = swapped().open().unwrap_err();
        let report = doctor::examine(swapped());
        let hub = HubConfig::new(KEY, "ada", url);
        let refused = EventHub::new(hub).connect().unwrap_err();
        let text = format!("{error:#?}\n{report}\n{report:#?}\n{refused:#?}");
        assert!(
            text.matches("swapped").count() >= 3 && !text.contains("s3cret"),
            "{text}"
        );
    }
}

#[test]
fn a_key_in_the_place_of_the_user_is_shown_nowhere() {
    let server = Emulator::start().unwrap();
    let key = "7545384e-a653-11e1-a82c-f23c91df25eb";
    let swapped = || {
        let builder = Session::builder().server_url(server.url());
        builder.api_user(key).api_key("ada")
    };
    let error = swapped().open().unwrap_err();
    let report = doctor::examine(swapped());
    let text = format!("{:?}\n{error:#?}\n{report}\n{report:#?}", swapped());
    assert!(text.contains("swapped") && !text.contains(key), "{text}");
}

/// A session with a network of its own does not look at the proxies of the environment: neither
/// for requests nor for the event hub.
#[test]
fn a_bad_proxy_of_the_environment_may_be_overruled() {
    if let Ok(url) = std::env::var("TEST_SERVER") {
        let user = std::env::var("TEST_USER").unwrap();
        let builder = || {
            Session::builder()
                .server_url(url.as_str())
                .api_key(KEY)
                .api_user(user.as_str())
        };
        let direct = || Network::new().no_proxy("*");
        assert_eq!(
            builder().open().unwrap_err().kind(),
            ErrorKind::Configuration
        );
        // Authentication is refused: the server was reached.
        let refused = builder().network(direct()).open().unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Authentication, "{refused}");
        let key = std::env::var("TEST_KEY").unwrap();
        let session = builder().api_key(key).network(direct()).open().unwrap();
        session.event_hub().connect().unwrap();
        return;
    }
    let server = Emulator::start().unwrap();
    let test = "a_bad_proxy_of_the_environment_may_be_overruled";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("TEST_SERVER", server.url())
        .env("TEST_KEY", server.api_key())
        .env("TEST_USER", server.api_user())
        .env("HTTP_PROXY", "gopher://nowhere")
        .env("HTTPS_PROXY", "gopher://nowhere")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}
