//! Any text is refused with an error or read to a tree that prints and reads back as itself; and
//! any text is one value.
#![no_main]

use ftrack_api::expr;
use ftrack_api::query::{Criterion, Pages, Projection, Statement, field, select};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    read(text);
    hold(text);
    _ = text.parse::<Criterion>();
    _ = text.parse::<Projection>();
});

fn read(text: &str) {
    let Ok(statement) = text.parse::<Statement>() else {
        return;
    };
    let printed = statement.expression().expect("what was read can be sent");
    let again: Statement = printed.parse().expect("what was printed can be read");
    assert_eq!(again, statement);

    let mut pages = Pages::new(&statement, 3).expect("what was read can be paged");
    pages = pages.split(2, |_| true);
    for page in 1..4 {
        let Some(request) = pages.request() else {
            break;
        };
        request.expression().expect("a page can be sent");
        _ = pages.received(3, Some(page * 3), None);
    }
}

fn hold(value: &str) {
    let filled = expr!("T where a is {} limit 3", value).statement();
    let filled = filled.expect("any text is a value");
    assert_eq!(filled, select("T").filter(field("a").eq(value)).limit(3));
    let again: Statement = filled
        .to_string()
        .parse()
        .expect("a quoted text can be read");
    assert_eq!(again, filled);
}
