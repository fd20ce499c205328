//! Bad input of every kind: an error object each time, never a dead server, never half a batch.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;
#[path = "../../support/steady.rs"]
mod steady;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use client::Site;
use ftrack_emulator::Emulator;
use serde_json::{Value, json};
use steady::steadily;

#[test]
fn unreadable_bodies_get_an_error_object() {
    let site = Site::start();
    let deep = "[".repeat(100_000);
    let bodies = [
        "",
        "{",
        "5",
        "null",
        "\"x\"",
        "[5]",
        "[[]]",
        "[{}]",
        "{\"a\": 1}",
        "[{\"action\": 5}]",
        &deep,
    ];
    for body in bodies {
        let (status, response) = site.post(&[], body);
        assert_eq!(status, 200, "{}", &body[..body.len().min(20)]);
        assert!(
            response["exception"].is_string() && response["content"].is_string(),
            "{response}"
        );
        let (status, _) = site.post(&[("ftrack-strict-api", "true")], body);
        assert!((400..500).contains(&status), "{status}");
    }
    assert_eq!(site.call(&json!([])), json!([]));
}

#[test]
fn ten_megabytes_of_parentheses_are_refused() {
    let site = Site::start();
    for text in [
        "(".repeat(10 << 20),
        "not ".repeat(3 << 20),
        "a any (".repeat(1 << 20),
    ] {
        let (exception, content) =
            site.refused(&json!([{"action": "query", "expression": format!("Task where {text}")}]));
        assert_eq!(exception, "ParseError", "{content}");
        assert!(content.contains("position"), "{content}");
    }
    let path = vec!["parent"; 90].join(".");
    let nested = format!(
        "Task where {}{path}.name is x{}",
        "parent has (".repeat(90),
        ")".repeat(90)
    );
    let response = site.call(&json!([{"action": "query", "expression": nested}]));
    assert!(
        response.is_array() || response["exception"].is_string(),
        "{response}"
    );
    let choices = vec!["name is x or id is y"; 5000].join(" or ");
    let query = json!([{"action": "query", "expression": format!("Task where {choices}")}]);
    let (_, content) = site.refused(&query);
    assert!(content.contains("more than 2000 criteria"), "{content}");
}

#[test]
fn an_upload_over_the_limit_is_refused() {
    let site = Site::start();
    let (status, response) = site.post(&[("ftrack-strict-api", "true")], &" ".repeat(65 << 20));
    assert_eq!(
        (status, response["exception"].as_str()),
        (413, Some("InvalidRequestError"))
    );
}

#[test]
fn sql_stays_text_wherever_it_is_put() {
    let site = Site::start();
    let evil = "x'; DROP TABLE context; --\" OR 1=1 /* ? ?1 :a %s \\";
    let quoted = format!("\"{}\"", evil.replace('\\', "\\\\").replace('"', "\\\""));
    for criteria in [
        "name is",
        "id is",
        "name like",
        "status.name is",
        "metadata.key is",
        "parent is",
    ] {
        let rows = site.query(&format!("Task where {criteria} {quoted}"));
        assert!(rows.is_empty(), "{criteria}");
    }
    site.query(&format!("Task where id in ({quoted}, {quoted})"));
    let places = [
        evil.to_owned(),
        format!("select {evil} from Task"),
        format!("Task where {evil} is x"),
        format!("Task order by {evil}"),
        format!("select count({evil}) from Task group by {evil}"),
        format!("Task limit {evil}"),
        format!("Task where parent[{evil}].name is x"),
    ];
    for expression in places {
        let (exception, _) = site.refused(&json!([{"action": "query", "expression": expression}]));
        assert!(
            ["ParseError", "ValidationError"].contains(&exception.as_str()),
            "{expression}: {exception}"
        );
    }
    let project =
        json!({"__entity_type__": "Project", "id": "5671dcb0-66de-11e1-8e6e-f23c91df25eb"});
    let folder = site.create(
        "Folder",
        json!({"name": evil, "description": evil, "parent": project, "id": evil}),
    );
    assert_eq!(folder["name"], evil);
    let rows = site.query(&format!(
        "select name, link from Folder where name is {quoted}"
    ));
    assert_eq!(
        (&rows[0]["name"], &rows[0]["id"]),
        (&json!(evil), &json!(evil))
    );
    site.call(&json!([
        {"action": "create", "entity_type": evil, "entity_data": {}},
    ]));
    site.call(&json!([{"action": "create", "entity_type": "Task", "entity_data": {evil: evil}}]));
    site.call(&json!([{"action": "delete", "entity_type": "Task", "entity_key": [evil]}]));
    site.post(&[("ftrack-api-key", evil)], "[]");
    assert!(site.query("select id from Task").len() > 100);
}

#[test]
fn a_query_that_multiplies_rows_ends() {
    let site = Site::start();
    let options = ("ftrack-api-options", "strict:1;denormalize:1");
    let path = ["parent.children"; 12].join(".");
    let body = json!([{"action": "query", "expression": format!("select {path}.name from Task")}]);
    let (_, response) = site.post(&[options], &body.to_string());
    assert!(
        response["content"].as_str().unwrap().contains("too large"),
        "{response}"
    );
    assert_eq!(site.query("select id from Project limit 1").len(), 1);
}

fn address(site: &Site) -> String {
    let url = site.emulator.url();
    url.strip_prefix("http://").unwrap().to_owned()
}

#[test]
fn half_a_request_does_no_harm() {
    let site = Site::start();
    let address = address(&site);
    for text in [
        "",
        "POST",
        "POST /api HTTP/1.1\r\ncontent-length: 100\r\n\r\n[",
        "\0\0\0\0",
        "GET / HTTP/9\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
    }
    let mut stream = TcpStream::connect(&address).unwrap();
    stream
        .write_all(b"GET /nowhere HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.1 404"), "{response}");
    assert_eq!(site.query("select id from Project limit 1").len(), 1);
}

#[test]
fn clients_do_not_disturb_each_other() {
    let site = Site::start();
    let project =
        json!({"__entity_type__": "Project", "id": "5671dcb0-66de-11e1-8e6e-f23c91df25eb"});
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (site, project) = (&site, &project);
            scope.spawn(move || {
                for number in 0..10 {
                    let name = format!("worker {worker} {number}");
                    let folder = site.create("Folder", json!({"name": name, "parent": project}));
                    let id = folder["id"].as_str().unwrap();
                    assert_eq!(
                        site.query(&format!("Folder where id is {id}"))[0]["name"],
                        name
                    );
                }
            });
        }
    });
    assert_eq!(site.query("Folder where name like \"worker %\"").len(), 40);
}

#[test]
fn an_emulator_stops_when_it_is_dropped() {
    steadily(|| {
        let site = Site::start();
        let address = address(&site);
        let idle = TcpStream::connect(&address).unwrap();
        site.query("select id from Project limit 1");
        let started = Instant::now();
        drop(site);
        // Whoever waits for the idle connection waits five seconds.
        assert!(started.elapsed() < Duration::from_secs(4));
        assert!(TcpStream::connect(&address).is_err());
        drop(idle);
    });
}

#[test]
fn latency_delays_every_response() {
    let site = Site::with(
        Emulator::builder()
            .tasks(50)
            .latency(Duration::from_millis(150)),
    );
    let started = Instant::now();
    site.call(&json!([]));
    assert!(started.elapsed() >= Duration::from_millis(150));
    let (_, refused) = site.post(&[], "{");
    assert_ne!(refused["exception"], Value::Null);
    assert!(started.elapsed() >= Duration::from_millis(300));
}
