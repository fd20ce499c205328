//! The attributes of one record: remote values, and local values and extensions.

use crate::schema::NameId;
use crate::value::{HashSet, Slot};

use super::shapes::Shapes;

/// Remote values, and the number of the list of their names.
///
/// Entities of one page have the same names in the same order, so that they share the list.
#[derive(Default)]
pub(super) struct Attributes {
    shape: u32,
    values: Box<[Slot]>,
}

impl Attributes {
    pub(super) fn new(shape: u32, values: Box<[Slot]>) -> Self {
        Self { shape, values }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The number of the list of names.
    pub(super) fn shape(&self) -> u32 {
        self.shape
    }

    pub(super) fn names<'a>(&self, shapes: &'a Shapes) -> &'a [NameId] {
        shapes.names(self.shape)
    }

    pub(super) fn get(&self, shapes: &Shapes, name: NameId) -> Option<&Slot> {
        self.values.get(shapes.position(self.shape, name)?)
    }

    /// The index plus one of each name's value by `NameId`, or zero; and the values.
    #[inline]
    pub(super) fn open<'a>(&'a self, shapes: &'a Shapes) -> (&'a [u16], &'a [Slot]) {
        (shapes.places(self.shape), &self.values)
    }

    pub(super) fn iter<'a>(
        &'a self,
        shapes: &'a Shapes,
    ) -> impl Iterator<Item = (NameId, &'a Slot)> {
        self.names(shapes).iter().copied().zip(&self.values)
    }

    /// Adds `values` or replaces present ones.
    pub(super) fn merge(
        &mut self,
        shapes: &mut Shapes,
        values: impl Iterator<Item = (NameId, Slot)>,
    ) {
        let mut added = Vec::new();
        for (name, value) in values {
            match shapes.position(self.shape, name) {
                Some(place) => self.values[place] = value,
                None => added.push((name, value)),
            }
        }
        if added.is_empty() {
            return;
        }
        let present = shapes.names(self.shape).iter().copied();
        let names = present.chain(added.iter().map(|(name, _)| *name));
        let names: Vec<NameId> = names.collect();
        let mut values = std::mem::take(&mut self.values).into_vec();
        values.reserve_exact(added.len());
        values.extend(added.into_iter().map(|(_, value)| value));
        self.values = values.into();
        self.shape = shapes.number(&names);
    }

    /// Removes the values for which `keep` is false.
    pub(super) fn retain(&mut self, shapes: &mut Shapes, keep: impl Fn(NameId, &Slot) -> bool) {
        let names = shapes.names(self.shape).clone();
        if names
            .iter()
            .zip(&self.values)
            .all(|(name, slot)| keep(*name, slot))
        {
            return;
        }
        let values = std::mem::take(&mut self.values).into_iter();
        let kept = names.iter().copied().zip(values);
        let (names, values): (Vec<_>, Vec<_>) =
            kept.filter(|(name, slot)| keep(*name, slot)).unzip();
        *self = Self::new(shapes.number(&names), values.into());
    }
}

/// What was set here and is not committed.
#[derive(Default)]
pub(super) struct Local {
    settings: Vec<Setting>,
    extensions: Vec<Extension>,
}

/// Members that are added to a collection and removed from it, whatever else is in it.
pub(super) struct Extension {
    pub(super) name: NameId,
    pub(super) added: Vec<u32>,
    pub(super) removed: Vec<u32>,
    pub(super) operation: Option<u64>,
}

pub(super) struct Setting {
    pub(super) name: NameId,
    pub(super) value: Slot,
    /// The number of the operation that recorded it; `None` while recording was off.
    pub(super) operation: Option<u64>,
}

impl Local {
    pub(super) fn get(&self, name: NameId) -> Option<&Slot> {
        self.setting(name).map(|setting| &setting.value)
    }

    fn setting(&self, name: NameId) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// Reserves memory for exactly `more` settings.
    pub(super) fn reserve(&mut self, more: usize) {
        self.settings.reserve_exact(more);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter()
    }

    pub(super) fn set(&mut self, setting: Setting) {
        self.extensions.retain(|have| have.name != setting.name);
        match self
            .settings
            .iter_mut()
            .find(|have| have.name == setting.name)
        {
            Some(have) => *have = setting,
            None => self.settings.push(setting),
        }
    }

