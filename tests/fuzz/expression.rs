//! Expressions of the event hub, and events to test them with.
#![no_main]

mod targets;

libfuzzer_sys::fuzz_target!(|text: &str| targets::expression(text));
