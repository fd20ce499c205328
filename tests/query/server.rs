//! The language against a server: texts that it accepts, and values that come back as they were.

use ftrack_api::query::{Statement, field, select};
use ftrack_api::{data, expr};

use crate::support::{emulator, open};

#[test]
fn any_text_comes_back_from_the_server() {
    let server = emulator();
    let session = open(&server);
    let texts = [
        "plain",
        "it's",
        "say \"hi\"",
        "C:\\temp\\new",
        "\\",
        "\\\"",
        "a\nb\tc",
        "漢字 🎬 Åke",
        "limit 5",
        "x\" or name like \"%",
        "{} {name}",
        "none",
        "100%",
    ];
    for text in texts {
        let user = session
            .create("User", data! { "first_name": text })
            .unwrap();
        session.commit().unwrap();
        let id: String = user.get("id").unwrap();
        for query in [
            session
                .query(expr!("User where first_name is {} and id is {}", text, id))
                .unwrap(),
            session
                .query(expr!(
                    "select first_name from User where first_name in {}",
                    [text]
                ))
                .unwrap(),
            session
                .query(select("User").filter(field("first_name").eq(text)))
                .unwrap(),
        ] {
            let found = query
                .one()
                .unwrap_or_else(|error| panic!("{text:?}: {error}"));
            assert_eq!(found.get::<String>("id").unwrap(), id);
            assert_eq!(found.get::<String>("first_name").unwrap(), text);
        }
    }
}

/// What the documentation shows, in our own printing, with names of this schema.
#[test]
fn a_server_takes_what_is_printed() {
    let server = emulator();
    let session = open(&server);
    for text in [
        "Project where status is active and (name like \"%e%\" or full_name like \"%thrones\")",
        "select versions.components.name from Asset limit 2",
        "Task where project.name is test and status.state.short is not_started limit 2",
        "Task where timelogs.start >= \"2018-05-25T00:00:00+02:00\" limit 2",
        "Note where author has (first_name is \"Jane\" and last_name is \"Doe\")",
        "Project where metadata any (key=some_key and value=some_value)",
        "User where not timelogs any () limit 2",
        "Task where start_date after \"2015-06-01\" and end_date before 2099-06-01 and bid >= 0 limit 2",
        "Task where status.name in (\"In progress\", Approved) and status.name not_in (\"On Hold\") limit 2",
        "Task where name not_like \"%thrones\" and bid != -1.5 limit 2",
        "AssetVersion where asset is_not None order by version desc, id asc limit 2",
        "Task where assignments any (resource.username = \"x\")",
        "Task where custom_attributes any (key is \"customNumber\" and value is \"1\")",
        "Task where custom_attribute_links any (configuration.key is \"a\" and user.username is \"b\")",
        "Note where author.id in (select id from User where username is \"jenkins\") limit 2",
        "Setting where name is \"storage_scenario\"and group is \"STORAGE\"",
        "select from, to from AssetVersionLink where from.id is a or to.id is b",
        "Task where parent[Shot].name like \"%0%\" limit 2",
        "Task where name in ()",
        "Task limit 0",
        "Task offset 3 limit 2",
        "Task where name is \"time limit 5 frames\" limit 3",
    ] {
        let statement: Statement = text.parse().unwrap();
        statement.check(session.schema()).unwrap();
        let entities = session.query(&statement).unwrap().all();
        let entities = entities.unwrap_or_else(|error| panic!("{text}: {error}"));
        let limit = statement.limit.unwrap_or(u64::MAX);
        assert!(entities.len() as u64 <= limit, "{text}");
    }
}

/// The ids that paging finds while the first row of the first page is deleted on the way.
fn ids_found(stable: bool) -> (Vec<String>, Vec<String>) {
    let server = emulator();
    let session = open(&server);
    let all = session.query("select id from Task").unwrap().all().unwrap();
    let query = session.query("select id from Task").unwrap();
    let query = query.page_size(7).pages_per_request(1).stable(stable);
    let mut found = Vec::new();
    for page in query.pages() {
        let rows = page.unwrap();
        if found.is_empty() {
            session.delete(&rows[0]).unwrap();
            session.commit().unwrap();
        }
        found.extend(rows.iter().map(|row| row.key().id()));
    }
    let mut all: Vec<String> = all.iter().map(|task| task.key().id()).collect();
    all.sort();
    found.sort();
    (all, found)
}

#[test]
fn stable_paging_misses_nothing_while_rows_go() {
    let (all, found) = ids_found(true);
    assert_eq!(found, all);
    let (all, found) = ids_found(false);
    assert_eq!(
        found.len(),
        all.len() - 1,
        "by offset, the row that moved up is missed"
    );
}
