//! The query language from outside: every documented form, its errors, and its laws.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::borrow::Cow;
use std::thread;

use ftrack_api::query::{
    Aggregate, Criterion, Kind, Literal, MAX_DEPTH, Operator, Order, Path, Projection, Set,
    Statement, Word, all_of, any_of, field, select,
};
use ftrack_api::{EntityKey, ErrorKind, Value, expr};
use jiff::civil::date;
use proptest::prelude::*;

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

/// SERVER.md C1: what the official clients send.
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

/// SERVER.md C2, and the official page on querying.
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
        "T where a is Åke and b is hi! and c is [x]",
        "T where a is \"Åke\" and b is \"hi!\" and c is \"[x]\"",
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

/// Reading `text` fails, and the message begins so.
#[track_caller]
fn fails(text: &str, message: &str) {
    let error = text.parse::<Statement>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Syntax);
    let shown = error.to_string();
    let shown = shown.strip_prefix("cannot read the query: ").unwrap();
    assert!(shown.starts_with(message), "{shown}");
}

#[test]
fn errors_say_what_was_expected_and_where() {
    for (text, message) in [
        ("", "expected an entity type, found the end, at column 1"),
        (
            "select",
            "expected an attribute, found the end, at column 7",
        ),
        (
            "select from Task",
            "expected `,` or `from`, found `Task`, at column 13",
        ),
        (
            "select name, from Task",
            "expected `,` or `from`, found `Task`, at column 19",
        ),
        (
            "select a b from Task",
            "expected `,` or `from`, found `b`, at column 10",
        ),
        (
            "select frobnicate(id) from Task",
            "expected `count`, `sum`, `avg`, `min` or `max` before `(`, found `frobnicate`, at column 8",
        ),
        (
            "select count(id from Task",
            "expected `)`, found `from`, at column 17",
        ),
        (
            "Task[x]",
            "expected an entity type, found `Task[x]`, at column 1",
        ),
        (
            "\"Task\"",
            "expected an entity type, found a quoted text, at column 1",
        ),
        (
            "Task were name is x",
            "expected `where`, `order by`, `group by`, `offset`, `limit` or the end, found `were`, at column 6",
        ),
        (
            "Task where",
            "expected an attribute, found the end, at column 11",
        ),
        ("Task where name", "expected an operator: `is`, `is_not`,"),
        (
            "Task where name like",
            "expected a value, found the end, at column 21",
        ),
        (
            "Task where name is",
            "expected a value, found the end, at column 19",
        ),
        (
            "Task where name is x y",
            "expected `and`, `or`, `order by`,",
        ),
        (
            "Task where name is x and",
            "expected an attribute, found the end, at column 25",
        ),
        ("Task where name ~ x", "expected an operator: "),
        (
            "Task where name == x",
            "write `==` as `=` or `is`, at column 17",
        ),
        (
            "Task where name <> x",
            "write `<>` as `!=` or `is_not`, at column 17",
        ),
        (
            "Task where name is not none",
            "write `is_not` as one word, at column 20",
        ),
        (
            "Task where name not in (x)",
            "write `not_in`, `not_like` or `is_not` as one word, at column 17",
        ),
        (
            "Task where na-me is x",
            "expected an attribute, found `na-me`, at column 12",
        ),
        (
            "Task where a..b is x",
            "expected an attribute, found `a..b`, at column 12",
        ),
        (
            "Task where parent[x is 1",
            "expected an attribute, found `parent[x`, at column 12",
        ),
        (
            "Task where name is \"x",
            "the text that starts here has no closing \", at column 20",
        ),
        (
            "Task where name is 'x\\'",
            "the text that starts here has no closing ', at column 20",
        ),
        (
            "Task where name is a\\b",
            "a value with a backslash must stand in quotes, at column 21",
        ),
        (
            "Task where (name is x",
            "expected `)`, found the end, at column 22",
        ),
        (
            "Task where name is x)",
            "expected `and`, `or` or the end, found `)`, at column 21",
        ),
        (
            "Task where name in x",
            "expected `(`, found `x`, at column 20",
        ),
        (
            "Task where name in (x",
            "expected `)`, found the end, at column 22",
        ),
        (
            "Task where name in (x y)",
            "expected `)`, found `y`, at column 23",
        ),
        (
            "Task where name in (,)",
            "expected a value, found `,`, at column 21",
        ),
        (
            "Task where notes any x",
            "expected `(`, found `x`, at column 22",
        ),
        (
            "Task where notes any (content is x",
            "expected `)`, found the end, at column 35",
        ),
        (
            "Task limit",
            "expected a number after `limit`, found the end, at column 11",
        ),
        (
            "Task limit x",
            "expected a whole number after `limit`, found `x`, at column 12",
        ),
        (
            "Task limit 1.5",
            "expected a whole number after `limit`, found `1.5`, at column 12",
        ),
        (
            "Task limit \"3\"",
            "expected a number after `limit`, found a quoted text, at column 12",
        ),
        (
            "Task limit -1",
            "the number after `limit` is below zero, at column 12",
        ),
        (
            "Task offset -1 limit 1",
            "the number after `offset` is below zero, at column 13",
        ),
        (
            "Task limit 99999999999999999999",
            "the number after `limit` is too large, at column 12",
        ),
        (
            "Task limit 1 limit 2",
            "this clause is given twice, at column 14",
        ),
        (
            "Task order name",
            "expected `by`, found `name`, at column 12",
        ),
        (
            "Task order by",
            "expected an attribute, found the end, at column 14",
        ),
        (
            "Task limit 1 where name is x",
            "expected `where`, `order by`,",
        ),
        (
            "Task where id in (select id from Task offset 3)",
            "a sub-query with an offset needs a limit",
        ),
        (
            "Task;",
            "expected an entity type, found `Task;`, at column 1",
        ),
    ] {
        fails(text, message);
    }
}