    /// Whether the setting or extension was recorded before the operation with this number.
    pub(super) fn is_recorded_before(&self, name: NameId, operation: u64) -> bool {
        let recorded = match self.setting(name) {
            Some(setting) => setting.operation,
            None => self.extension(name).and_then(|one| one.operation),
        };
        recorded.is_some_and(|recorded| recorded < operation)
    }

    /// Whether it was set while recording was off.
    pub(super) fn is_unrecorded(&self, name: NameId) -> bool {
        let setting = self.setting(name);
        setting.is_some_and(|setting| setting.operation.is_none())
    }

    /// Changes a value that is set already.
    pub(super) fn replace(&mut self, name: NameId, value: Slot, operation: Option<u64>) {
        if let Some(have) = self.settings.iter_mut().find(|have| have.name == name) {
            (have.value, have.operation) = (value, operation);
        }
    }

    pub(super) fn remove(&mut self, name: NameId) -> Option<Setting> {
        let place = self
            .settings
            .iter()
            .position(|setting| setting.name == name)?;
        Some(self.settings.remove(place))
    }

    /// Whether a commit would send any of it.
    pub(super) fn is_recorded(&self) -> bool {
        let set = self
            .settings
            .iter()
            .any(|setting| setting.operation.is_some());
        set || self
            .extensions
            .iter()
            .any(|extension| extension.operation.is_some())
    }

    /// Takes out what was recorded before the operation with this number.
    pub(super) fn take_recorded_before(&mut self, operation: u64) -> Vec<Setting> {
        let before = |setting: &Setting| setting.operation.is_some_and(|at| at < operation);
        if self.settings.iter().all(before) {
            return std::mem::take(&mut self.settings);
        }
        self.settings.extract_if(.., |one| before(one)).collect()
    }

    pub(super) fn take_extensions_before(&mut self, operation: u64) -> Vec<Extension> {
        let before =
            |extension: &mut Extension| extension.operation.is_some_and(|at| at < operation);
        self.extensions.extract_if(.., before).collect()
    }

    pub(super) fn extension(&self, name: NameId) -> Option<&Extension> {
        self.extensions
            .iter()
            .find(|extension| extension.name == name)
    }

    pub(super) fn extensions(&self) -> impl Iterator<Item = &Extension> {
        self.extensions.iter()
    }

    /// Cancels the removal of `member` from a collection.
    pub(super) fn cancel_removal(&mut self, name: NameId, member: u32) {
        for extension in &mut self.extensions {
            if extension.name == name {
                extension.removed.retain(|leaving| *leaving != member);
            }
        }
        self.drop_empty_extensions();
    }

    /// Removes `members` from what is added to and removed from collections.
    pub(super) fn remove_members(&mut self, members: &HashSet<u32>) {
        for extension in &mut self.extensions {
            extension.added.retain(|one| !members.contains(one));
            extension.removed.retain(|one| !members.contains(one));
        }
        self.drop_empty_extensions();
    }

    fn drop_empty_extensions(&mut self) {
        self.extensions
            .retain(|extension| !(extension.added.is_empty() && extension.removed.is_empty()));
    }

    /// Removes the extension of a collection. Returns whether there was one.
    pub(super) fn remove_extension(&mut self, name: NameId) -> bool {
        let before = self.extensions.len();
        self.extensions.retain(|extension| extension.name != name);
        self.extensions.len() < before
    }

    /// Adds members to a collection and removes others.
    pub(super) fn extend(
        &mut self,
        name: NameId,
        added: &[u32],
        removed: &[u32],
        operation: Option<u64>,
    ) {
        let place = self
            .extensions
            .iter()
            .position(|extension| extension.name == name);
        let place = place.unwrap_or_else(|| {
            self.extensions.push(Extension {
                name,
                added: Vec::new(),
                removed: Vec::new(),
                operation,
            });
            self.extensions.len() - 1
        });
        let extension = &mut self.extensions[place];
        extension.operation = operation;
        extension.added.retain(|member| !removed.contains(member));
        extension.removed.retain(|member| !added.contains(member));
        extension.added.extend(added);
        extension.removed.extend(removed);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.settings.is_empty() && self.extensions.is_empty()
    }
}
