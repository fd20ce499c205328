//! What queries ask the server for, which a server that adds what is missing would hide.

use ftrack_api::query::Aggregate;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use crate::batches::{Mode, Watched};
use crate::support::emulator;

#[derive(Deserialize)]
struct Load {
    #[serde(rename = "status_id")]
    _status: String,
}

/// It contains itself, so its fields cannot be told.
#[derive(Deserialize)]
struct Nested {
    parent: Option<Box<Self>>,
}

#[test]
fn rows_without_projections_ask_for_what_is_read() {
    let server = emulator();
    let watched = Watched::new(Mode::Passed);
    let session = watched.session(&server);
    let task_type = session.schema().entity_type("Task").unwrap();
    let defaults = task_type.default_projections().join(", ");
    let defaults = format!("select {defaults} from Task offset 0 limit 1");
    let tasks = session.select("Task").limit(1);
    assert_eq!(tasks.rows::<IgnoredAny>().count(), 1);
    assert_eq!(watched.query(), defaults);
    let seed = std::marker::PhantomData::<IgnoredAny>;
    assert_eq!(tasks.rows_with(seed).count(), 1);
    assert_eq!(watched.query(), defaults);
    tasks.rows::<Load>().next().unwrap().unwrap();
    assert_eq!(
        watched.query(),
        "select status_id from Task offset 0 limit 1"
    );
    let named = tasks.fields(["name"]);
    assert_eq!(named.rows_with(seed).count(), 1);
    assert_eq!(watched.query(), "select name from Task offset 0 limit 1");
    let nested = named.fields(["parent.name"]);
    let row = nested.rows::<Nested>().next().unwrap().unwrap();
    assert!(row.parent.is_some());
}

#[test]
fn rows_of_groups_have_no_default_projections() {
    let server = emulator();
    let watched = Watched::new(Mode::Passed);
    let session = watched.session(&server);
    let groups = session.select("Task").group_by("status_id");
    let seed = std::marker::PhantomData::<IgnoredAny>;
    for rows in [groups.rows::<IgnoredAny>(), groups.rows_with(seed)] {
        let _ = rows.last();
        assert_eq!(watched.query(), "Task group by status_id");
    }
    groups.rows::<Load>().next().unwrap().unwrap();
    let sent = watched.query();
    assert_eq!(sent, "select status_id from Task group by status_id");
    let counted = groups.aggregate(Aggregate::Count, "id");
    assert!(counted.rows_with(seed).count() > 1);
    let sent = watched.query();
    assert_eq!(sent, "select count(id) from Task group by status_id");
}

#[test]
fn a_search_says_what_it_searches() {
    let server = emulator();
    let watched = Watched::new(Mode::Passed);
    let session = watched.session(&server);
    let mut search = session.search("select name from Task", ["anim"]).unwrap();
    let mut expected = json!({
        "action": "search",
        "expression": "select name from Task",
        "entity_type": "Task",
        "terms": ["anim"],
    });
    search.all().unwrap();
    assert_eq!(watched.requests(), [[expected.clone()]]);
    let types = ["01decdd1-51cb-11e3-9d5b-20c9d0831e59"];
    search = search.object_types(types);
    expected["object_type_ids"] = json!(types);
    search.all().unwrap();
    assert_eq!(watched.requests(), [[expected.clone()]]);
    let project = session.select("Project").first().unwrap().unwrap();
    watched.requests();
    expected["context_id"] = project.id().into();
    search.below(&project).all().unwrap();
    assert_eq!(watched.requests(), [[expected]]);
}