#[test]
fn errors_underline_the_place() {
    let error = "Task where name is x nmae is y"
        .parse::<Statement>()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot read the query: expected `and`, `or`, `order by`, `group by`, `offset`, `limit` \
         or the end, found `nmae`, at column 22\n  \
         Task where name is x nmae is y\n                       ^^^^"
    );
}

/// In a thread with as little stack as the main thread has on Windows.
fn on_a_small_stack(test: fn()) {
    thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(test)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn deep_nesting_is_an_error_not_an_overflow() {
    on_a_small_stack(|| {
        for (open, close) in [
            ("(", ")"),
            ("not ", ""),
            ("a any (", ")"),
            ("a in (select id from T where ", ")"),
        ] {
            for depth in [MAX_DEPTH + 3, 100_000] {
                let text = format!(
                    "T where {}a is 1{}",
                    open.repeat(depth),
                    close.repeat(depth)
                );
                fails(&text, "this is nested more than 100 levels deep");
                fails(
                    &format!("T where {}", open.repeat(depth)),
                    "this is nested more than",
                );
            }
            let text = format!("T where {}a is 1{}", open.repeat(75), close.repeat(75));
            let statement: Statement = text.parse().unwrap();
            assert_eq!(
                statement.to_string().parse::<Statement>().unwrap(),
                statement.clone()
            );
        }
        let text = format!(
            "T where {}a is 1{}",
            "a is 1 and (b is 2 or ".repeat(75),
            ")".repeat(75)
        );
        fails(&text, "the condition is nested more than 100 levels deep");
    });
}

#[test]
fn deep_building_is_an_error_not_an_overflow() {
    on_a_small_stack(|| {
        let mut tower = field("a").eq(1);
        for _ in 0..100_000 {
            tower = tower.and(field("b").eq(2)).or(field("c").eq(3));
        }
        let error = select("T").filter(tower.clone()).expression().unwrap_err();
        assert!(
            error
                .to_string()
                .contains("nested more than 100 levels deep"),
            "{error}"
        );

        let mut list = field("a").eq(1);
        for _ in 0..100_000 {
            list = list.and(field("b").eq(2));
        }
        let statement = select("T").filter(list);
        assert_eq!(
            statement
                .expression()
                .unwrap()
                .parse::<Statement>()
                .unwrap(),
            statement
        );
    });
}

#[test]
fn the_deepest_tree_prints_and_reads() {
    on_a_small_stack(|| {
        let mut tree: Criterion = Kind::Not(Box::new(Kind::And(vec![]).into())).into();
        for level in 1..MAX_DEPTH {
            tree = match level % 4 {
                0 => tree.and(field("a").eq(1)),
                1 => tree.or(field("b").eq(2)),
                2 => field("c").any(tree),
                _ => field("d").in_select(select("T").filter(tree)),
            };
        }
        let statement = select("T").filter(tree.clone());
        assert_eq!(
            statement
                .expression()
                .unwrap()
                .parse::<Statement>()
                .unwrap(),
            statement
        );
        assert!(
            select("T")
                .filter(field("c").any(tree))
                .expression()
                .is_err()
        );
    });
}

#[test]
fn holes_take_values_of_every_kind() {
    let shot = EntityKey::new("Shot", "ab12");
    let other = EntityKey::new("Shot", "cd34");
    let none: [&str; 0] = [];
    let moment = "2026-01-02T03:04:05.678+02:00"
        .parse::<jiff::Timestamp>()
        .unwrap();
    let id = uuid::Uuid::from_u128(1);
    let wide = field("key").eq("lens");
    let shots = select("Shot").filter(field("bid").gt(1));
    for (expression, expected) in [
        (
            expr!("name is {}", "it's \"x\\y\""),
            r#"name is "it's \"x\\y\"""#,
        ),
        (
            expr!("name is {}", String::from("a\nb")),
            "name is \"a\nb\"",
        ),
        (expr!("name is {}", Cow::Borrowed("a")), "name is \"a\""),
        (
            expr!("name={}and bid>{}", "a", -3),
            "name is \"a\" and bid > -3",
        ),
        (expr!("bid in ({},{})", 1.5, 2_u64), "bid in (1.5, 2)"),
        (expr!("bid in {}", [1, 2]), "bid in (1, 2)"),
        (expr!("bid in {}", &[1, 2][..]), "bid in (1, 2)"),
        (expr!("bid not_in ({})", vec![1, 2]), "bid not_in (1, 2)"),
        (expr!("name in {}", none), "name in ()"),
        (
            expr!("a is {} and b is_not {}", true, None::<i32>),
            "a is true and b is_not none",
        ),
        (expr!("a is {}", Some("x")), "a is \"x\""),
        (expr!("d > {}", date(2026, 1, 2)), "d > \"2026-01-02\""),
        (
            expr!("d > {}", date(2026, 1, 2).at(3, 4, 5, 999)),
            "d > \"2026-01-02T03:04:05\"",
        ),
        (expr!("d > {}", moment), "d > \"2026-01-02T01:04:05\""),
        (
            expr!("id is {}", id),
            "id is \"00000000-0000-0000-0000-000000000001\"",
        ),
        (expr!("parent is {}", &shot), "parent.id is \"ab12\""),
        (
            expr!("parent_id is {} or id is_not {}", shot, shot),
            "parent_id is \"ab12\" or id is_not \"ab12\"",
        ),
        (
            expr!("parent in {}", [&shot, &other]),
            "parent.id in (\"ab12\", \"cd34\")",
        ),
        (
            expr!("parent in ({}, {})", shot, other),
            "parent.id in (\"ab12\", \"cd34\")",
        ),
        (expr!("a is {}", Value::Text("x".into())), "a is \"x\""),
        (
            expr!("a in {}", Value::Collection(vec![shot.clone()])),
            "a.id in (\"ab12\")",
        ),
        (
            expr!("metadata any ({})", wide),
            "metadata any (key is \"lens\")",
        ),
        (
            expr!("not {} and ({} or {})", wide, wide, wide),
            "not key is \"lens\" and (key is \"lens\" or key is \"lens\")",
        ),
        (
            expr!("parent_id in {}", shots),
            "parent_id in (select id from Shot where bid > 1)",
        ),
        (
            expr!("parent_id in ({})", shots),
            "parent_id in (select id from Shot where bid > 1)",
        ),
        (
            expr!("name is \"{{}}\" and bid is {}", 1),
            "name is \"{}\" and bid is 1",
        ),
        (expr!("name is 'a \\' {{'"), "name is \"a ' {\""),
    ] {
        assert_eq!(expression.criterion().unwrap().to_string(), expected);
        let text = select("T").filter(expression).expression().unwrap();
        assert_eq!(text, format!("T where {expected}"));
        if !expected.contains("{}") {
            text.parse::<Statement>().unwrap();
        }
    }
    let paged = expr!(
        "Task where name is {} offset {} limit {}",
        "limit 5",
        2,
        3_u8
    );
    assert_eq!(
        paged.statement().unwrap().to_string(),
        "Task where name is \"limit 5\" offset 2 limit 3"
    );
}

#[test]
fn holes_refuse_what_cannot_stand_there() {
    let setting = EntityKey::composite("Setting", ["a", "b"]);
    let shot = EntityKey::new("Shot", "x");
    for (expression, kind, message) in [
        (
            expr!("T where bid > {}", f64::NAN),
            ErrorKind::Validation,
            "NaN is not a number",
        ),
        (
            expr!("T where bid > {}", f32::INFINITY),
            ErrorKind::Validation,
            "inf is not a number",
        ),
        (
            expr!("T where a is {}", [1, 2]),
            ErrorKind::Validation,
            "`a is` takes one value: use `a in`",
        ),
        (
            expr!("T where a is {}", setting),
            ErrorKind::Validation,
            "key has several parts",
        ),
        (
            expr!("T where a > {}", shot),
            ErrorKind::Validation,
            "an entity cannot be compared by `a >`",
        ),
        (
            expr!("T where a in {}", 1),
            ErrorKind::Validation,
            "`a in` takes a list or a sub-query",
        ),
        (
            expr!("T where a in ({}, {})", shot, 1),
            ErrorKind::Validation,
            "mixes entities and values",
        ),
        (
            expr!("T where a is {}", field("b").eq(1)),
            ErrorKind::Validation,
            "takes a value, not a condition",
        ),
        (
            expr!("T where {}", "name is x"),
            ErrorKind::Syntax,
            "a condition must stand here",
        ),
        (
            expr!("T where {} is x", "name"),
            ErrorKind::Syntax,
            "a condition must stand here",
        ),
        (
            expr!("{} where a is 1", "Task"),
            ErrorKind::Syntax,
            "expected an entity type",
        ),
        (
            expr!("T limit {}", -1),
            ErrorKind::Syntax,
            "the number after `limit` is below zero",
        ),
        (
            expr!("T limit {}", "3"),
            ErrorKind::Syntax,
            "expected a number after `limit`",
        ),
        (
            expr!("T where a is \"{}\""),
            ErrorKind::Syntax,
            "a value cannot be put between quotes",
        ),
        (
            expr!("T where a is {{"),
            ErrorKind::Syntax,
            "only `{}` marks a value",
        ),
        (
            expr!("T where a is {x}"),
            ErrorKind::Syntax,
            "only `{}` marks a value",
        ),
    ] {
        let error = expression.statement().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    let missing = ftrack_api::query::Expression::new("T where a is {}", &[]);
    assert!(
        missing
            .statement()
            .unwrap_err()
            .to_string()
            .contains("no value for this `{}`")
    );
    let many = ftrack_api::query::Expression::new("T", &[&1, &2]);
    assert!(
        many.statement()
            .unwrap_err()
            .to_string()
            .contains("2 values are given for 0 places")
    );
}

#[test]
fn what_the_builder_cannot_express_is_reported_when_sent() {
    let composite = EntityKey::composite("Setting", ["a", "b"]);
    for (statement, kind) in [
        (select("T k"), ErrorKind::Syntax),
        (select(""), ErrorKind::Syntax),
        (select("T").fields(["a b"]), ErrorKind::Syntax),
        (select("T").order_by("a desc, b"), ErrorKind::Syntax),
        (select("T").group_by([""]), ErrorKind::Syntax),
        (
            select("T").aggregate(Aggregate::Sum, "a)"),
            ErrorKind::Syntax,
        ),
        (
            select("T").filter(field("a is 1 or b").eq(1)),
            ErrorKind::Syntax,
        ),
        (
            select("T").filter(field("a").of_type("B]").eq(1)),
            ErrorKind::Syntax,
        ),
        (
            select("T").filter(field("a").field("b c").eq(1)),
            ErrorKind::Syntax,
        ),
        (select("T").filter(expr!("a b {}", 1)), ErrorKind::Syntax),
        (
            select("T").filter(field("a").eq(f64::NAN)),
            ErrorKind::Validation,
        ),
        (
            select("T").filter(field("a").eq(composite)),
            ErrorKind::Validation,
        ),
        (
            select("T").filter(field("a").has(field("b").any(field("c ").eq(1)))),
            ErrorKind::Syntax,
        ),
        (
            select("T").filter(field("a").in_select(select("U V"))),
            ErrorKind::Syntax,
        ),
        (
            select("T").filter(field("a").in_select(select("U").offset(1))),
            ErrorKind::Syntax,
        ),
    ] {
        let error = statement.expression().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[test]
fn queries_are_plain_data() {
    fn plain<T: Clone + Send + Sync + 'static>(value: T) -> T {
        value
    }
    plain(plain(field("a")).eq(1));
    plain(select("T"));
    let _ = plain(expr!("T"));
}

// The laws.

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_][a-z0-9_]{0,7}",
        prop::sample::select(
            &[
                "group", "order", "from", "limit", "select", "is", "in", "any"
            ][..]
        )
        .prop_map(ToOwned::to_owned),
    ]
}

