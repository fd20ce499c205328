//! The unit of work against a server: what is created, changed and deleted, and what other sessions
//! see of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

mod collections;
mod commits;
mod custom_attributes;
mod deletions;
mod ensure;
mod freshness;
mod names;
mod pending;
mod reading;
mod responses;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use ftrack_api::{Entity, Session};
use support::{Studio, open};

impl Studio {
    /// A session in which nothing is loaded.
    fn other(&self) -> Session {
        open(&self.server)
    }

    fn project(&self) -> Entity {
        self.session
            .query("Project where name is test")
            .unwrap()
            .one()
            .unwrap()
    }

    fn task(&self) -> Entity {
        self.first("select name, bid from Task")
    }

    fn shot(&self) -> Entity {
        self.first("select name from Shot")
    }
}

/// The same entity in another session.
fn same(session: &Session, entity: &Entity) -> Entity {
    session
        .get(entity.entity_type(), entity.key())
        .unwrap()
        .unwrap()
}
