//! What a failed connection means to the caller, and what to do about it.

use std::io;

use super::tls::{tls_failure, tls_hint};
use crate::calls::Call;
use crate::error::{Error, ErrorKind};

/// The error of a connection, or of an attempt to open one.
pub(crate) fn io_error(error: io::Error) -> Error {
    let (kind, why) = explain(&error);
    Error::new(kind, why).with_source(error)
}

/// The error of an attempt to open a connection: if the call was interrupted, why.
pub(crate) fn connect_error(error: io::Error) -> Error {
    let why = Call::current().and_then(|call| call.interrupted());
    match why {
        Some(why) => Error::new(why, "connecting was interrupted").with_source(error),
        None if error.kind() == io::ErrorKind::TimedOut => {
            Error::new(ErrorKind::Timeout, "timed out while connecting").with_source(error)
        }
        None => io_error(error),
    }
}

/// The error of a response whose body was received in part.
pub(crate) fn body_error(error: io::Error) -> Error {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
    match inner {
        Some(ureq::Error::Timeout(_)) => {
            Error::new(ErrorKind::Timeout, error.to_string()).with_source(error)
        }
        _ => io_error(error),
    }
}

/// The kind and the message of an I/O error.
pub(super) fn explain(error: &io::Error) -> (ErrorKind, String) {
    match (tls_failure(error), error.kind()) {
        (Some(failure), _) => (ErrorKind::Tls, format!("{failure}{}", tls_hint(failure))),
        (_, io::ErrorKind::TimedOut) => (ErrorKind::Timeout, "timed out".to_owned()),
        (_, io::ErrorKind::ConnectionRefused) => (
            ErrorKind::Connection,
            "nothing listens there; check the server URL (or the proxy's) and its port".to_owned(),
        ),
        (_, io::ErrorKind::UnexpectedEof) => (
            ErrorKind::Connection,
            "the connection was closed".to_owned(),
        ),
        _ => (ErrorKind::Connection, error.to_string()),
    }
}