fn path() -> impl Strategy<Value = Path> {
    let segment = (name(), prop::option::of("[A-Z][a-z]{0,5}"))
        .prop_map(|(name, cast)| cast.map_or(name.clone(), |cast| format!("{name}[{cast}]")));
    prop::collection::vec(segment, 1..4).prop_map(|parts| parts.join(".").parse().unwrap())
}

fn literal() -> impl Strategy<Value = Literal> {
    prop_oneof![
        Just(Literal::Null),
        any::<bool>().prop_map(Literal::Bool),
        any::<f64>().prop_filter_map("not finite", |number| {
            Word::new(&number.to_string())
                .filter(|_| number.is_finite())
                .map(Literal::Word)
        }),
        "[a-zA-Z0-9_.@+:*%/-]{1,20}"
            .prop_filter_map("a keyword", |word| Word::new(&word).map(Literal::Word)),
        any::<String>().prop_map(Literal::Text),
        "[\"'\\\\{}\n a]{0,8}".prop_map(Literal::Text),
    ]
}

fn leaf() -> impl Strategy<Value = Criterion> {
    use Operator::{Greater, GreaterOrEqual, Is, IsNot, Less, LessOrEqual, Like, NotLike};
    let operators = [
        Is,
        IsNot,
        Greater,
        GreaterOrEqual,
        Less,
        LessOrEqual,
        Like,
        NotLike,
    ];
    prop_oneof![
        4 => (path(), prop::sample::select(operators.to_vec()), literal())
            .prop_map(|(path, operator, value)| Kind::Compare { path, operator, value }.into()),
        1 => (path(), prop::collection::vec(literal(), 0..4), any::<bool>()).prop_map(
            |(path, values, negated)| {
                let set = Set::Values(values);
                Kind::In { path, set, negated }.into()
            }
        ),
        1 => Just(Kind::And(vec![]).into()),
    ]
}

