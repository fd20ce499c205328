//! The actions beside query and the writes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use client::Site;
use serde_json::json;

const JENKINS: &str = "d07ae5d0-66e1-11e1-b5e9-f23c91df25eb";

#[test]
fn a_reset_key_opens_a_second_account() {
    let site = Site::start();
    let user = site.query(
        "select username from User where username is_not jenkins and username is_not none limit 1",
    )[0]
    .clone();
    let reset = json!({"action": "reset_remote", "reset_type": "api_key", "entity_type": "User", "entity_key": user["id"]});
    let key = site.done(&reset)["api_key"].as_str().unwrap().to_owned();
    let me =
        json!([{"action": "query_server_information", "values": ["user_information"]}]).to_string();
    let headers = [
        ("ftrack-api-key", key.as_str()),
        ("ftrack-user", user["username"].as_str().unwrap()),
    ];
    let request = ureq::post(format!("{}/api", site.emulator.url()));
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let response = request.send(me).unwrap().body_mut().read_to_vec();
    let response: serde_json::Value = serde_json::from_slice(&response.unwrap()).unwrap();
    assert_eq!(response[0]["user_information"]["id"], user["id"]);
    let (status, _) = site.post(
        &[("ftrack-api-key", &key), ("ftrack-strict-api", "true")],
        "[]",
    );
    assert_eq!(status, 401);
    for wrong in [json!(["api_key"]), json!("password"), json!(null)] {
        site.refused(&json!([{"action": "reset_remote", "reset_type": wrong, "entity_type": "User", "entity_key": user["id"]}]));
    }
}

#[test]
fn a_widget_has_a_page() {
    let site = Site::start();
    let task = site.query("Task limit 1")[0].clone();
    let widget = json!([{"action": "get_widget_url", "name": "info", "theme": null, "entity_type": "Task", "entity_key": [task["id"]]}]);
    let response = site.call(&widget);
    let url = response[0]["widget_url"].as_str().unwrap();
    let text = ureq::get(url)
        .call()
        .unwrap()
        .body_mut()
        .read_to_string()
        .unwrap();
    assert!(text.contains(task["id"].as_str().unwrap()), "{text}");
    assert!(ureq::get(format!("{url}x")).call().is_err());
    assert!(
        site.refused(&json!([{"action": "get_widget_url", "name": "nothing"}]))
            .1
            .contains("tasks_browser")
    );
    assert!(
        site.refused(&json!([{"action": "get_widget_url", "name": "info"}]))
            .1
            .contains("entity_type")
    );
}

#[test]
fn invitations_are_said_to_be_sent() {
    let site = Site::start();
    assert_eq!(
        site.call(&json!([{"action": "send_user_invite", "user_id": JENKINS}])),
        json!([{"sent": true}])
    );
    let invitee = site.query("ReviewSessionInvitee limit 1")[0]["id"].clone();
    let invite = json!([{"action": "send_review_session_invite", "review_session_invitee_id": invite_id(&invitee)}]);
    assert_eq!(site.call(&invite), json!([{"sent": true}]));
    let rows = site.query(&format!(
        "select last_sent_at from ReviewSessionInvitee where id is {}",
        invite_id(&invitee)
    ));
    assert!(rows[0]["last_sent_at"]["value"].is_string());
    site.refused(&json!([{"action": "send_user_invite", "user_id": "nobody"}]));
}

fn invite_id(value: &serde_json::Value) -> &str {
    value.as_str().unwrap()
}

#[test]
fn a_delayed_job_is_an_entity() {
    let site = Site::start();
    let job = site.done(&json!({"action": "delayed_job", "job_type": "SYNC_USERS_LDAP"}));
    assert_eq!(job["__entity_type__"], "Job");
    let id = job["id"].as_str().unwrap();
    assert_eq!(
        site.query(&format!("select status from Job where id is {id}"))[0]["status"],
        "done"
    );
    site.refused(&json!([{"action": "delayed_job", "job_type": "MAKE_COFFEE"}]));
}

