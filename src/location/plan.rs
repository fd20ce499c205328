//! What adding components to a location will do: planned and checked before anything is copied.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::bindings::Located;
use super::journal::Journal;
use super::members::{is_file, with_members};
use super::options::TransferOptions;
use crate::accessor::{Accessor, Expected, same_bytes};
use crate::entity::Entities;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::{Entity, Location};
use crate::structure::StructureContext;

/// What adding components to a location will do. [`Location::plan_transfer`] creates it.
///
/// Everything that can be checked in advance was checked; nothing was copied or recorded yet.
#[derive(Clone, Debug)]
#[must_use = "nothing is copied before `run`"]
pub struct Transfer {
    pub(super) target: Location,
    pub(super) steps: Vec<TransferStep>,
    pub(super) options: TransferOptions,
    pub(super) journal: Option<Arc<Journal>>,
}

/// One component of a [`Transfer`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TransferStep {
    /// The component.
    pub component: Entity,
    /// The location that its data is copied from.
    pub source: Location,
    /// Its resource identifier in `source`, if it is there.
    pub source_resource_identifier: Option<String>,
    /// Its resource identifier in the target location.
    pub resource_identifier: String,
    /// The path of the data on this machine, if there is one.
    pub(super) path: Option<PathBuf>,
    /// The bytes that the source must have.
    pub(super) expected: Expected,
    /// Whether the target has the same data there, left by an interrupted transfer.
    pub(super) is_stored: bool,
}

impl Location {
    /// Finds out what [`add_components`](Self::add_components) would do, without doing it. The
    /// arguments are the same.
    ///
    /// # Errors
    ///
    /// - Any error of [`add_components`](Self::add_components) except those of copying and
    ///   committing.
    pub fn plan_transfer(
        &self,
        components: impl Entities,
        sources: impl AsRef<[Location]>,
        recursive: bool,
    ) -> Result<Transfer> {
        let components = &*components.to_entities()?;
        let sources = sources.as_ref();
        if sources.len() != 1 && sources.len() != components.len() {
            let message = format!(
                "one source location is needed, or one for each component: got {} for {}",
                sources.len(),
                components.len()
            );
            return Err(Error::new(ErrorKind::Validation, message));
        }
        let mut pairs: Vec<(Entity, Location)> = Vec::new();
        let mut known = HashSet::new();
        for (component, source) in components.iter().zip(sources.iter().cycle()) {
            let all = with_members(std::slice::from_ref(component), recursive)?;
            for each in all {
                if known.insert(each.id()) {
                    pairs.push((each, source.clone()));
                }
            }
        }
        self.plan(&pairs)
    }

    /// Plans to copy each component from its location; those that are here are left out.
    pub(crate) fn plan(&self, pairs: &[(Entity, Location)]) -> Result<Transfer> {
        self.check_writable()?;
        let structure = self.require_structure()?;
        let is_managed = self.binding().is_managed;
        let pairs = self.absent(pairs)?;
        let mut steps = Vec::with_capacity(pairs.len());
        for ((component, source), located) in pairs.iter().zip(in_sources(&pairs)?) {
            let expected = match (&located, source.accessor()) {
                (Some(located), Some(accessor)) => located.expected(&*accessor, component),
                _ => Expected::Unknown,
            };
            let found = located.map(|located| located.resource_identifier);
            if is_managed && is_file(component) && found.is_none() {
                let message = format!("{component} is not in {source}, so it cannot be copied");
                return Err(Error::new(ErrorKind::NotFound, message));
            }
            let context = StructureContext {
                source_resource_identifier: found.clone(),
            };
            let identifier = structure.get_resource_identifier(component, &context);
            let identifier = identifier.map_err(self.failure(component))?;
            steps.push(TransferStep {
                component: component.clone(),
                source: source.clone(),
                resource_identifier: identifier,
                path: found.as_deref().and_then(|found| path_in(source, found)),
                expected,
                is_stored: false,
                source_resource_identifier: found,
            });
        }
        let mut transfer = Transfer {
            target: self.clone(),
            steps,
            options: TransferOptions::new(),
            journal: None,
        };
        if is_managed {
            transfer.check_targets()?;
        }
        Ok(transfer)
    }

    /// The pairs whose component is not in this location yet.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if all of them are here.
    fn absent(&self, pairs: &[(Entity, Location)]) -> Result<Vec<(Entity, Location)>> {
        let components: Vec<Entity> = pairs.iter().map(|(one, _)| one.clone()).collect();
        let found = self.find_resource_identifiers(&components)?;
        let absent = pairs.iter().zip(&found).filter(|(_, here)| here.is_none());
        let absent: Vec<_> = absent.map(|(pair, _)| pair.clone()).collect();
        if absent.is_empty() && !pairs.is_empty() {
            return Err(self.duplicate(&components));
        }
        Ok(absent)
    }
}

