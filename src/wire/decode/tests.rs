//! Responses of a server, and what becomes of them.

use super::*;
use crate::error::ErrorKind;
use crate::schema::tests::schema;

fn printed(slot: &Slot) -> String {
    let mut text = Vec::new();
    print(slot, &mut text);
    String::from_utf8(text).unwrap()
}

/// Rows as text: `Type(key) name=value …`, links by row number.
fn shown(rows: &Rows, schema: &Schema) -> Vec<String> {
    let line = |row: &Row| {
        let mut line = format!("{}({})", schema.by_id(row.entity_type).name(), row.key);
        let names = &rows.shapes[row.shape as usize];
        for (name, slot) in names.iter().zip(&rows.slots[row.start as usize..]) {
            let value = match slot {
                Slot::Link(row) => format!("#{row}"),
                Slot::Links(rows) => format!("{rows:?}"),
                other => printed(other),
            };
            line.push_str(&format!(" {}={value}", schema.name(*name)));
        }
        line
    };
    rows.rows.iter().map(line).collect()
}

fn check(body: &str, expected: &[&str]) -> Batch {
    let schema = schema();
    let batch = decode(&schema, &body.as_bytes().into()).unwrap();
    assert_eq!(shown(&batch.rows, &schema), expected);
    batch
}

#[test]
fn nested_entities_become_rows_whatever_the_order_of_members() {
    let batch = check(
        r#"[{"action":"query","data":[
            {"status":{"name":"Open","id":"s1","__entity_type__":"Status"},
             "name":"one","id":"t1","__entity_type__":"Task"},
            {"__entity_type__":"Task","id":"t2","status":{"__entity_type__":"Status","id":"s1"},
             "name":null}
        ],"metadata":{"next":{"offset":2}}}]"#,
        &[
            r#"Status(s1) name="Open""#,
            r##"Task(t1) status=#0 name="one""##,
            "Status(s1)",
            "Task(t2) status=#2 name=null",
        ],
    );
    assert_eq!(batch.replies[0].roots, [1, 3]);
    assert_eq!(batch.replies[0].next_offset, Some(2));
}

#[test]
fn values_of_every_kind() {
    check(
        r#"[{"data":{"__entity_type__":"Task","id":"t","bid":1.5,"sort":3,
            "start_date":{"__type__":"datetime","value":"2022-10-10T10:12:09"},
            "children":[],"link":[{"id":"p","nothing":[1]}],
            "thumbnail_url":{"url":"http://x"},"unheard_of":{"deep":[{}]},
            "description":"caf\u00e9 \"x\""}}]"#,
        &[
            r#"Task(t) bid=1.5 sort=3 start_date="2022-10-10T10:12:09" children=[] link=[{"id":"p","nothing":[1]}] thumbnail_url={"url":"http://x"} description="café \"x\"""#,
        ],
    );
}

#[test]
fn composite_keys_and_free_form_values() {
    check(
        r#"[{"data":[{"__entity_type__":"ContextCustomAttributeValue","entity_id":"e",
            "configuration_id":"c","key":"fstart","value":["a","b"]}]}]"#,
        &[r#"ContextCustomAttributeValue(c, e) key="fstart" value=["a","b"]"#],
    );
}

#[test]
fn references_that_repeat_are_one_row() {
    let batch = check(
        r#"[{"data":[
            {"__entity_type__":"Task","id":"t1","status":{"id":"s1","__entity_type__":"Status"}},
            {"__entity_type__":"Task","id":"t2","status" : {"id":"s1","__entity_type__":"Status"}},
            {"__entity_type__":"Task","id":"t3","status":{"id":"s2","__entity_type__":"Status"}},
            {"__entity_type__":"Task","id":"t4","stat\u0075s":{"id":"s1","__entity_type__":"Status"}}
        ]},{"data":[
            {"__entity_type__":"Task","id":"t5","status":{"id":"s1","__entity_type__":"Status"}}
        ]}]"#,
        &[
            "Status(s1)",
            "Task(t1) status=#0",
            "Task(t2) status=#0",
            "Status(s2)",
            "Task(t3) status=#3",
            "Status(s1)",
            "Task(t4) status=#5",
            "Status(s1)",
            "Task(t5) status=#7",
        ],
    );
    let replies = batch.into_single_replies();
    let schema = schema();
    assert_eq!(
        shown(&replies[1].rows, &schema),
        ["Status(s1)", "Task(t5) status=#0"]
    );
}

