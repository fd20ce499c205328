//! Events and component data of the whole server, over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use std::time::{Duration, Instant};

use client::{Events, Site};
use serde_json::{Value, json};

fn fetch(site: &Site, what: &str, id: &Value) -> (u16, Vec<u8>) {
    let url = format!(
        "{}/component/{what}?id={}&username={}&apiKey={}",
        site.emulator.url(),
        id.as_str().unwrap(),
        site.emulator.api_user(),
        site.emulator.api_key()
    );
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = ureq::Agent::from(config.build());
    let mut response = agent.get(url).call().unwrap();
    (
        response.status().as_u16(),
        response.body_mut().read_to_vec().unwrap(),
    )
}

/// Creates a component and uploads its data as the Python client does.
fn upload(site: &Site, name: &str, file_type: &str, data: &[u8]) -> Value {
    let created = site.create(
        "FileComponent",
        json!({"name": name, "file_type": file_type, "size": data.len(), "system_type": "file"}),
    );
    let id = created["id"].clone();
    let response = site.call(
        &json!([{"action": "get_upload_metadata", "component_id": id,
        "file_name": name, "file_size": data.len(), "checksum": null}]),
    );
    let mut request = ureq::put(response[0]["url"].as_str().unwrap());
    for (header, value) in response[0]["headers"].as_object().unwrap() {
        request = request.header(header, value.as_str().unwrap());
    }
    assert_eq!(request.send(data).unwrap().status().as_u16(), 200);
    id
}

#[test]
fn a_commit_is_announced_with_old_names() {
    let site = Site::start();
    let mut events = Events::subscribe(
        &site,
        "topic=ftrack.update and source.user.username=jenkins",
    );
    let task = &site
        .query("select parent_id, status_id from Task where parent.object_type.name is \"Shot\"")
        [0];
    let (id, parent) = (task["id"].clone(), task["parent_id"].clone());
    let other = format!(
        "Status where id in (44dd9fb2-4164-11df-9218-0019bb4983d8, \
         44ddd0fe-4164-11df-9218-0019bb4983d8) and id is_not {}",
        task["status_id"].as_str().unwrap()
    );
    let status = site.query(&other)[0]["id"].clone();
    site.post(
        &[
            ("ftrack-Clienttoken", "app--1"),
            ("ftrack-pushtoken", "undefined"),
        ],
        &json!([{"action": "update", "entity_type": "Task", "entity_key": [id],
            "entity_data": {"__entity_type__": "Task", "name": "renamed",
                "status_id": status}}])
        .to_string(),
    );
    let event = events.next();
    let data = &event["data"];
    assert_eq!(data["clientToken"], "app--1");
    assert_eq!(data["pushToken"], Value::Null);
    assert_eq!(data["user"]["name"], "jenkins");
    let entity = data["entities"]
        .as_array()
        .unwrap()
        .iter()
        .find(|entity| entity["entityId"] == id)
        .unwrap();
    assert_eq!(entity["action"], "update");
    assert_eq!(entity["entityType"], "task");
    assert_eq!(entity["entity_type"], "Task");
    assert_eq!(
        entity["objectTypeId"],
        "11c137c0-ee7e-4f9c-91c5-8c77cec22b2c"
    );
    assert_eq!(entity["parentId"], parent);
    assert_eq!(entity["changes"]["name"]["new"], "renamed");
    let (before, after) = (&task["status_id"], &status);
    assert_eq!(
        entity["changes"]["statusid"],
        json!({"old": before, "new": after})
    );
    let parents = entity["parents"].as_array().unwrap();
    assert_eq!(parents[0]["entityId"], id);
    assert_eq!(parents[1]["entityId"], parent);
    assert_eq!(parents.last().unwrap()["entityType"], "show");
    assert_eq!(parents.last().unwrap()["parentId"], Value::Null);
}

