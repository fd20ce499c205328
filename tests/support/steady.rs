//! Tests that need a machine which goes on.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs a test up to three times, of which one has to pass: limits of the server or of the session are a part of it,
/// and a machine that stands still for so long reaches them.
pub(crate) fn steadily(test: impl Fn()) {
    for tries_left in (0..3).rev() {
        match catch_unwind(AssertUnwindSafe(&test)) {
            Ok(()) => return,
            Err(why) if tries_left == 0 => resume_unwind(why),
            Err(_) => {}
        }
    }
}
