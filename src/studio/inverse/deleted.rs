//! What the server deletes with an entity, read before it does.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::steps::InverseStep;
use crate::location::SERVER_LOCATION_ID;
use crate::query::{Statement, select};
use crate::schema::{Attribute, AttributeKind, EntityType, Schema};
use crate::studio::rows::{Row, by_key, rows_of, text};
use crate::studio::values;
use crate::{EntityKey, Result, Session, Value};

/// What goes with an entity: a type, its attribute with the id of the other one, and the type of that.
/// Other entities lose their reference to what is deleted.
///
/// The schema does not say it: 19 of these are not required, others are and do not go along, such as who
/// created a review session, and some have the ids of entities of any type, which no reference names.
const OWNED: [(&str, &str, &str); 47] = [
    ("TypedContext", "parent_id", "Context"),
    ("Asset", "context_id", "Context"),
    ("AssetVersion", "asset_id", "Asset"),
    ("Component", "version_id", "AssetVersion"),
    ("Component", "container_id", "Component"),
    ("ComponentLocation", "component_id", "Component"),
    ("Timelog", "context_id", "Context"),
    ("Timelog", "user_id", "User"),
    ("Timer", "context_id", "Context"),
    ("Timer", "user_id", "User"),
    ("Appointment", "context_id", "Context"),
    ("Appointment", "resource_id", "Resource"),
    ("Manager", "context_id", "Context"),
    ("Manager", "user_id", "User"),
    ("Membership", "group_id", "Group"),
    ("Membership", "user_id", "User"),
    ("Note", "parent_id", ANY),
    ("Note", "in_reply_to_id", "Note"),
    ("NoteComponent", "note_id", "Note"),
    ("NoteComponent", "component_id", "Component"),
    ("NoteLabelLink", "note_id", "Note"),
    ("NoteLabelLink", "label_id", "NoteLabel"),
    ("Recipient", "note_id", "Note"),
    ("Recipient", "resource_id", "Resource"),
    ("Metadata", "parent_id", ANY),
    (STORED_VALUE, "entity_id", ANY),
    ("CustomAttributeLink", "from_id", ANY),
    ("CustomAttributeLink", "to_id", ANY),
    ("TypedContextLink", "from_id", "Context"),
    ("TypedContextLink", "to_id", "Context"),
    ("SplitTaskPart", "task_id", "Context"),
    ("AssetVersionLink", "from_id", "AssetVersion"),
    ("AssetVersionLink", "to_id", "AssetVersion"),
    ("List", "project_id", "Project"),
    ("ListObject", "list_id", "List"),
    ("ListObject", "entity_id", ANY),
    ("ReviewSession", "project_id", "Project"),
    ("ReviewSessionFolder", "project_id", "Project"),
    ("ReviewSessionObject", "review_session_id", "ReviewSession"),
    ("ReviewSessionObject", "version_id", "AssetVersion"),
    ("ReviewSessionInvitee", "review_session_id", "ReviewSession"),
    (
        "ReviewSessionObjectStatus",
        "review_session_object_id",
        "ReviewSessionObject",
    ),
    (
        "ReviewSessionObjectStatus",
        "review_session_invitee_id",
        "ReviewSessionInvitee",
    ),
    ("CalendarEvent", "project_id", "Project"),
    (
        "CalendarEventResource",
        "calendar_event_id",
        "CalendarEvent",
    ),
    ("CalendarEventResource", "resource_id", "Resource"),
    ("UserSecurityRoleProject", "project_id", "Project"),
];
/// Any type of entity.
const ANY: &str = "";
/// Values of custom attributes that are set.
const STORED_VALUE: &str = "CustomAttributeValue";
/// The history, which only the server writes, and other views of what stands elsewhere.
const NOT_READ: [&str; 6] = [
    "StatusChange",
    "Event",
    "Feed",
    "EntitySetting",
    "ActionLog",
    "CustomAttributeLinkFrom",
];

