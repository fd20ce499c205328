//! Everything that reads foreign bytes, on what the fuzzers of `tests/fuzz` found worth keeping:
//! between them, these inputs reach every line that a fuzzer could reach.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stderr, reason = "shown when a file makes a test fail")]

#[path = "fuzz/targets.rs"]
mod targets;

use std::fs;
use std::time::{Duration, Instant};

/// Gives every file of a corpus to `target`, then changed ones for a second, or for `FUZZ_SECONDS`. The
/// last file printed is the culprit, or the input that is shown.
fn replay(corpus: &str, target: impl Fn(&[u8])) {
    let folder = format!("{}/tests/fuzz/corpus/{corpus}", env!("CARGO_MANIFEST_DIR"));
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        eprintln!("{}", path.display());
        let input = fs::read(&path).unwrap();
        target(&input);
        inputs.push(input);
    }
    assert!(inputs.len() >= 5, "{corpus} has {} files", inputs.len());

    let seconds = std::env::var("FUZZ_SECONDS").map_or(1, |text| text.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut random = fastrand::Rng::new();
    let mut count = 0u64;
    while Instant::now() < end {
        let input = Shown(changed(&inputs, &mut random));
        target(&input.0);
        count += 1;
    }
    eprintln!("{corpus}: {count} changed inputs");
}

/// An input of a corpus with a few changes, such as a coverage-guided fuzzer makes.
fn changed(inputs: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = random.choice(inputs).unwrap().clone();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(0..=input.len());
        let until = (at + random.usize(0..16)).min(input.len());
        match random.u8(0..6) {
            0 => drop(input.drain(at..until)),
            1 => input.insert(at, random.u8(..)),
            2 => input.insert(at, *random.choice(b"{}[]\",:\\ .0-()'%u").unwrap()),
            3 if at < input.len() => input[at] ^= 1 << random.u8(0..8),
            4 => {
                let copy = input[at..until].to_vec();
                let place = random.usize(0..=input.len());
                input.splice(place..place, copy);
            }
            _ => {
                let other = random.choice(inputs).unwrap();
                let from = random.usize(0..=other.len());
                let to = (from + random.usize(0..64)).min(other.len());
                input.splice(at..until, other[from..to].iter().copied());
            }
        }
    }
    input
}

/// An input that is printed if the target panics.
struct Shown(Vec<u8>);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was b\"{}\"", self.0.escape_ascii());
        }
    }
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
fn responses_of_the_api() {
    replay("response", targets::response);
}

#[test]
fn schemas_and_their_cache() {
    replay("schema", targets::schema);
}

#[test]
fn patterns_of_file_sequences() {
    replay_texts("sequence", targets::sequence);
}
