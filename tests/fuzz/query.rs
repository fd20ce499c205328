//! Query texts.
#![no_main]

mod targets;

libfuzzer_sys::fuzz_target!(|text: &str| targets::query(text));