#[test]
fn what_only_begins_like_a_reference_is_another() {
    // A brace in a text, and one of an object within.
    check(
        r#"[{"data":[
            {"__entity_type__":"Task","id":"t1","status":{"name":"}","id":"s1","__entity_type__":"Status"}},
            {"__entity_type__":"Task","id":"t2","status":{"name":"}","id":"s2","__entity_type__":"Status"}},
            {"__entity_type__":"Task","id":"t3",
             "parent":{"status":{"id":"s1","__entity_type__":"Status"},"id":"p1","__entity_type__":"Task"}},
            {"__entity_type__":"Task","id":"t4",
             "parent":{"status":{"id":"s1","__entity_type__":"Status"},"id":"p2","__entity_type__":"Task"}}
        ]}]"#,
        &[
            r#"Status(s1) name="}""#,
            "Task(t1) status=#0",
            r#"Status(s2) name="}""#,
            "Task(t2) status=#2",
            "Status(s1)",
            "Task(p1) status=#4",
            "Task(t3) parent=#5",
            "Task(p2) status=#4",
            "Task(t4) parent=#7",
        ],
    );
}

#[test]
fn free_form_data_that_looks_like_a_reference_stays_as_it_is() {
    check(
        r#"[{"data":[{"__entity_type__":"Task","id":"t","status":{"__entity_type__":"Status","id":"s"},
            "link":{"__entity_type__":"Status","id":"s"}}]}]"#,
        &[
            "Status(s)",
            r#"Task(t) status=#0 link={"__entity_type__":"Status","id":"s"}"#,
        ],
    );
}

/// A row with what it links to in its place.
fn in_full(rows: &Rows, schema: &Schema, number: u32) -> String {
    let row = &rows.rows[number as usize];
    let names = &rows.shapes[row.shape as usize];
    let slots = names.iter().zip(&rows.slots[row.start as usize..]);
    let values = slots.map(|(name, slot)| {
        let value = match slot {
            Slot::Link(row) => in_full(rows, schema, *row),
            Slot::Links(links) => {
                let links = links.iter().map(|row| in_full(rows, schema, *row));
                format!("{:?}", links.collect::<Vec<_>>())
            }
            other => printed(other),
        };
        format!("{}={value}", schema.name(*name))
    });
    let values: Vec<String> = values.collect();
    format!("{}({values:?})", row.key)
}

