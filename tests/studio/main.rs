//! A studio's daily jobs, against the emulator.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "how many cases were refused")]

mod check;
mod hierarchy;
mod instantiate;
mod inverse;
mod journal;
mod publish;
mod rights;
#[path = "../support/mod.rs"]
mod support;
mod wait;
mod watch;

use ftrack_api::{Data, Entity, Session};
use support::{Studio, open};

impl Studio {
    /// A session in which nothing is loaded.
    fn other(&self) -> Session {
        open(&self.server)
    }

    fn project(&self) -> Entity {
        self.session.at("test").unwrap()
    }

    /// A committed entity.
    fn create(&self, entity_type: &str, data: Data) -> Entity {
        let entity = self.session.create(entity_type, data).unwrap();
        self.session.commit().unwrap();
        entity
    }
}