/// What the server deletes with some entities, and who refers to it.
#[derive(Default)]
pub(super) struct Deleted {
    /// What is deleted, from the top down.
    entities: Vec<(EntityKey, Row)>,
    /// Values of custom attributes, by configuration, entity and value.
    custom_values: Vec<(String, String, Json)>,
    /// References to what is deleted: who has them, in which attribute, to what.
    references: Vec<(EntityKey, String, String)>,
    lost: Vec<String>,
}

/// A column with the id of another entity.
struct Relation<'s> {
    entity_type: &'s EntityType,
    column: &'s str,
    target: &'s str,
    is_owned: bool,
}

/// What a query is for.
enum Question<'s> {
    /// The attributes of entities of this type.
    Read(&'s EntityType),
    /// Who has their ids.
    Find(usize),
}

impl Deleted {
    pub(super) fn read<'a>(
        session: &Session,
        roots: impl Iterator<Item = &'a EntityKey>,
    ) -> Result<Self> {
        let schema = session.schema();
        let mut found = Self::default();
        let mut level: Vec<EntityKey> = roots.cloned().collect();
        let relations = if level.is_empty() {
            Vec::new()
        } else {
            relations(schema)
        };
        let mut seen: HashSet<EntityKey> = level.iter().cloned().collect();
        while !level.is_empty() {
            let (questions, statements) = ask(schema, &relations, &level)?;
            level = Vec::new();
            let responses = rows_of(session, &statements)?;
            for (question, rows) in questions.iter().zip(responses) {
                for row in rows {
                    let Some(key) = values::key_of(schema, &row) else {
                        continue;
                    };
                    match question {
                        // It was known by a more general type.
                        Question::Read(asked) if asked.name() != key.entity_type() => {
                            if seen.insert(key.clone()) {
                                level.push(key);
                            }
                        }
                        Question::Read(_) => found.entities.push((key, row)),
                        Question::Find(index) => {
                            found.take(&relations[*index], key, row, &mut seen, &mut level);
                        }
                    }
                }
            }
        }
        let gone: HashSet<String> = found.entities.iter().map(|(key, _)| key.id()).collect();
        found
            .references
            .retain(|(key, _, _)| !gone.contains(&key.id()));
        found.take_fixed_dates(schema)?;
        found.note_recipients(session)?;
        Ok(found)
    }

    /// The server makes whoever writes a note its recipient, at the end of the commit: here the user of
    /// the session that undoes the deletion, who is probably that of this one.
    fn note_recipients(&mut self, session: &Session) -> Result<()> {
        let of_kind = |name: &'static str| {
            let schema = session.schema();
            let is_it = move |key: &EntityKey| schema.is_kind_of(key.entity_type(), name);
            self.entities.iter().filter(move |(key, _)| is_it(key))
        };
        if of_kind("Note").next().is_none() {
            return Ok(());
        }
        let user = session.user()?;
        let own = of_kind("Recipient").filter(|(_, row)| text(row, "resource_id") == user.id());
        let own: HashSet<&str> = own.map(|(_, row)| text(row, "note_id")).collect();
        let added = of_kind("Note").filter(|(key, _)| !own.contains(key.id().as_str()));
        let added =
            added.map(|(key, _)| format!("that User({}) is no recipient of {key}", user.id()));
        let added: Vec<String> = added.collect();
        self.lost.extend(added);
        Ok(())
    }

    /// Takes out dates that nobody can set. Those of contexts with others below them follow from these.
    fn take_fixed_dates(&mut self, schema: &Schema) -> Result<()> {
        let contexts = self
            .entities
            .iter()
            .filter(|(key, _)| schema.is_kind_of(key.entity_type(), "TypedContext"));
        let above = contexts.map(|(_, row)| text(row, "parent_id").to_owned());
        let above: HashSet<String> = above.collect();
        for (key, row) in &mut self.entities {
            for name in fixed_dates(schema.entity_type(key.entity_type())?) {
                let is_set = row.remove(&name).is_some_and(|date| !date.is_null());
                if is_set && !above.contains(&key.id()) {
                    self.lost.push(format!("{name} of {key}"));
                }
            }
        }
        Ok(())
    }

    /// Keeps what a query has found.
    fn take(
        &mut self,
        relation: &Relation<'_>,
        key: EntityKey,
        row: Row,
        seen: &mut HashSet<EntityKey>,
        level: &mut Vec<EntityKey>,
    ) {
        let id = text(&row, relation.column).to_owned();
        if !relation.is_owned {
            self.references.push((key, relation.column.to_owned(), id));
        } else if relation.entity_type.name() == STORED_VALUE {
            let configuration = text(&row, "configuration_id").to_owned();
            let value = row.get("value").cloned().unwrap_or_default();
            if seen.insert(key) {
                self.custom_values.push((configuration, id, value));
            }
        } else if key.entity_type() == "ComponentLocation"
            && text(&row, "location_id") == SERVER_LOCATION_ID
        {
            if seen.insert(key) {
                self.lost
                    .push(format!("the data of Component({id}) in ftrack.server"));
            }
        } else if seen.insert(key.clone()) {
            if key.parts().len() == 1 {
                level.push(key);
            } else {
                self.entities.push((key, row));
            }
        }
    }

    pub(super) fn entities(&self) -> impl Iterator<Item = &EntityKey> {
        self.entities.iter().map(|(key, _)| key)
    }

    pub(super) fn lost(&self) -> Vec<String> {
        self.lost.clone()
    }

    /// What creates it all again: an entity after those that it refers to, if that is possible.
    pub(super) fn into_steps(self, session: &Session) -> Result<Vec<InverseStep>> {
        let schema = session.schema();
        let keys = self.entities.iter().map(|(key, _)| key);
        let places: HashMap<String, usize> = keys.map(EntityKey::id).zip(0..).collect();
        let (mut steps, mut later) = (Vec::new(), Vec::new());
        let set_again = |entity, attribute, before| InverseStep::Set {
            entity,
            attribute,
            expected: Value::Null,
            before,
        };
        for (place, (entity, row)) in self.entities.iter().enumerate() {
            let mut given = Vec::new();
            for (name, value) in row.iter().filter(|(name, _)| !name.starts_with("__")) {
                let value = values::from_wire(schema, entity, name, value)?;
                let target = value.as_str().and_then(|id| places.get(id));
                let is_own_key = schema
                    .entity_type(entity.entity_type())?
                    .primary_key()
                    .iter()
                    .any(|key| key == name);
                if !is_own_key && target.is_some_and(|target| *target >= place) {
                    later.push(set_again(entity.clone(), name.clone(), value));
                } else {
                    given.push((name.clone(), value));
                }
            }
            steps.push(InverseStep::Create {
                entity: entity.clone(),
                values: given,
            });
        }
        for (configuration, id, value) in &self.custom_values {
            let Some(place) = places.get(id) else {
                continue;
            };
            let owner = schema.entity_type(self.entities[*place].0.entity_type())?;
            let attribute = owner.attribute("custom_attributes");
            if let Ok(AttributeKind::Mapped(target)) = attribute.map(Attribute::kind) {
                let entity = EntityKey::composite(target, [configuration, id]);
                let before = values::from_wire(schema, &entity, "value", value)?;
                later.push(set_again(entity, "value".to_owned(), before));
            }
        }
        for (entity, attribute, id) in self.references {
            later.push(set_again(entity, attribute, Value::from(id)));
        }
        steps.extend(later);
        Ok(steps)
    }
}

