//! The query language against the demo studio: what the database finds is compared with what a
//! test finds by looking at every row.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod client;

use std::collections::BTreeSet;

use client::Site;
use serde_json::{Value, json};

/// The ids that a query finds.
fn ids(site: &Site, expression: &str) -> BTreeSet<String> {
    site.query(expression)
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

/// The ids of those rows that meet a condition.
fn those(rows: &[Value], condition: impl Fn(&Value) -> bool) -> BTreeSet<String> {
    let found = rows.iter().filter(|row| condition(row));
    found
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_lowercase()
}

fn any(list: &Value, condition: impl Fn(&Value) -> bool) -> bool {
    list.as_array()
        .is_some_and(|list| list.iter().any(condition))
}

const EVERYTHING: &str = "select name, bid, description, created_at, end_date, status.name, status.state.short, \
    type.name, type_id, parent.name, parent.id, project.name, timelogs.duration, notes.content, \
    assignments.resource.id, metadata, custom_attributes, ancestors.name, thumbnail_id from Task";

#[test]
fn criteria_find_what_a_look_at_every_row_finds() {
    let site = Site::with(ftrack_emulator::Emulator::builder().tasks(1000));
    let options = ("ftrack-api-options", "strict:1;denormalize:1");
    let body = json!([{"action": "query", "expression": EVERYTHING}]).to_string();
    let (_, response) = site.post(&[options], &body);
    let rows = response[0]["data"].as_array().unwrap().clone();
    assert!(rows.len() > 150);
    let jenkins = "d07ae5d0-66e1-11e1-b5e9-f23c91df25eb";
    let some_name = text(&rows[0]["name"]);
    let some_type = rows[0]["type"]["name"].as_str().unwrap().to_owned();
    let day = rows[rows.len() / 2]["created_at"]["value"]
        .as_str()
        .unwrap()[..10]
        .to_owned();
    let is_named = |row: &Value, name: &str| text(&row["name"]) == name;
    let number = |row: &Value, key: &str, holds: &dyn Fn(f64) -> bool| {
        any(&row["custom_attributes"], |value| {
            value["key"] == key && value["value"].as_f64().is_some_and(holds)
        })
    };
    let long = |row: &Value| {
        any(&row["timelogs"], |log| {
            log["duration"].as_f64().unwrap() > 3600.0
        })
    };
    let cases: Vec<(String, BTreeSet<String>)> = vec![
        (
            format!("name is \"{some_name}\""),
            those(&rows, |row| is_named(row, &some_name)),
        ),
        (
            format!("name is {}", some_name.to_uppercase()),
            those(&rows, |row| is_named(row, &some_name)),
        ),
        (
            format!("name is_not {some_name}"),
            those(&rows, |row| !is_named(row, &some_name)),
        ),
        (
            format!("not name is {some_name}"),
            those(&rows, |row| !is_named(row, &some_name)),
        ),
        (
            "name like \"%AN%\"".into(),
            those(&rows, |row| text(&row["name"]).contains("an")),
        ),
        (
            "name not_like \"%an%\"".into(),
            those(&rows, |row| !text(&row["name"]).contains("an")),
        ),
        (
            "name like \"_ni%\"".into(),
            those(&rows, |row| {
                let name = text(&row["name"]);
                name.chars().count() > 2
                    && name.chars().skip(1).collect::<String>().starts_with("ni")
            }),
        ),
        (
            "bid > 0".into(),
            those(&rows, |row| row["bid"].as_f64().unwrap() > 0.0),
        ),
        (
            "bid <= 90000".into(),
            those(&rows, |row| row["bid"].as_f64().unwrap() <= 90000.0),
        ),
        (
            "status.name is \"In progress\"".into(),
            those(&rows, |row| text(&row["status"]["name"]) == "in progress"),
        ),
        (
            "status.state.short is not_started".into(),
            those(&rows, |row| {
                row["status"]["state"]["short"] == "NOT_STARTED"
            }),
        ),
        (
            "status has (state.short is DONE)".into(),
            those(&rows, |row| row["status"]["state"]["short"] == "DONE"),
        ),
        (
            "not status has (state has (short is DONE))".into(),
            those(&rows, |row| row["status"]["state"]["short"] != "DONE"),
        ),
        (
            format!("type.name in (\"{some_type}\", Nonsense)"),
            those(&rows, |row| row["type"]["name"] == some_type.as_str()),
        ),
        (
            format!("type.name not_in (\"{some_type}\")"),
            those(&rows, |row| row["type"]["name"] != some_type.as_str()),
        ),
        (
            "timelogs any ()".into(),
            those(&rows, |row| any(&row["timelogs"], |_| true)),
        ),
        (
            "not timelogs any ()".into(),
            those(&rows, |row| !any(&row["timelogs"], |_| true)),
        ),
        ("timelogs.duration > 3600".into(), those(&rows, long)),
        (
            "not timelogs any (duration > 3600)".into(),
            those(&rows, |row| !long(row)),
        ),
        (
            "timelogs is none".into(),
            those(&rows, |row| !any(&row["timelogs"], |_| true)),
        ),
        (
            "assignments any (resource.username = \"jenkins\")".to_owned(),
            those(&rows, |row| {
                any(&row["assignments"], |a| a["resource"]["id"] == jenkins)
            }),
        ),
        (
            format!("assignments.resource is {jenkins}"),
            those(&rows, |row| {
                any(&row["assignments"], |a| a["resource"]["id"] == jenkins)
            }),
        ),
        (
            "thumbnail is none".into(),
            those(&rows, |row| row["thumbnail_id"].is_null()),
        ),
        (
            "thumbnail_id is_not None".into(),
            those(&rows, |row| !row["thumbnail_id"].is_null()),
        ),
        (
            format!("created_at >= \"{day}\""),
            those(&rows, |row| {
                row["created_at"]["value"].as_str().unwrap() >= day.as_str()
            }),
        ),
        (
            format!("created_at before \"{day}T00:00:00+00:00\""),
            those(&rows, |row| {
                row["created_at"]["value"].as_str().unwrap() < day.as_str()
            }),
        ),
        (
            "end_date is none or end_date after 2026-01-01".into(),
            those(&rows, |row| {
                row["end_date"].is_null()
                    || row["end_date"]["value"].as_str().unwrap() > "2026-01-01T00:00:00"
            }),
        ),
        (
            "custom_attributes any (key is customNumber and value is 123)".into(),
            those(&rows, |row| number(row, "customNumber", &|n| n == 123.0)),
        ),
        (
            "custom_attributes any (key is customNumber and value < 123)".into(),
            those(&rows, |row| number(row, "customNumber", &|n| n < 123.0)),
        ),
        (
            "custom_attributes any (key is customNumber and value in (123, 7))".into(),
            those(&rows, |row| number(row, "customNumber", &|n| n == 123.0)),
        ),
        (
            "custom_attributes any (key is customNumber and value not_in (\"123\"))".into(),
            those(&rows, |row| number(row, "customNumber", &|n| n != 123.0)),
        ),
        (
            "custom_attributes.configuration.key is customNumber".into(),
            those(&rows, |row| {
                any(&row["custom_attributes"], |c| c["key"] == "customNumber")
            }),
        ),
        (
            "ancestors.name like \"%1%\"".into(),
            those(&rows, |row| {
                any(&row["ancestors"], |a| text(&a["name"]).contains('1'))
            }),
        ),
        (
            "parent[Shot].name like \"%0%\"".into(),
            those(&rows, |row| {
                row["parent"]["__entity_type__"] == "Shot"
                    && text(&row["parent"]["name"]).contains('0')
            }),
        ),
        (
            "parent_id in (select id from Shot where name like \"%1%\")".into(),
            those(&rows, |row| {
                row["parent"]["__entity_type__"] == "Shot"
                    && text(&row["parent"]["name"]).contains('1')
            }),
        ),
        (
            "parent in (select parent.id from Task where name is animation)".into(),
            {
                let parents: BTreeSet<_> = rows
                    .iter()
                    .filter(|row| is_named(row, "animation"))
                    .map(|row| row["parent"]["id"].to_string())
                    .collect();
                those(&rows, |row| {
                    parents.contains(&row["parent"]["id"].to_string())
                })
            },
        ),
        (
            "project.name is test and (name like \"%a%\" or not bid > 0) and status_id is_not none"
                .into(),
            those(&rows, |row| {
                row["project"]["name"] == "test"
                    && (text(&row["name"]).contains('a') || row["bid"].as_f64().unwrap() <= 0.0)
            }),
        ),
    ];
    let mut empty = Vec::new();
    for (criteria, expected) in &cases {
        assert_eq!(
            &ids(&site, &format!("Task where {criteria}")),
            expected,
            "{criteria}"
        );
        if expected.is_empty() {
            empty.push(criteria.as_str());
        }
    }
    assert!(empty.len() <= 3, "these cases compare nothing: {empty:?}");
}

#[test]
fn pages_are_a_partition_in_the_same_order() {
    let site = Site::start();
    let all: Vec<_> = site
        .query("select id from Task")
        .iter()
        .map(|row| row["id"].clone())
        .collect();
    let mut paged = Vec::new();
    let mut offset = Some(0);
    while let Some(next) = offset {
        let expression = format!("select id from Task offset {next} limit 37");
        let response = site.call(&json!([{"action": "query", "expression": expression}]));
        paged.extend(
            response[0]["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|row| row["id"].clone()),
        );
        offset = response[0]["metadata"]["next"]["offset"].as_u64();
    }
    assert_eq!(paged, all);
    // A full last page announces no other.
    let expression = format!("select id from Task limit {}", all.len());
    let response = site.call(&json!([{"action": "query", "expression": expression}]));
    assert_eq!(response[0]["metadata"]["next"]["offset"], Value::Null);
}

#[test]
fn order_follows_paths_and_directions() {
    let site = Site::start();
    let rows =
        site.query("select name, status.sort, status_id from Task order by status.sort desc, name");
    let options = ("ftrack-api-options", "strict:1;denormalize:1");
    let body = json!([{"action": "query", "expression":
        "select name, status.sort from Task order by status.sort desc, name"}]);
    let (_, response) = site.post(&[options], &body.to_string());
    let full = response[0]["data"].as_array().unwrap();
    assert_eq!(full.len(), rows.len());
    let keys: Vec<_> = full
        .iter()
        .map(|row| (-row["status"]["sort"].as_i64().unwrap(), text(&row["name"])))
        .collect();
    assert!(keys.is_sorted(), "{keys:?}");
}

#[test]
fn groups_add_up() {
    let site = Site::start();
    let rows = site.query("select project_id, bid from Task");
    let groups = site.query("select count(id), sum(bid), max(bid) from Task group by project_id");
    assert!(groups.len() > 1);
    for group in &groups {
        assert!(group.get("__entity_type__").is_none());
        let members = rows
            .iter()
            .filter(|row| row["project_id"] == group["project_id"]);
        let bids: Vec<_> = members.map(|row| row["bid"].as_f64().unwrap()).collect();
        assert_eq!(group["count_id"], bids.len());
        assert_eq!(group["sum_bid"].as_f64().unwrap(), bids.iter().sum::<f64>());
        assert_eq!(
            group["max_bid"].as_f64().unwrap(),
            bids.iter().copied().fold(0.0, f64::max)
        );
    }
    let whole = site.query("select count(id) from Task where bid > 0");
    assert_eq!(
        whole[0]["count_id"],
        rows.iter()
            .filter(|row| row["bid"].as_f64().unwrap() > 0.0)
            .count()
    );
}

#[test]
fn an_entity_is_complete_once_and_then_its_key() {
    let site = Site::start();
    let rows = site
        .query("select status.name, project.name from Task where project.name is test limit 10");
    let full = |relation: &str| {
        rows.iter()
            .filter(|row| row[relation].get("name").is_some())
            .count()
    };
    assert_eq!(full("project"), 1);
    assert!(rows[0]["project"].get("name").is_some());
    assert!(rows[1]["project"]["id"].is_string());
    // The first occurrence has what every place asks for.
    let versions = site.query("select version, asset.versions.version from AssetVersion limit 1");
    assert!(versions[0]["version"].is_number());
    let id = &versions[0]["id"];
    for version in versions[0]["asset"]["versions"].as_array().unwrap() {
        assert_eq!(
            version.get("version").is_none(),
            &version["id"] == id,
            "{version}"
        );
    }
    // A later query of the same batch adds what it alone asks for.
    let response = site.call(&json!([
        {"action": "query", "expression": "select name from Task limit 1"},
        {"action": "query", "expression": "select name, bid from Task limit 1"},
    ]));
    let second = &response[1]["data"][0];
    assert!(
        second.get("name").is_none() && second["bid"].is_number(),
        "{second}"
    );
}

#[test]
fn projected_nothing_is_written_out() {
    let site = Site::start();
    let rows =
        site.query("select thumbnail, thumbnail_id, notes, name from Project where name is test");
    assert_eq!(rows[0]["thumbnail"], Value::Null);
    assert!(rows[0]["notes"].is_array());
    // What a concrete type does not have is left out.
    let contexts = site.query("select name, bid, full_name from Context");
    let project = contexts
        .iter()
        .find(|row| row["__entity_type__"] == "Project")
        .unwrap();
    let task = contexts
        .iter()
        .find(|row| row["__entity_type__"] == "Task")
        .unwrap();
    assert!(project.get("bid").is_none() && project.get("full_name").is_some());
    assert!(task.get("bid").is_some() && task.get("full_name").is_none());
    let strict = ("ftrack-api-options", "strict:1");
    let body =
        json!([{"action": "query", "expression": "select name from Task limit 1"}]).to_string();
    let (_, response) = site.post(&[strict], &body);
    assert_eq!(response[0]["data"][0].as_object().unwrap().len(), 3);
}

#[test]
fn every_attribute_of_every_type_can_be_selected() {
    let site = Site::start();
    let response = site.call(&json!([{"action": "query_schemas"}]));
    for schema in response[0].as_array().unwrap() {
        let name = schema["id"].as_str().unwrap();
        let attributes: Vec<_> = schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect();
        let rows = site.query(&format!(
            "select {} from {name} limit 3",
            attributes.join(", ")
        ));
        for row in rows {
            assert!(row["__entity_type__"].is_string());
        }
        for attribute in attributes {
            let expression = format!("{name} where {attribute} is_not none limit 1");
            let response = site.call(&json!([{"action": "query", "expression": expression}]));
            let text = response["content"].as_str().unwrap_or_default();
            assert!(
                response.is_array() || text.contains("cannot be compared"),
                "{expression}: {response}"
            );
        }
    }
}

/// Numbers, flags, date-times, choices and texts.
#[test]
fn a_list_of_one_custom_value_finds_what_the_value_finds() {
    let site = Site::with(ftrack_emulator::Emulator::builder().tasks(100));
    let rows = site.query("select value, configuration.key from CustomAttributeValue");
    let values: BTreeSet<_> = rows
        .iter()
        .filter_map(|row| {
            let value = match &row["value"] {
                Value::Array(choices) => choices.first()?.to_string(),
                Value::Object(instant) => instant["value"].to_string(),
                Value::Null => return None,
                other => other.to_string(),
            };
            let key = row["configuration"]["key"].as_str()?;
            Some((key.to_owned(), value))
        })
        .collect();
    let mut found = BTreeSet::new();
    for (key, value) in values.iter().filter(|(_, value)| value.len() < 200) {
        let value = value.trim_matches('"');
        let of = |condition: &str| {
            let all = format!("CustomAttributeValue where configuration.key is {key} and value");
            let rows = site.query(&format!("{all} {condition}"));
            rows.into_iter()
                .map(|row| row.to_string())
                .collect::<BTreeSet<_>>()
        };
        let expected = of(&format!("is \"{value}\""));
        assert_eq!(
            of(&format!("in (\"{value}\", \"no such\")")),
            expected,
            "{key} {value}"
        );
        let others = of(&format!("is_not \"{value}\""));
        assert_eq!(
            of(&format!("not_in (\"{value}\")")),
            others,
            "{key} {value}"
        );
        if !expected.is_empty() {
            found.insert(key.as_str());
        }
    }
    for key in [
        "NumberField",
        "customNumber",
        "delivery_date",
        "listbool",
        "shot_size",
    ] {
        assert!(found.contains(key), "{key} {found:?}");
    }
}

#[test]
fn custom_attribute_links_name_both_ends() {
    let site = Site::start();
    for (base, suffix) in [
        ("CustomAttributeLink", "CustomAttributeLink"),
        ("CustomAttributeLinkFrom", "CustomAttributeLinkFrom"),
    ] {
        let rows = site.query(base);
        assert!(!rows.is_empty());
        for row in rows {
            let name = row["__entity_type__"].as_str().unwrap();
            assert!(name.ends_with(suffix) && name != base, "{name}");
        }
    }
    let users =
        "custom_attribute_links any (configuration.key is supervisor and user.username like \"%\")";
    let found = ids(&site, &format!("Context where {users}"));
    let links = site
        .query("select from_id from UserCustomAttributeLink where configuration.key is supervisor");
    let expected: BTreeSet<_> = links
        .iter()
        .map(|link| link["from_id"].as_str().unwrap().to_owned())
        .collect();
    assert!(!expected.is_empty());
    assert_eq!(found, expected);
}

#[test]
fn an_empty_list_finds_nothing_and_two_equal_signs_are_one() {
    let site = Site::start();
    let all = ids(&site, "Task");
    for nothing in [
        "Task where id in ()",
        "Task where name in ( )",
        "Task where bid in ()",
        "Task where status.name in ()",
        "Task where end_date in ()",
        "Task where assignments any (resource.id in ())",
    ] {
        assert!(site.query(nothing).is_empty(), "{nothing}");
    }
    assert_eq!(ids(&site, "Task where id not_in ()"), all);
    assert_eq!(ids(&site, "Task where not (id in ())"), all);
    for (two, one) in [
        ("Project where name == test", "Project where name = test"),
        (
            "Task where status.name == \"Not started\"",
            "Task where status.name is \"Not started\"",
        ),
        ("Task where bid == 0", "Task where bid = 0"),
        ("Task where name==\"anim\"", "Task where name=\"anim\""),
    ] {
        assert_eq!(ids(&site, two), ids(&site, one), "{two}");
    }
    assert_eq!(ids(&site, "Project where name == test").len(), 1);
    for wrong in [
        "Task where name === x",
        "Task where name is anim;",
        "Task where name is a#b",
        "Task where name == ",
        "Task where id in (,)",
        "Task where id in",
    ] {
        site.refused(&json!([{"action": "query", "expression": wrong}]));
    }
}

#[test]
fn mistakes_are_named() {
    let site = Site::start();
    let cases = [
        ("Tsk", "did you mean Task?"),
        ("select nam from Task", "did you mean name?"),
        ("Task where stauts.name is x", "did you mean status?"),
        ("Task where bid is many", "not a number"),
        ("Task where created_at > tomorrow", "not a date-time"),
        (
            "Task where name has (id is x)",
            "has and any need a relation",
        ),
        ("Task where parent[User].name is x", "it holds Context"),
        ("Task order by notes", "cannot be"),
        ("Task where name frob x", "position 16"),
        ("select name from Task group by project_id", "not grouped"),
        ("Task where link is x", "cannot be compared"),
    ];
    for (expression, expected) in cases {
        let (_, content) = site.refused(&json!([{"action": "query", "expression": expression}]));
        assert!(content.contains(expected), "{expression}: {content}");
    }
}

#[test]
fn many_criteria_are_carried_out_or_refused() {
    let site = Site::start();
    // The more a criterion costs, the fewer are carried out before the time limit of a batch.
    for (criterion, count) in [
        ("name is_not x", 1000),
        ("status.name is_not x", 1000),
        ("timelogs any (duration > 0)", 200),
        ("custom_attributes any (key is x)", 50),
    ] {
        for sign in [" and ", " or "] {
            let query = |count: usize| format!("Task where {}", vec![criterion; count].join(sign));
            let found = ids(&site, &query(count));
            assert!(found == ids(&site, &query(1)), "{criterion}{sign}");
            let refused = json!([{"action": "query", "expression": query(10_000)}]);
            let (_, content) = site.refused(&refused);
            let excerpt: String = content.chars().take(100).collect();
            assert!(content.contains("more than 2000 criteria"), "{excerpt}");
        }
    }
}
