//! What surrounds a commit: the order of events, and component data that goes with it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use client::Site;
use ftrack_emulator::Emulator;
use serde_json::{Value, json};
use tungstenite::Message;

#[test]
fn events_go_out_in_the_order_of_their_commits() {
    const WRITERS: usize = 6;
    const WRITES: usize = 40;
    let site = Site::with(Emulator::builder().tasks(0));
    let mut socket = client::events(&site);
    let subscription = json!({"name": "ftrack.event", "args": [{"topic": "ftrack.meta.subscribe",
        "data": {"subscriber": {"id": "s"}, "subscription": "topic=ftrack.update"}}]});
    let packet = Message::text(format!("5:1+::{subscription}"));
    socket.send(packet).unwrap();
    assert!(
        socket
            .read()
            .unwrap()
            .to_text()
            .unwrap()
            .starts_with("6:::1+")
    );
    let id = site.query("select id from Task limit 1")[0]["id"].clone();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (site, id) = (&site, &id);
            scope.spawn(move || {
                for write in 0..WRITES {
                    let name = format!("{writer}-{write}");
                    site.update("Task", &json!([id]), json!({"name": name}));
                }
            });
        }
    });
    let mut last: Option<Value> = None;
    for _ in 0..WRITERS * WRITES {
        let event = loop {
            let message = socket.read().unwrap();
            if let Some(event) = message.to_text().unwrap().strip_prefix("5:::") {
                break serde_json::from_str::<Value>(event).unwrap();
            }
        };
        let name = &event["args"][0]["data"]["entities"][0]["changes"]["name"];
        if let Some(last) = last {
            assert_eq!(name["old"], last);
        }
        last = Some(name["new"].clone());
    }
}

/// A component with data on the server.
fn component(site: &Site, data: &Value) -> String {
    let mut all = json!({"name": "c", "file_type": ".txt", "size": 4, "system_type": "file"});
    for (name, value) in data.as_object().unwrap() {
        all[name] = value.clone();
    }
    let created = site.create("FileComponent", all);
    let id = created["id"].as_str().unwrap().to_owned();
    site.emulator.site().files.write(&id, b"data").unwrap();
    id
}

#[test]
fn data_goes_with_its_component_and_not_with_a_batch_that_fails() {
    let site = Site::with(Emulator::builder().tasks(0));
    let version = site.query("select id from AssetVersion limit 1")[0]["id"].clone();
    let alone = component(&site, &json!({}));
    let owned = component(&site, &json!({"version_id": version}));
    let other = component(&site, &json!({}));
    let size = |id: &str| site.emulator.site().files.size(id);
    let delete = |entity_type: &str, key: &str| json!({"action": "delete", "entity_type": entity_type, "entity_key": [key]});
    let (exception, _) = site.refused(&json!([delete("FileComponent", &alone), {"action": "x"}]));
    assert_eq!(exception, "InvalidRequestError");
    assert_eq!(size(&alone), Some(4));
    site.done(&delete("Component", &alone));
    site.done(&delete("AssetVersion", version.as_str().unwrap()));
    assert_eq!(
        (size(&alone), size(&owned), size(&other)),
        (None, None, Some(4))
    );
}

#[test]
fn parts_can_be_joined_again_after_a_batch_that_fails() {
    let site = Site::with(Emulator::builder().tasks(0));
    let id = component(&site, &json!({}));
    let response = site.call(
        &json!([{"action": "get_upload_metadata", "component_id": id,
        "file_name": "c.txt", "file_size": 8, "parts": 2}]),
    );
    let mut parts = Vec::new();
    for (part, text) in response[0]["urls"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["long", "er"])
    {
        let url = part["signed_url"].as_str().unwrap();
        let response = ureq::put(url).send(text).unwrap();
        let e_tag = response.headers()["etag"].to_str().unwrap().to_owned();
        parts.push(json!({"part_number": part["part_number"], "e_tag": e_tag}));
    }
    let complete = json!({"action": "complete_multipart_upload", "component_id": id,
        "upload_id": response[0]["upload_id"], "parts": parts});
    let size = || site.emulator.site().files.size(&id);
    for _ in 0..2 {
        site.refused(&json!([complete, {"action": "x"}]));
        assert_eq!(size(), Some(4));
    }
    let response = site.call(&json!([complete]));
    assert_eq!(response[0]["component_id"], json!(id));
    assert_eq!(size(), Some(6));
    site.refused(&json!([complete]));
    assert_eq!(size(), Some(6));
}