fn criterion() -> impl Strategy<Value = Criterion> {
    leaf().prop_recursive(6, 48, 4, |inner| {
        let boxed = inner.clone().prop_map(Box::new);
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(all_of),
            prop::collection::vec(inner.clone(), 2..4).prop_map(any_of),
            inner.clone().prop_map(Criterion::not),
            (path(), boxed.clone()).prop_map(|(path, inner)| Kind::Has { path, inner }.into()),
            (path(), boxed).prop_map(|(path, inner)| Kind::Any { path, inner }.into()),
            (path(), statement(inner.prop_map(Some)), any::<bool>()).prop_map(
                |(path, mut statement, negated)| {
                    statement.offset = None;
                    let set = Set::Select(Box::new(statement));
                    Kind::In { path, set, negated }.into()
                }
            ),
        ]
    })
}

fn projection() -> impl Strategy<Value = Projection> {
    use Aggregate::{Avg, Count, Max, Min, Sum};
    let functions = prop::sample::select(&[Count, Sum, Avg, Min, Max][..]);
    prop_oneof![
        3 => path().prop_map(Projection::Attribute),
        1 => (functions, path())
            .prop_map(|(function, path)| Projection::Aggregate(function, path)),
    ]
}

fn statement(filter: impl Strategy<Value = Option<Criterion>>) -> impl Strategy<Value = Statement> {
    let order = (path(), any::<bool>()).prop_map(|(path, descending)| Order { path, descending });
    (
        prop::collection::vec(projection(), 0..4),
        "[A-Z][A-Za-z]{0,8}",
        filter,
        prop::collection::vec(order, 0..3),
        prop::collection::vec(path(), 0..3),
        prop::option::of(any::<u64>()),
        prop::option::of(any::<u64>()),
    )
        .prop_map(
            |(projections, entity_type, filter, order, group, offset, limit)| {
                let mut statement = select(entity_type);
                statement.projections = projections;
                (statement.filter, statement.order, statement.group) = (filter, order, group);
                (statement.offset, statement.limit) = (offset, limit);
                statement
            },
        )
}