impl TransferStep {
    /// Whether the target's data is that of the source, and belongs to no component: a transfer
    /// was interrupted before it could register it.
    fn is_left_over(&self, target: &Location, accessor: &dyn Accessor) -> Result<bool> {
        let (component, identifier) = (&self.component, self.resource_identifier.as_str());
        let Some(from) = &self.source_resource_identifier else {
            return Ok(false);
        };
        if !accessor.is_file(identifier).unwrap_or(false)
            || target.is_registered(component, identifier)?
        {
            return Ok(false);
        }
        let mut stored = accessor
            .open(identifier)
            .map_err(target.failure(component))?;
        let source = self.source.require_accessor()?;
        let mut source = source.open(from).map_err(self.source.failure(component))?;
        same_bytes(&mut source, &mut stored).map_err(|error| {
            let message =
                format!("cannot compare {component} with {identifier} in {target}: {error}");
            Error::new(ErrorKind::Io, message).with_source(error)
        })
    }

    /// The name of a file with the component's data.
    pub(super) fn file_name(&self) -> Result<String> {
        let name: Option<String> = self.component.get("name")?;
        let file_type: Option<String> = self.component.get("file_type")?;
        let file_type = file_type.unwrap_or_default();
        let file_type = file_type.trim_start_matches('.');
        let name = name.unwrap_or_else(|| "data".to_owned());
        Ok(match file_type {
            "" => name,
            _ => format!("{name}.{file_type}"),
        })
    }

    /// Converts an error of an accessor during this step.
    pub(super) fn failure(&self, target: &Location, error: anyhow::Error) -> Error {
        Error::from_callback(error).context(format!("{self} to {target}"))
    }
}

impl fmt::Display for TransferStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "copying {} from {}", self.component, self.source)
    }
}

/// The path of data on this machine, if the location has paths.
fn path_in(source: &Location, identifier: &str) -> Option<PathBuf> {
    source.accessor()?.get_filesystem_path(identifier).ok()
}

/// Where each component is in its source, with few requests.
fn in_sources(pairs: &[(Entity, Location)]) -> Result<Vec<Option<Located>>> {
    let mut by_source: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, (_, source)) in pairs.iter().enumerate() {
        by_source.entry(source.id()).or_default().push(index);
    }
    let mut found = vec![None; pairs.len()];
    for indexes in by_source.into_values() {
        let source = &pairs[indexes[0]].1;
        let components = indexes.iter().map(|index| pairs[*index].0.clone());
        let components: Vec<Entity> = components.collect();
        let all = source.find_located(&components)?;
        for (index, located) in indexes.into_iter().zip(all) {
            found[index] = located;
        }
    }
    Ok(found)
}

impl Transfer {
    /// The components in the order in which they will be stored.
    pub fn steps(&self) -> &[TransferStep] {
        &self.steps
    }

    /// # Errors
    ///
    /// - [`ErrorKind::Duplicate`] if two files would have one resource identifier, or the target
    ///   location has data there.
    fn check_targets(&mut self) -> Result<()> {
        let accessor = self.target.require_accessor()?;
        let mut seen: HashMap<&str, &Entity> = HashMap::new();
        for step in self.steps.iter().filter(|step| is_file(&step.component)) {
            let (component, identifier) = (&step.component, step.resource_identifier.as_str());
            if let Some(other) = seen.insert(identifier, component) {
                let message = format!(
                    "{component} and {other} would both be stored as {identifier:?} in {}; give \
                     them different names",
                    self.target
                );
                return Err(Error::new(ErrorKind::Duplicate, message));
            }
        }
        let target = &self.target;
        for step in self
            .steps
            .iter_mut()
            .filter(|step| is_file(&step.component))
        {
            let (component, identifier) = (&step.component, &step.resource_identifier);
            let exists = accessor.exists(identifier);
            if !exists.map_err(target.failure(component))? {
                continue;
            }
            if !step.is_left_over(target, &*accessor)? {
                let message = format!(
                    "{component} would be stored as {identifier:?} in {target}, which has other \
                     data there; remove that data or give the component another name"
                );
                return Err(Error::new(ErrorKind::Duplicate, message));
            }
            log::info!("{identifier} in {target} is left from an interrupted transfer, it is used");
            step.is_stored = true;
        }
        Ok(())
    }
}
