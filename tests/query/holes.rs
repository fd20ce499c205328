//! Values in templates and in the builder, of every kind, and those that are refused.

use std::borrow::Cow;

use ftrack_api::query::{Aggregate, Expression, Statement, field, select};
use ftrack_api::{EntityKey, ErrorKind, Value, expr};
use jiff::civil::date;

#[test]
fn holes_take_values_of_every_kind() {
    let shot = EntityKey::new("Shot", "ab12");
    let other = EntityKey::new("Shot", "cd34");
    let none: [&str; 0] = [];
    let others = [&shot, &other];
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
        (
            expr!("id is {id} and parent is {shot}"),
            "id is \"00000000-0000-0000-0000-000000000001\" and parent.id is \"ab12\"",
        ),
        (
            expr!("a is {} and parent in {others} and b is {}", 1, 2),
            "a is 1 and parent.id in (\"ab12\", \"cd34\") and b is 2",
        ),
    ] {
        assert_eq!(expression.criterion().unwrap().to_string(), expected);
        let text = select("T").filter(expression).expression().unwrap();
        assert_eq!(text, format!("T where {expected}"));
        if !expected.contains("{}") {
            let _ = text.parse::<Statement>().unwrap();
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
            Expression::new("T where a is \"{}\"", &[]),
            ErrorKind::Syntax,
            "a placeholder is between quotes: remove the quotes",
        ),
        (
            Expression::new("T where a is {{", &[]),
            ErrorKind::Syntax,
            "a value is written as `{}`, a variable as `{name}`",
        ),
        (
            expr!("T where a is {})", 1),
            ErrorKind::Syntax,
            "expected the end, found `)`",
        ),
        (
            expr!("T limit {}", [1]),
            ErrorKind::Syntax,
            "one plain value must stand here",
        ),
        (
            expr!("T where not {}", field("a b").eq(1)),
            ErrorKind::Syntax,
            "value 1: cannot parse the query: expected an attribute such as",
        ),
        (
            expr!("T where a in {}", select("U").fields(["b c"])),
            ErrorKind::Syntax,
            "expected the end, found `c`",
        ),
        (
            Expression::new("T where a is {x.y}", &[]),
            ErrorKind::Syntax,
            "a value is written as `{}`, a variable as `{name}`",
        ),
    ] {
        let error = expression.statement().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(message), "{error}");
    }
    let missing = Expression::new("T where a is {}", &[]);
    assert!(
        missing
            .statement()
            .unwrap_err()
            .to_string()
            .contains("no value for this placeholder")
    );
    let many = Expression::new("T", &[&1, &2]);
    assert!(
        many.statement()
            .unwrap_err()
            .to_string()
            .contains("the number of values is 2, and that of placeholders is 0")
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
        (select("T").group_by(["a,,b"]), ErrorKind::Syntax),
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
        (
            select("T").filter(field("a").in_select(select("U").limit(1 << 63))),
            ErrorKind::Validation,
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
    let _ = plain(plain(field("a")).eq(1));
    let _ = plain(select("T"));
    let _ = plain(expr!("T"));
}
