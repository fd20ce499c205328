//! Packets of the event server.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ftrack_api::fuzz_socketio(bytes));