#[test]
fn remembering_references_changes_nothing() {
    let values = [
        r#"{"id":"s1","__entity_type__":"Status"}"#,
        r#" {"id":"s1","__entity_type__":"Status"}"#,
        r#"{"id":"s1","__entity_type__":"Task"}"#,
        r#"{"id":"s1","name":"}","__entity_type__":"Status"}"#,
        r#"{"id":"s1","name":"}\"}","__entity_type__":"Status"}"#,
        r#"{"id":"s1","name":"}","sort":1,"__entity_type__":"Status"}"#,
        r#"{"id":"s1","status":{"id":"s2","__entity_type__":"Status"},"__entity_type__":"Task"}"#,
        r#"{"id":"s1","status":{"id":"s2","__entity_type__":"Status"},"__entity_type__":"Status"}"#,
        r#"{"id":"s1","children":[{"id":"t","__entity_type__":"Task"}],"__entity_type__":"Task"}"#,
        r#"{"id":"s1","children":[],"__entity_type__":"Task"}"#,
        r#"{"id":"s1","name":{},"__entity_type__":"Task"}"#,
        r#"{"__type__":"date","value":"2026-01-02"}"#,
        r#""{\"id\":\"s1\",\"__entity_type__\":\"Status\"}""#,
        "{}",
        "null",
        r#"{"id":"s1","__entity_type__":"Nothing"}"#,
        r#"{"id":"s1","__entity_type__":"Status""#,
    ];
    let schema = schema();
    let read = |body: &str| {
        let batch = decode(&schema, &body.as_bytes().into());
        let batch = batch.map_err(|error| {
            let text = error.to_string();
            text.split(" at line").next().unwrap().to_owned()
        })?;
        let roots = batch.replies.iter().flat_map(|reply| &reply.roots);
        let rows = roots.map(|row| in_full(&batch.rows, &schema, *row));
        Ok::<_, String>(rows.collect::<Vec<_>>())
    };
    for first in values {
        for second in values {
            for third in values {
                let task = |number: usize, value: &str| {
                    format!(r#"{{"__entity_type__":"Task","id":"t{number}","status":{value}}}"#)
                };
                let tasks = [task(1, first), task(2, second), task(3, third)].join(",");
                let body = format!(r#"[{{"data":[{tasks}]}}]"#);
                // Names with escapes are copies, after which nothing is remembered.
                let plainly = body.replace(r#""status":"#, r#""stat\u0075s":"#);
                assert_eq!(read(&body), read(&plainly), "{body}");
            }
        }
    }
}

#[test]
fn typed_values_in_any_order_of_members() {
    let date = |given: &str, expected: &str| {
        let body =
            format!(r#"[{{"data":{{"__entity_type__":"Task","id":"t","start_date":{given}}}}}]"#);
        let schema = schema();
        match decode(&schema, &body.as_bytes().into()) {
            Ok(batch) => assert_eq!(
                shown(&batch.rows, &schema),
                [format!("Task(t) start_date=\"{expected}\"")]
            ),
            Err(error) => assert!(error.to_string().contains(expected), "{error}"),
        }
    };
    let noon = "2026-01-02T12:00:00";
    date(
        r#"{"__type__":"datetime","value":"2026-01-02T12:00:00"}"#,
        noon,
    );
    date(
        r#"{"value":"2026-01-02T12:00:00","__type__":"datetime"}"#,
        noon,
    );
    date(
        r#"{"x":1,"value":"soon","value":"2026-01-02T12:00:00","__type__":"datetime"}"#,
        noon,
    );
    date(
        r#"{"value":"2026-01-02","__type__":"date","name":[{}]}"#,
        "2026-01-02",
    );
    date(
        r#"{"__type__":"datetime"}"#,
        "the value of type \"datetime\" is not a text at line 1 column 80",
    );
    date(
        r#"{"__type__":"date","value":7}"#,
        "the value of type \"date\" is not a text at line 1",
    );
    // What the server calls a date and is none.
    date(r#"{"__type__":"datetime","value":"soon"}"#, "soon");
    date(r#"{"value":"0000-00-00","__type__":"date"}"#, "0000-00-00");
    date(
        r#"{"value":"x","__type__":"clock"}"#,
        "a value has the unknown type \"clock\"",
    );
}

#[test]
fn plain_json_keeps_its_empty_lists() {
    check(
        r#"[{"data":{"__entity_type__":"Task","id":"t","name":{"description":[],"x":[[],1]}}}]"#,
        &[r#"Task(t) name={"description":[],"x":[[],1]}"#],
    );
}

#[test]
fn a_deletion_replies_with_true() {
    let batch = check(r#"[{"action":"delete","data":true}]"#, &[]);
    assert!(batch.replies[0].roots.is_empty());
}

#[test]
fn bad_responses_are_errors_that_say_what_is_wrong() {
    let schema = schema();
    let deep = format!(r#"[{{"data":{}"#, "[".repeat(100_000));
    for (body, says) in [
        ("", "EOF"),
        ("<html>", "expected value"),
        (r#"[{"data":[{"__entity_type__":"Task""#, "EOF"),
        (
            r#"[{"data":[{"__entity_type__":"Tusk","id":"t"}]}]"#,
            "did you mean \"Task\"?",
        ),
        (
            r#"[{"data":[{"__entity_type__":"Task"}]}]"#,
            "no key attribute \"id\"",
        ),
        (r#"[{"data":[{"id":"t"}]}]"#, "no entity type"),
        (r#"[{"data":[1]}]"#, "an entity"),
        (r#"{"version":"dev"}"#, "a list"),
        (r#"[] trailing"#, "trailing"),
        (
            r#"[{"exception":"ServerError","content":"no"}]"#,
            "a reply is an exception: ServerError",
        ),
        (&deep, "expected an entity"),
    ] {
        let error = decode(&schema, &body.as_bytes().into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadResponse);
        assert!(error.to_string().contains(says), "{error} for {says}");
    }
}

#[test]
fn free_form_values_are_compact_text() {
    let link = |given: &str, kept: &str| {
        check(
            &format!(r#"[{{"data":{{"__entity_type__":"Task","id":"t","link":{given}}}}}]"#),
            &[&format!("Task(t) link={kept}")],
        );
    };
    link(
        r#"[ {"name" : "a\u00fc\n\"" , "n" : [ 1 , -2.5 , true , null ] } , { } ]"#,
        r#"[{"name":"aü\n\"","n":[1,-2.5,true,null]},{}]"#,
    );
    link("[]", "[]");
    link(r#"{"a": {"__type__": "x"}}"#, r#"{"a":{"__type__":"x"}}"#);
    let schema = schema();
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    for unreadable in [r#"["\ud800"]"#, "[1e999]", "[1,]", &deep] {
        let body =
            format!(r#"[{{"data":{{"__entity_type__":"Task","id":"t","link":{unreadable}}}}}]"#);
        let error = decode(&schema, &body.as_bytes().into()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadResponse, "{unreadable}");
    }
}