/// The queries of one level: what the entities are, and who has their ids.
fn ask<'s>(
    schema: &'s Schema,
    relations: &[Relation<'s>],
    level: &[EntityKey],
) -> Result<(Vec<Question<'s>>, Vec<Statement>)> {
    let mut by_type: HashMap<&str, Vec<String>> = HashMap::new();
    for key in level {
        by_type.entry(key.entity_type()).or_default().push(key.id());
    }
    let (mut questions, mut statements) = (Vec::new(), Vec::new());
    for (name, ids) in &by_type {
        let entity_type = schema.entity_type(name)?;
        let mut fields = stored(entity_type);
        fields.extend(fixed_dates(entity_type));
        let these = select(*name).fields(fields);
        let these = by_key(&these, &entity_type.primary_key()[0], ids);
        questions.extend(these.iter().map(|_| Question::Read(entity_type)));
        statements.extend(these);
    }
    for (index, relation) in relations.iter().enumerate() {
        let is_meant = |name: &str| {
            relation.target == ANY
                || schema.is_kind_of(name, relation.target)
                || schema.is_kind_of(relation.target, name)
        };
        let ids = by_type.iter().filter(|(name, _)| is_meant(name));
        let ids: Vec<&String> = ids.flat_map(|(_, ids)| ids).collect();
        let entity_type = relation.entity_type;
        let mut fields = match entity_type.primary_key().len() {
            1 => vec![entity_type.primary_key()[0].to_string()],
            _ => stored(entity_type),
        };
        if entity_type.name() == "ComponentLocation" {
            fields.push("location_id".to_owned());
        }
        fields.push(relation.column.to_owned());
        let these = select(entity_type.name()).fields(fields);
        let these = by_key(&these, relation.column, &ids);
        questions.extend(these.iter().map(|_| Question::Find(index)));
        statements.extend(these);
    }
    Ok((questions, statements))
}

