//! What cannot be read: the messages, and nesting too deep for the stack.

use std::thread;

use ftrack_api::ErrorKind;
use ftrack_api::query::{Criterion, Kind, MAX_DEPTH, Statement, field, select};

/// Reading `text` fails, and the message begins so.
#[track_caller]
fn fails(text: &str, message: &str) {
    let error = text.parse::<Statement>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Syntax);
    let shown = error.to_string();
    let shown = shown.strip_prefix("cannot parse the query: ").unwrap();
    assert!(shown.starts_with(message), "{text}: {shown}");
}

/// The file has a query on one line and the beginning of its message on the next, indented.
#[test]
fn errors_say_what_was_expected_and_where() {
    let cases: Vec<&str> = include_str!("errors.txt").lines().collect();
    for case in cases.chunks_exact(2) {
        fails(case[0], case[1].trim_start());
    }
    assert_eq!(cases.len() % 2, 0);
}

#[test]
fn errors_underline_the_place() {
    let error = "Task where name is x nmae is y"
        .parse::<Statement>()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot parse the query: expected `and`, `or`, `order by`, `group by`, `offset`, `limit` \
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