#[test]
fn creations_moves_and_removals_are_announced_and_failures_are_not() {
    let site = Site::start();
    let mut events = Events::subscribe(&site, "topic=ftrack.update");
    let project = site.query("select id from Project limit 1")[0]["id"].clone();
    let folder = |name: &str| {
        let data = json!({"name": name, "parent_id": project, "project_id": project});
        site.create("Folder", data)["id"].clone()
    };
    let (one, other) = (folder("one"), folder("other"));
    site.refused(&json!([
        {"action": "update", "entity_type": "Folder", "entity_key": [one],
            "entity_data": {"__entity_type__": "Folder", "name": "lost"}},
        {"action": "nonsense"}]));
    site.update("Folder", &json!([one]), json!({"parent_id": other}));
    site.delete("Folder", &json!([one]));
    let mut seen = Vec::new();
    for _ in 0..4 {
        let event = events.next();
        let entity = event["data"]["entities"]
            .as_array()
            .unwrap()
            .iter()
            .find(|entity| entity["entity_type"] == "Folder")
            .unwrap()
            .clone();
        seen.push((entity["action"].clone(), entity["entityId"].clone()));
        if entity["action"] == "move" {
            assert_eq!(entity["changes"]["parent_id"]["new"], other);
            assert_eq!(entity["parentId"], other);
        }
    }
    let expected = [
        ("add", &one),
        ("add", &other),
        ("move", &one),
        ("remove", &one),
    ];
    for ((action, id), (expected, entity)) in seen.iter().zip(expected) {
        assert_eq!((action, id), (&json!(expected), entity));
    }
}

#[test]
fn component_data_goes_up_and_down_and_goes_away() {
    let site = Site::start();
    let id = upload(&site, "x", ".bin", b"some data");
    assert_eq!(fetch(&site, "get", &id), (200, b"some data".to_vec()));
    let response = site.call(&json!([{"action": "generate_signed_url", "component_id": id}]));
    let signed = ureq::get(response[0]["signed_url"].as_str().unwrap()).call();
    assert_eq!(
        signed.unwrap().body_mut().read_to_vec().unwrap(),
        b"some data"
    );
    assert_eq!(fetch(&site, "remove", &id).0, 200);
    assert_eq!(fetch(&site, "get", &id).0, 404);
    let (exception, _) = site.refused(&json!([{"action": "get_upload_metadata"}]));
    assert_eq!(exception, "ValidationError");
}

#[test]
fn an_upload_in_parts_becomes_one_file() {
    let site = Site::start();
    let id = json!("78e388a0-5752-48fe-a4e0-944d7cdfce2c");
    let response = site.call(
        &json!([{"action": "get_upload_metadata", "component_id": id,
        "file_name": "x.mov", "file_size": 6, "parts": 3}]),
    );
    let mut parts = Vec::new();
    for (url, data) in response[0]["urls"]
        .as_array()
        .unwrap()
        .iter()
        .zip(["ab", "cd", "ef"])
    {
        let sent = ureq::put(url["signed_url"].as_str().unwrap())
            .send(data)
            .unwrap();
        let e_tag = sent.headers()["etag"].to_str().unwrap().replace('"', "");
        parts.push(json!({"part_number": url["part_number"], "e_tag": e_tag}));
    }
    let done = site.call(
        &json!([{"action": "complete_multipart_upload", "component_id": id,
        "upload_id": response[0]["upload_id"], "parts": parts}]),
    );
    assert_eq!(done[0]["component_id"], id);
    assert_eq!(fetch(&site, "get", &id), (200, b"abcdef".to_vec()));
}

