//! socket.io 0.9: packets and the life of a connection.
//!
//! Pure: what arrives and what time it is are arguments, what to do is the result.

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod machine;
mod outgoing;
mod packet;
#[cfg(test)]
mod scenario;
mod seen;
mod settings;

pub(crate) use machine::{Machine, Output};
pub(crate) use outgoing::Outgoing;
pub(crate) use packet::{Arrival, Handshake, NOTHING, parse_handshake};
pub(crate) use settings::Settings;