#[test]
fn a_search_finds_words_below_a_context() {
    let site = Site::start();
    let task = site.query("select name, project_id from Task limit 1")[0].clone();
    let name = task["name"].as_str().unwrap();
    let search = json!({"action": "search", "expression": "select name, project_id from Task", "entity_type": "Task",
        "terms": [&name[..3]], "context_id": task["project_id"], "object_type_ids": []});
    let found = site.done(&search);
    let found = found.as_array().unwrap();
    assert!(!found.is_empty());
    for row in found {
        assert!(
            row["name"]
                .as_str()
                .unwrap()
                .to_lowercase()
                .contains(&name[..3].to_lowercase())
        );
        assert_eq!(row["project_id"], task["project_id"]);
    }
    let none = site.done(&json!({"action": "search", "expression": "Task", "entity_type": "Task", "terms": ["100%_"]}));
    assert_eq!(none, json!([]));
    for name in ["Shot", "Asset", "AssetVersion", "User", "Note", "Project"] {
        let context = json!({"action": "search", "expression": name, "entity_type": name, "terms": ["a"], "context_id": task["project_id"]});
        assert!(site.done(&context).is_array(), "{name}");
    }
}

#[test]
fn queries_can_be_explained_and_permissions_asked_for() {
    let site = Site::start();
    let data = site.done(&json!({"action": "parse_query", "expression": "select name from Task where bid > 1 limit 5"}));
    assert_eq!(
        (&data["entity_type"], &data["limit"]),
        (&json!("Task"), &json!(5))
    );
    let data = site.done(&json!({"action": "permissions"}));
    assert_eq!(data["user_id"], JENKINS);
}

#[test]
fn roles_are_given_and_taken() {
    let site = Site::start();
    let role = site.query("SecurityRole limit 1")[0]["id"].clone();
    let user = site.create("User", json!({"username": "new"}))["id"].clone();
    let roles = || {
        site.query(&format!(
            "select user_security_role_projects from UserSecurityRole where user_id is {}",
            user.as_str().unwrap()
        ))
    };
    let action = |name: &str| json!({"action": name, "user_id": user, "role_id": role, "project_id": "5671dcb0-66de-11e1-8e6e-f23c91df25eb"});
    site.done(&action("add_user_security_role"));
    site.done(&action("grant_user_security_role_project"));
    assert_eq!(
        roles()[0]["user_security_role_projects"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    site.done(&action("revoke_user_security_role_project"));
    assert_eq!(roles()[0]["user_security_role_projects"], json!([]));
    site.done(&action("remove_user_security_role"));
    assert!(roles().is_empty());
}

#[test]
fn commits_tell_listeners_what_changed() {
    use std::sync::{Arc, Mutex};
    let site = Site::start();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    site.emulator.site().on_commit(Box::new(move |commit| {
        sink.lock().unwrap().push(commit.clone());
    }));
    let task = site.query("select status_id, project_id from Task limit 1")[0].clone();
    let body = json!([{"action": "update", "entity_type": "Task", "entity_key": [task["id"]],
        "entity_data": {"name": "renamed", "bid": 5}}])
    .to_string();
    site.post(&[("ftrack-Clienttoken", "me--1")], &body);
    let commits = heard.lock().unwrap();
    assert_eq!(commits.len(), 1);
    assert_eq!(
        (
            commits[0].client_token.as_str(),
            commits[0].username.as_str()
        ),
        ("me--1", "jenkins")
    );
    let change = &commits[0].changes[0];
    assert_eq!(
        (change.entity_type.as_str(), change.attributes.len()),
        ("Task", 2)
    );
    assert!(
        change
            .attributes
            .iter()
            .any(|a| a.name == "name" && a.new == "renamed")
    );
    assert_eq!(json!(change.parents.last().unwrap().id), task["project_id"]);
    assert_eq!(change.parents.last().unwrap().entity_type, "Project");
}