/// Whether no part of it always or never holds.
fn settled(criterion: &Criterion) -> bool {
    match criterion.kind() {
        Kind::And(parts) | Kind::Or(parts) => !parts.is_empty() && parts.iter().all(settled),
        Kind::Not(inner) => settled(inner),
        Kind::In {
            set: Set::Values(values),
            ..
        } => !values.is_empty(),
        Kind::In {
            set: Set::Select(statement),
            ..
        } => statement.filter.as_ref().is_none_or(settled),
        Kind::Has { inner, .. } | Kind::Any { inner, .. } => {
            *inner.kind() == Kind::And(vec![]) || settled(inner)
        }
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_printed_tree_reads_back_as_itself(tree in statement(prop::option::of(criterion()))) {
        let text = tree.expression().unwrap();
        let back: Statement = text.parse().unwrap();
        prop_assert_eq!(back, tree, "{}", text);
    }

    #[test]
    fn any_text_is_one_value(value in any::<String>()) {
        let text = expr!("T where name is {} and id is 1 limit 3", value).statement().unwrap().to_string();
        let back: Statement = text.parse().unwrap();
        prop_assert_eq!(back, select("T")
            .filter(field("name").eq(&value))
            .filter("id is 1".parse::<Criterion>().unwrap())
            .limit(3));
    }

    #[test]
    fn reading_never_panics_and_printing_settles(
        text in "(select |T|where |not |and |or |a|\\.|\\[|\\]|in|any|has|is|=|!|<|>|\\(|\\)|,|\"|'|\\\\|\\{|\\}|limit|order by| |3|-|å|\n){0,40}"
    ) {
        if let Ok(tree) = text.parse::<Statement>() {
            let printed = tree.expression().unwrap();
            prop_assert_eq!(printed.parse::<Statement>().unwrap(), tree);
        }
    }

    #[test]
    fn what_always_or_never_holds_is_gone_after_simplifying(tree in statement(prop::option::of(criterion()))) {
        if let Some(simple) = tree.simplified() {
            let text = simple.to_string();
            prop_assert_eq!(simple.simplified(), Some(text.parse::<Statement>().unwrap()));
            prop_assert!(simple.filter.as_ref().is_none_or(settled), "{}", text);
        }
    }
}
