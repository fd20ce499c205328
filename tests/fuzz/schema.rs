//! Files in the schema cache, and schemas as the server sends them.
#![no_main]

mod targets;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::schema(bytes));
