//! The bytes of a response, and when to stop reading them.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de;

use crate::error::{Error, ErrorKind, Result};

/// How many values are decoded between two checks whether to go on.
const VALUES_BETWEEN_CHECKS: u32 = 1024;

/// The body of a response while it is decoded.
pub(crate) struct Body<'a> {
    bytes: &'a [u8],
    /// Fails once the response is no longer wanted.
    check: Option<&'a dyn Fn() -> Result<()>>,
    values: Cell<u32>,
    /// Why decoding was stopped; `serde` carries texts only.
    stopped: RefCell<Option<Error>>,
}

impl<'a> Body<'a> {
    /// A body that is decoded until `check` fails; the error of `check` is then that of the decoder.
    pub(crate) fn checked(bytes: &'a [u8], check: &'a dyn Fn() -> Result<()>) -> Self {
        Self {
            check: Some(check),
            ..bytes.into()
        }
    }

    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// To be called for every value, or every few of them.
    #[inline]
    pub(crate) fn go_on<E: de::Error>(&self) -> Result<(), E> {
        let values = self.values.get().wrapping_add(1);
        self.values.set(values);
        match values % VALUES_BETWEEN_CHECKS {
            0 => self.check(),
            _ => Ok(()),
        }
    }

    #[cold]
    fn check<E: de::Error>(&self) -> Result<(), E> {
        let Some(Err(error)) = self.check.map(|check| check()) else {
            return Ok(());
        };
        *self.stopped.borrow_mut() = Some(error);
        Err(E::custom("stopped"))
    }

    /// The error for a body that was stopped, or is not what the protocol says.
    pub(crate) fn unreadable(&self, error: &dyn fmt::Display) -> Error {
        let stopped = self.stopped.borrow_mut().take();
        stopped.unwrap_or_else(|| {
            let message = format!("the server's response cannot be read: {error}");
            Error::new(ErrorKind::BadResponse, message)
        })
    }

    /// Whether decoding was stopped.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.borrow().is_some()
    }
}

impl<'a> From<&'a [u8]> for Body<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            check: None,
            values: Cell::new(0),
            stopped: RefCell::new(None),
        }
    }
}