/// The attributes that a new entity can be given.
fn stored(entity_type: &EntityType) -> Vec<String> {
    let attributes = entity_type.attributes().iter();
    let stored = attributes.filter(|one| {
        let is_key = entity_type
            .primary_key()
            .iter()
            .any(|key| key == one.name());
        let is_value = !matches!(
            one.kind(),
            AttributeKind::Reference(_) | AttributeKind::Collection(_) | AttributeKind::Mapped(_)
        );
        let is_given = one.is_mutable() || one.is_required();
        is_key || is_value && is_given && !one.is_computed()
    });
    stored.map(|one| one.name().to_owned()).collect()
}

/// Dates that only the server sets, beside that of the creation.
fn fixed_dates(entity_type: &EntityType) -> Vec<String> {
    let attributes = entity_type.attributes().iter();
    let fixed = attributes.filter(|one| {
        matches!(one.kind(), AttributeKind::DateTime)
            && !(one.is_mutable() || one.is_required() || one.is_computed())
            && one.name() != "created_at"
    });
    fixed.map(|one| one.name().to_owned()).collect()
}

/// Everything that has the id of another entity.
fn relations(schema: &Schema) -> Vec<Relation<'_>> {
    let mut relations = Vec::new();
    for entity_type in schema.entity_types() {
        let name = entity_type.name();
        let is_dense = name != STORED_VALUE && name.ends_with(STORED_VALUE);
        let is_read = !is_dense && NOT_READ.iter().all(|one| !schema.is_kind_of(name, one));
        let base = entity_type
            .base()
            .and_then(|base| schema.entity_type(base).ok());
        for attribute in entity_type.attributes().iter().filter(|_| is_read) {
            let column = attribute.name();
            // Those of a more general type are asked for there.
            if base.is_some_and(|base| base.attribute(column).is_ok()) {
                continue;
            }
            let is_family =
                |one: &str| schema.is_kind_of(name, one) || schema.is_kind_of(one, name);
            let mut owned = OWNED
                .iter()
                .filter(|one| one.1 == column && is_family(one.0));
            let target = match owned.next() {
                Some((_, _, target)) => Some((*target, true)),
                None => column.strip_suffix("_id").and_then(|stem| {
                    let twin = entity_type.attribute(stem).ok()?;
                    match twin.kind() {
                        AttributeKind::Reference(target) if attribute.is_mutable() => {
                            Some((target.as_str(), false))
                        }
                        _ => None,
                    }
                }),
            };
            if let Some((target, is_owned)) = target {
                relations.push(Relation {
                    entity_type,
                    column,
                    target,
                    is_owned,
                });
            }
        }
    }
    relations
}