#[test]
fn a_movie_is_encoded_into_components_of_its_version() {
    let site = Site::start();
    let mut events = Events::subscribe(&site, "topic=ftrack.update");
    let version = site.query("select id from AssetVersion limit 1")[0]["id"].clone();
    let source = upload(&site, "main", ".mov", b"moving pictures");
    let response = site.call(&json!([{"action": "encode_media", "component_id": source,
        "version_id": version, "keep_original": false}]));
    let job_id = response[0]["job_id"].as_str().unwrap().to_owned();

    let mut statuses = Vec::new();
    let start = Instant::now();
    let job = loop {
        let query = format!(
            "select status, data, type, user.username, job_components.component.name, \
             job_components.component.version_id from Job where id is {job_id}"
        );
        let job = site.query(&query).remove(0);
        if statuses.last() != Some(&job["status"]) {
            statuses.push(job["status"].clone());
        }
        if job["status"] == "done" || job["status"] == "failed" {
            break job;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{job}");
        std::thread::sleep(Duration::from_millis(20));
    };
    // On a busy machine one that passes is not seen.
    let order = ["queued", "running", "done"];
    let places = statuses.iter().map(|status| {
        order
            .iter()
            .position(|known| status == known)
            .expect("known")
    });
    assert!(
        places.is_sorted() && job["status"] == "done",
        "{statuses:?} {job}"
    );
    assert_eq!(job["user"]["username"], "jenkins");
    let data: Value = serde_json::from_str(job["data"].as_str().unwrap()).unwrap();
    assert_eq!(data["source_component_id"], source);
    let outputs = data["output"].as_array().unwrap();
    let formats: Vec<_> = outputs.iter().map(|output| &output["format"]).collect();
    assert_eq!(formats, ["video/mp4", "image/jpeg"]);
    assert_eq!(job["job_components"].as_array().unwrap().len(), 2);
    for output in outputs {
        let id = &output["component_id"];
        let component = &site.query(&format!(
            "select name, version_id, component_locations.location.name, metadata \
             from FileComponent where id is {}",
            id.as_str().unwrap()
        ))[0];
        assert_eq!(component["version_id"], version);
        let location = &component["component_locations"][0]["location"]["name"];
        assert_eq!(location, "ftrack.server");
        assert_eq!(fetch(&site, "get", id).0, 200);
    }
    let movie = &outputs[0]["component_id"];
    assert_eq!(fetch(&site, "get", movie).1, b"moving pictures");
    assert_eq!(
        fetch(&site, "thumbnail", &outputs[1]["component_id"]).0,
        200
    );
    let thumbnail = &site.query(&format!(
        "select thumbnail_id from AssetVersion where id is {}",
        version.as_str().unwrap()
    ))[0]["thumbnail_id"];
    assert_eq!(*thumbnail, outputs[1]["component_id"]);
    // The original was not to be kept.
    let source = source.as_str().unwrap();
    assert!(
        site.query(&format!("FileComponent where id is {source}"))
            .is_empty()
    );
    // What the server does by itself is announced too.
    let is_done = |event: &Value| {
        let entities = event["data"]["entities"].as_array().unwrap().clone();
        let mut jobs = entities
            .iter()
            .filter(|entity| entity["entityType"] == "job");
        jobs.any(|job| job["changes"]["status"]["new"] == "done")
    };
    while !is_done(&events.next()) {}
}

#[test]
fn encoding_what_does_not_exist_is_refused() {
    let site = Site::start();
    let (exception, content) = site.refused(&json!([{"action": "encode_media",
        "component_id": "nothing", "version_id": null, "keep_original": true}]));
    assert_eq!(exception, "ValidationError");
    assert!(content.contains("nothing"));
}

#[test]
fn pages_of_other_origins_may_use_the_server() {
    let site = Site::start();
    let url = format!("{}/api", site.emulator.url());
    let response = ureq::options(url)
        .header("origin", "http://studio.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "ftrack-user,content-type")
        .call()
        .unwrap();
    let header = |name| response.headers()[name].to_str().unwrap();
    assert_eq!(
        header("access-control-allow-origin"),
        "http://studio.example"
    );
    assert_eq!(header("access-control-allow-credentials"), "true");
    assert_eq!(
        header("access-control-allow-headers"),
        "ftrack-user,content-type"
    );
}
