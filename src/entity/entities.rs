//! Entities as callers give them.

use std::borrow::Cow;

use crate::error::Result;
use crate::handle::{Entity, Location};

use super::Collection;

/// One or several entities: an entity, a list of entities or of references to them, a collection.
///
/// Every function that works on entities in bulk takes them as `impl Entities`.
///
/// ```
/// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
/// let tasks = session.query("Task limit 3")?.all()?;
/// session.populate(&tasks, "bid")?;
/// session.populate(&tasks[0], "bid")?;
/// session.populate(&tasks[1..], "bid")?;
/// session.populate([&tasks[0], &tasks[2]], "bid")?;
/// session.populate(tasks[0].collection("notes")?, "content")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not give entities",
    label = "expected entities",
    note = "give an entity (`&task`), a list of entities (`&tasks`, `[&a, &b]`) or a collection; \
            collect an iterator into a `Vec` first"
)]
pub trait Entities {
    /// The entities, in the order given.
    ///
    /// # Errors
    ///
    /// - Any error of [`Collection::all`]; lists and single entities never fail.
    fn to_entities(&self) -> Result<Cow<'_, [Entity]>>;
}

impl<E: Entities + ?Sized> Entities for &E {
    fn to_entities(&self) -> Result<Cow<'_, [Entity]>> {
        E::to_entities(self)
    }
}

impl Entities for Entity {
    fn to_entities(&self) -> Result<Cow<'_, [Entity]>> {
        Ok(Cow::Borrowed(std::slice::from_ref(self)))
    }
}

impl Entities for [Entity] {
    fn to_entities(&self) -> Result<Cow<'_, [Entity]>> {
        Ok(Cow::Borrowed(self))
    }
}

impl Entities for [&Entity] {
    fn to_entities(&self) -> Result<Cow<'_, [Entity]>> {
        Ok(self.iter().copied().cloned().collect())
    }
}

impl<T, const N: usize> Entities for [T; N]
where
    [T]: Entities,
{
    fn to_entities(&self) -> Result<Cow<'_, [Entity]>> {
        self.as_slice().to_entities()
    }
}

impl<T> Entities for Vec<T>
where
    [T]: Entities,
{
    fn to_entities(&self) -> Result<Cow<'_, [Entity]>> {
        self.as_slice().to_entities()
    }
}

/// The location itself, which is an entity too.
impl Entities for Location {
    fn to_entities(&self) -> Result<Cow<'_, [Entity]>> {
        self.entity.to_entities()
    }
}

/// The members; the collection is loaded if it is not.
impl Entities for Collection {
    fn to_entities(&self) -> Result<Cow<'_, [Entity]>> {
        self.all().map(Cow::Owned)
    }
}
