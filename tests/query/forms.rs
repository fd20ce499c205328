//! Every documented form of the language: what it is read as, shown by printing it.

use ftrack_api::query::{Kind, Literal, Statement, field, select};

/// Reads `text`, prints it, and reads that again.
#[track_caller]
fn check(text: &str, printed: &str) {
    let statement: Statement = text.parse().unwrap();
    assert_eq!(statement.to_string(), printed);
    assert_eq!(printed.parse::<Statement>().unwrap(), statement);
    assert_eq!(statement.expression().unwrap(), printed);
}

/// Texts that print as they are written.
#[track_caller]
fn same(texts: &[&str]) {
    for text in texts {
        check(text, text);
    }
}

/// What the official clients send.
#[test]
fn forms_that_the_official_clients_send() {
    same(&[
        "select versions.components.name from Asset",
        "select children, children.children, children.assignments.resource from Project",
        "User where username is jenkins",
        "Timer where user_id is \"d07ae5d0-66e1-11e1-b5e9-f23c91df25eb\"",
        "Task where id is d07ae5d0-66e1-11e1-b5e9-f23c91df25eb",
        "Task where metadata.key is 5671dcb066de11e18e6ef23c91df25eb",
        "Timelog where duration is 10 and start is \"2026-11-23T07:03:24\"",
        "Task where scopes.name is test-5671dcb0-66de-11e1-8e6e-f23c91df25eb",
        "Task where metadata.key is A and metadata.value is B",
        "Task where custom_attributes.configuration.key is fstart",
        "select value from Setting where name is \"storage_scenario\" and group is \"STORAGE\"",
        "select name, label, description from Location",
        "select from, to from AssetVersionLink where from.id is a and to.id is b",
        "Task offset 2 limit 1",
        "Task offset 0 limit 500",
    ]);
    check(
        "Timer where user_id = \"x\"",
        "Timer where user_id is \"x\"",
    );
    check("Task where name == 'a'", "Task where name is \"a\"");
    check(
        "Task where name is größe_1",
        "Task where name is \"größe_1\"",
    );
    check("Task where name is order", "Task where name is \"order\"");
    check(
        "AssetVersion where asset is_not None",
        "AssetVersion where asset is_not none",
    );
    check(
        "Component where id in (a,b,d07ae5d0-66e1-11e1-b5e9-f23c91df25eb)",
        "Component where id in (a, b, d07ae5d0-66e1-11e1-b5e9-f23c91df25eb)",
    );
    check("Task where (id is \"x\")", "Task where id is \"x\"");
    check(
        "select value from X where (configuration_id is \"x\"and entity_id is \"y\") or \
         (configuration_id is \"z\"and entity_id is \"y\")",
        "select value from X where configuration_id is \"x\" and entity_id is \"y\" or \
         configuration_id is \"z\" and entity_id is \"y\"",
    );
    check(
        "select  name  from Task  offset  0  limit 2 ",
        "select name from Task offset 0 limit 2",
    );
    check(
        "select name from Task\n\twhere name is x\n",
        "select name from Task where name is x",
    );
}

/// What servers accept, and the official page on querying.
#[test]
fn forms_that_are_documented() {
    same(&[
        "Project",
        "Project where status is active",
        "Project where status is active and name like \"%thrones\"",
        "Project where status is active and (name like \"%thrones\" or full_name like \"%thrones\")",
        "Task where project.id is \"x\" and status.type.name is \"Done\"",
        "Task where timelogs.start >= \"2018-05-25T00:00:00+02:00\"",
        "Note where author has (first_name is \"Jane\" and last_name is \"Doe\")",
        "User where not timelogs any ()",
        "Task where status.type.name in (\"In Progress\", \"Done\")",
        "Task where status.name not_in (\"Omitted\", \"On Hold\")",
        "Task where name not_like \"%thrones\"",
        "Task where bid >= 10 and bid <= 10",
        "Task where start_date > 2015-06-01 and end_date < 2018-05-25T10:00:00",
        "Task where custom_attributes any (key is \"my_text_field\" and value is \"bar\")",
        "Task where assignments any (resource.username is \"x\")",
        "Task where custom_attribute_links any (configuration.key is \"a\" and user.username is \"b\")",
        "Task where custom_attribute_links_from any (configuration.key is a and context.bid > 1)",
        "Note where not author has (username is \"john.doe\") and replies any (content like \"%a_\")",
        "Note where author_id in (select id from User where username is \"john.doe\")",
        "AssetVersion where parent_id not_in (select id from Task where bid > -1.5 limit 10)",
        "AssetVersion order by version descending",
        "AssetVersion order by sort descending, name",
        "Task where user is d07ae5d0-66e1-11e1-b5e9-f23c91df25eb",
        "Task where status is none and priority is_not none and active is true",
        "Task where parent[Folder].name is x and parent[Sequence] has (bid > 1)",
        "select parent[Folder].name from Task order by parent[Folder].name",
        "select count(id) from Task group by project_id, status_id",
        "select status_id, sum(bid), avg(bid), min(bid), max(bid) from Task group by status_id",
        "Task where name is anim order by name group by status_id offset 3 limit 4",
        "Task where assignee_id is CURRENT_USER_ID and name is a@b.c+d*e:f%g/h",
    ]);
    check(
        "Project where metadata any (key=some_key and value=some_value)",
        "Project where metadata any (key is some_key and value is some_value)",
    );
    check(
        "Task where start after \"2015-06-01\" and end before '2015-06-01' and a greater_than 1 \
         and b less_than 2 and c != 3",
        "Task where start > \"2015-06-01\" and end < \"2015-06-01\" and a > 1 and b < 2 and \
         c is_not 3",
    );
    check(
        "AssetVersion order by created_at asc",
        "AssetVersion order by created_at",
    );
    check(
        "AssetVersion order by sort desc, name asc",
        "AssetVersion order by sort descending, name",
    );
    check(
        "Task where a is True and b is null",
        "Task where a is true and b is none",
    );
}

