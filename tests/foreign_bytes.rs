//! Everything that reads foreign bytes, on what the fuzzers of `tests/fuzz` found worth keeping:
//! between them, these inputs reach every line that a fuzzer could reach.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stderr, reason = "shown when a file makes a test fail")]

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;

/// Gives every file of a corpus to `target`. The last one printed is the culprit.
fn replay(corpus: &str, target: impl Fn(&[u8])) {
    let folder = format!("{}/tests/fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        target(&fs::read(&path).unwrap());
        count += 1;
    }
    assert!(count >= 5, "{corpus} has {count} files");
}

fn replay_texts(corpus: &str, target: impl Fn(&str)) {
    replay(corpus, |bytes| target(&String::from_utf8_lossy(bytes)));
}

#[test]
fn query_texts() {
    replay_texts("query", targets::query);
}

#[test]
fn expressions_of_the_event_hub() {
    replay_texts("expression", targets::expression);
}

#[test]
fn answers_of_the_api() {
    replay("answer", targets::answer);
}

#[test]
fn schemas_and_their_cache() {
    replay("schema", targets::schema);
}

#[test]
fn patterns_of_file_sequences() {
    replay_texts("sequence", targets::sequence);
}
