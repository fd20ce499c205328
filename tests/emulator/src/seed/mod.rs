//! A studio described in JSON, added to the demo studio (`--seed`).
//!
//! The form is nested as the studio is: projects hold folders, sequences and shots, which hold
//! tasks and assets, which hold versions, and so on. A member is an attribute of the schema, a
//! list of what belongs to the entity, or one of `metadata`, `custom_attributes`, `assignees`,
//! `labels` and `members`; references are names. The README shows an example.
//!
//! `outline` finds the entities, `write` makes operations of them, and these go through the
//! API in one batch: every rule of the server holds, and a seed with an error changes nothing.

mod names;
mod outline;
mod write;

use std::fs;
use std::io::ErrorKind;
use std::sync::Arc;

use anyhow::{Context, bail};
use md5::{Digest, Md5};
use serde_json::Value;

use crate::actions;
use crate::rules::Caller;
use crate::site::Site;

/// The file in the emulator's folder that lists the seeds it has.
const TAKEN: &str = "seeds.txt";

/// A mistake in a seed: where it is (`projects[0].shots[2].status`) and what it is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mistake {
    path: String,
    message: String,
}

impl Mistake {
    fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            message: message.into(),
        }
    }
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = if self.path.is_empty() {
            "the whole"
        } else {
            &self.path
        };
        write!(f, "the seed is wrong at {path}: {}", self.message)
    }
}

impl std::error::Error for Mistake {}

/// An operation and the place in the seed that it comes from.
pub(crate) struct Step {
    operation: Value,
    path: String,
}

/// Adds a seed to the studio, unless the emulator's folder has it already.
///
/// # Errors
///
/// If a member is unknown, a reference leads nowhere, or the server refuses an entity. The error
/// names the place in the seed; nothing was added then.
pub fn plant(site: &Arc<Site>, seed: &Value) -> anyhow::Result<()> {
    let digest = Md5::digest(seed.to_string());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let file = site.folder.join(TAKEN);
    let subject = || format!("the list of seeds {} cannot be used", file.display());
    let mut taken = match fs::read_to_string(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.with_context(subject)?,
    };
    if taken.lines().any(|line| line == digest) {
        return Ok(());
    }
    apply(site, seed)?;
    taken.push_str(&digest);
    taken.push('\n');
    fs::write(&file, taken).with_context(subject)
}

fn apply(site: &Arc<Site>, seed: &Value) -> anyhow::Result<()> {
    let Some(user) = site.operator() else {
        bail!("the user to connect as has been deleted: the seed cannot be added");
    };
    let outline = outline::outline(site.model(), seed)?;
    let steps = write::write(site, &outline)?;
    let (operations, paths): (Vec<_>, Vec<_>) = steps
        .into_iter()
        .map(|step| (step.operation, step.path))
        .unzip();
    let caller = Caller {
        user,
        client_token: String::new(),
        push_token: String::new(),
        is_strict: true,
        is_denormalized: false,
    };
    match actions::run(site, &caller, &operations) {
        Ok(_) => Ok(()),
        Err(fault) => {
            let path = fault.operation.map(|index| paths[index].clone());
            Err(Mistake::new(path.unwrap_or_default(), fault.to_string()).into())
        }
    }
}