#[test]
fn limits_are_found_in_the_syntax_only() {
    let text = "Task where name is \"time limit 5 frames\" limit 3";
    check(text, text);
    let statement: Statement = text.parse().unwrap();
    assert_eq!((statement.offset, statement.limit), (None, Some(3)));
    check(
        "Task where name is limit limit 3",
        "Task where name is \"limit\" limit 3",
    );
    check(
        "Task where name is 'offset 2'",
        "Task where name is \"offset 2\"",
    );
}

#[test]
fn clauses_in_any_order_and_keywords_in_any_case() {
    check(
        "SELECT name FROM Task WHERE NOT (name IS x OR bid IN (1)) LIMIT 1 OFFSET 2 GROUP BY a \
         ORDER BY b DESC",
        "select name from Task where not (name is x or bid in (1)) order by b descending \
         group by a offset 2 limit 1",
    );
}

#[test]
fn names_like_keywords_and_values_like_keywords() {
    same(&[
        "select group, order, limit, count, select from T order by order, desc descending",
        "T where group is a and order is b and limit > 1 and in in (a) and any any () and is is x",
        "T where from.to is x and where is y and select in (a) and has has (any is z)",
        "T group by group, by",
    ]);
    check(
        "T where a is and and b in (or, not)",
        "T where a is \"and\" and b in (\"or\", \"not\")",
    );
    check(
        "T where a is Åke and b is hi%",
        "T where a is \"Åke\" and b is hi%",
    );
}

#[test]
fn and_binds_tighter_and_parentheses_stay_where_they_matter() {
    same(&[
        "T where a is 1 or b is 2 and c is 3",
        "T where (a is 1 or b is 2) and c is 3",
        "T where not (a is 1 and b is 2) or not c is 3",
        "T where not (not a is 1 or b is 2)",
        "T where () or a is 1",
        "T where r any (()  or a is 1)".replace("  ", " ").as_str(),
    ]);
    check(
        "T where ((a is 1) and (b is 2 and (c is 3)))",
        "T where a is 1 and b is 2 and c is 3",
    );
    check("T where not not not (a is 1)", "T where not a is 1");
}

#[test]
fn texts_survive_whatever_is_in_them() {
    for text in [
        "",
        "\"",
        "'",
        "\\",
        "\\\"",
        "C:\\temp\\new",
        "a\nb\r\n\tc",
        "\u{0}\u{7f}",
        "漢字 🎬",
        "{}",
        "%_",
    ] {
        let statement = select("T").filter(field("name").eq(text));
        let Some(Kind::Compare {
            value: Literal::Text(back),
            ..
        }) = statement
            .to_string()
            .parse::<Statement>()
            .unwrap()
            .filter
            .map(|it| it.kind().clone())
        else {
            panic!("not a comparison: {statement}");
        };
        assert_eq!(back, text);
    }
}

#[test]
fn backslashes() {
    check(r#"T where a is "C:\temp""#, r#"T where a is "C:\\temp""#);
    check(
        r#"T where a is 'it\'s "x"'"#,
        r#"T where a is "it's \"x\"""#,
    );
    check(r#"T where a like "100\%""#, r#"T where a like "100\\%""#);
}
