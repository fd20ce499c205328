//! A local ftrack server to develop and test against.
//!
//! [`Emulator::start`] runs one inside of a program; the program `ftrack-emulator` runs one for
//! everybody else. It keeps its data in memory or in a folder.
#![doc = include_str!("../README.md")]

pub mod actions;
pub mod changes;
pub mod database;
mod emulator;
pub mod error;
pub mod events;
pub mod faults;
pub mod files;
pub mod language;
mod line;
pub mod rules;
pub mod schema;
pub mod seed;
pub mod select;
pub mod server;
pub mod site;
pub mod studio;

pub use emulator::{Builder, Emulator};
