//! Fits the demo studio to a site's schema: sites name their kinds of objects themselves, and
//! newer servers have fewer or other attributes.

use std::collections::{HashMap, HashSet};

use super::seed::id;
use super::{Cell, Row, workflow};
use crate::schema::{EntityType, Schema};

/// The studio's kinds of objects and what stands for them on a site.
#[derive(Debug)]
pub struct Cast<'s> {
    /// By the studio's kind: the site's.
    kinds: HashMap<&'static str, &'s str>,
    /// Keys that are other ones on the site: object types and the default priority.
    keys: HashMap<String, String>,
    /// Kinds that the studio does not know.
    others: Vec<Other>,
}

/// A kind of object that a site has beyond those of the studio.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) id: String,
    pub(super) label: String,
    pub(super) has_type: bool,
    pub(super) has_status: bool,
    pub(super) has_dates: bool,
}

impl<'s> Cast<'s> {
    /// Chooses for each of the studio's kinds the one of that name, else the one of its object
    /// type, else any that is not taken, else tasks.
    pub fn new(schema: &'s Schema) -> Self {
        let site: Vec<_> = schema.object_kinds().collect();
        let mut kinds: HashMap<&'static str, &'s str> = HashMap::new();
        for kind in workflow::kinds() {
            let own = id("ObjectType", kind);
            let named = site.iter().find(|(ty, _)| ty.id == kind);
            let found = named.or_else(|| site.iter().find(|(_, object)| *object == own));
            if let Some((ty, _)) = found {
                kinds.insert(kind, &ty.id);
            }
        }
        for kind in workflow::kinds() {
            if kinds.contains_key(kind) {
                continue;
            }
            let is_free = |name: &str| name != "Milestone" && !kinds.values().any(|it| *it == name);
            let free = site.iter().find(|(ty, _)| is_free(&ty.id));
            let stand_in = free.or_else(|| site.iter().find(|(ty, _)| ty.id == "Task"));
            if let Some((ty, _)) = stand_in.or(site.first()) {
                kinds.insert(kind, &ty.id);
            }
        }
        let mut keys = HashMap::new();
        for (kind, name) in &kinds {
            if let Some((_, object)) = site.iter().find(|(ty, _)| ty.id == **name) {
                keys.insert(id("ObjectType", kind), (*object).to_owned());
            }
        }
        keys.extend(default_priority(schema));
        keys.retain(|own, other| own != other);
        let taken: HashSet<&str> = kinds.values().copied().collect();
        let others = site
            .iter()
            .filter(|(ty, _)| !taken.contains(ty.id.as_str()))
            .map(|(ty, object)| Other::new(ty, object))
            .collect();
        Self {
            kinds,
            keys,
            others,
        }
    }

    pub(super) fn others(&self) -> &[Other] {
        &self.others
    }

    /// The label of the kind that stands for one of the studio's; `None` if another one of the
    /// studio's stands for it already.
    pub(super) fn label(&self, kind: &'static str, label: &str) -> Option<String> {
        let name = *self.kinds.get(kind)?;
        if name == kind {
            return Some(label.to_owned());
        }
        let first = workflow::kinds().find(|other| self.kinds.get(other) == Some(&name));
        (first == Some(kind)).then(|| spaced(name))
    }

    /// The type of a row on the site.
    pub fn kind<'r>(&'r self, name: &'r str) -> &'r str {
        self.kinds.get(name).copied().unwrap_or(name)
    }

    /// Renames what a row says of kinds and their keys.
    pub fn fit(&self, mut row: Row) -> Row {
        for (name, cell) in &mut row.values {
            let Cell::Text(text) = cell else { continue };
            if matches!(*name, "parent_type" | "from_entity_type" | "to_entity_type") {
                *text = self.kind(text).to_owned();
            } else if let Some(key) = self.keys.get(text.as_str()) {
                key.clone_into(text);
            }
        }
        row
    }
}

impl Other {
    /// What it is able to do follows from what the schema lets nobody change.
    fn new(ty: &EntityType, object: &str) -> Self {
        let may_change = |name: &str| !ty.immutable.iter().any(|it| it == name);
        Self {
            id: object.to_owned(),
            label: spaced(&ty.id),
            has_type: may_change("type_id"),
            has_status: may_change("status_id"),
            has_dates: may_change("end_date"),
        }
    }
}

/// The priority that the schema gives to new tasks takes the place of the studio's.
fn default_priority(schema: &Schema) -> Option<(String, String)> {
    let default = schema.get("Task")?.get("priority_id")?.default.as_ref()?;
    Some((id("Priority", "None"), default.as_str()?.to_owned()))
}

/// `AssetBuild` is called Asset Build.
fn spaced(name: &str) -> String {
    let mut label = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !label.is_empty() {
            label.push(' ');
        }
        label.push(character);
    }
    label
}
