//! One row of a table: reading, inserting, changing, and remembering what changed.

use std::collections::BTreeMap;
use std::rc::Rc;

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, params_from_iter};
use serde_json::Value;

use crate::changes::{Action, AttributeChange, Change, Parent};
use crate::database::family::TYPE;
use crate::database::model::{Model, Storage, Type};
use crate::database::value;
pub use crate::database::value::plain;
use crate::error::Result;
use crate::rules::Batch;
use crate::schema::Kind;

/// The values of a row by column.
pub type Record = BTreeMap<String, Sql>;

impl<'a> Batch<'a> {
    /// The row with this key, whichever of the family's types it has, and its concrete type.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn find<'t>(&self, ty: &'t Type, key: &[Sql]) -> Result<Option<(&'t Type, Record)>>
    where
        'a: 't,
    {
        let table = self.model.table(ty);
        let sql = self.select(ty);
        let read = |row: &rusqlite::Row<'_>| {
            let mut record = Record::new();
            for (index, column) in table.columns.iter().enumerate() {
                record.insert(column.name.clone(), row.get(index)?);
            }
            Ok(record)
        };
        let found = self
            .connection
            .prepare_cached(&sql)?
            .query_row(params_from_iter(key), read)
            .optional()?;
        Ok(found.map(|record| (self.concrete(ty, &record), record)))
    }

    /// The statement that reads a whole row by its key. Types that share a table share the key.
    fn select(&self, ty: &Type) -> Rc<str> {
        let mut known = self.memory.selects.borrow_mut();
        let sql = known.entry(ty.table).or_insert_with(|| {
            let table = self.model.table(ty);
            let columns: Vec<_> = table
                .columns
                .iter()
                .map(|column| format!("\"{}\"", column.name))
                .collect();
            let sql = format!(
                "SELECT {} FROM \"{}\" WHERE {}",
                columns.join(", "),
                table.name,
                keyed(ty, 1)
            );
            sql.into()
        });
        Rc::clone(sql)
    }

    fn concrete<'t>(&self, ty: &'t Type, record: &Record) -> &'t Type
    where
        'a: 't,
    {
        let model: &'a Model = self.model;
        let name = ty.discriminator.and_then(|column| text(record, column));
        name.and_then(|name| model.find(name)).unwrap_or(ty)
    }

    /// Inserts a row.
    ///
    /// # Errors
    ///
    /// If there is one with this key.
    pub fn insert(&mut self, ty: &Type, record: &Record) -> Result<()> {
        let names: Vec<_> = record.keys().map(|name| format!("\"{name}\"")).collect();
        let holes: Vec<_> = (1..=names.len()).map(|index| format!("?{index}")).collect();
        let sql = format!(
            "INSERT INTO \"{}\" ({}) VALUES ({})",
            self.model.table(ty).name,
            names.join(", "),
            holes.join(", ")
        );
        self.connection
            .prepare_cached(&sql)?
            .execute(params_from_iter(record.values()))?;
        self.note_change(Action::Add, ty, &Record::new(), record)
    }

    /// Changes values of a row. `before` is the whole row as it was.
    ///
    /// # Errors
    ///
    /// If the new values collide with another row.
    pub fn change(&mut self, ty: &Type, before: &Record, values: &Record) -> Result<()> {
        let differs = |(name, value): &(&String, &Sql)| before.get(*name) != Some(*value);
        let changed: Vec<_> = values.iter().filter(differs).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let sets: Vec<_> = changed
            .iter()
            .enumerate()
            .map(|(i, (name, _))| format!("\"{name}\" = ?{}", i + 1))
            .collect();
        let sql = format!(
            "UPDATE \"{}\" SET {} WHERE {}",
            self.model.table(ty).name,
            sets.join(", "),
            keyed(ty, changed.len() + 1)
        );
        let key = key_of(ty, before);
        let bound = changed.iter().map(|(_, value)| (*value).clone()).chain(key);
        self.connection
            .prepare_cached(&sql)?
            .execute(params_from_iter(bound))?;
        let mut after = before.clone();
        after.extend(
            changed
                .into_iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        let is_moved = ty
            .column("parent_id")
            .is_some_and(|column| before.get(column) != after.get(column));
        let action = if is_moved && self.model.table(ty).name == "context" {
            Action::Move
        } else {
            Action::Update
        };
        self.note_change(action, ty, before, &after)
    }

    /// Remembers a change, if anybody wants to know, folded with earlier ones of the same row.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn note_change(
        &mut self,
        action: Action,
        ty: &Type,
        before: &Record,
        after: &Record,
    ) -> Result<()> {
        self.forget(action, ty, before, after);
        if self.changes.is_none() {
            return Ok(());
        }
        let current = if action == Action::Remove {
            before
        } else {
            after
        };
        let mut attributes = Vec::new();
        for attr in &ty.attributes {
            let Storage::Column(column) = &attr.storage else {
                continue;
            };
            let (old, new) = (before.get(column), after.get(column));
            let (old, new) = (old.unwrap_or(&Sql::Null), new.unwrap_or(&Sql::Null));
            if old != new {
                attributes.push(AttributeChange {
                    name: attr.name().to_owned(),
                    column: attr
                        .schema
                        .alias
                        .clone()
                        .unwrap_or_else(|| attr.name().to_owned()),
                    old: json(&attr.schema.kind, old),
                    new: json(&attr.schema.kind, new),
                });
            }
        }
        let key = key_of(ty, current).iter().map(plain).collect();
        let parents = self.parents(ty, current)?;
        let change = Change {
            action,
            entity_type: ty.name.clone(),
            key,
            attributes,
            parents,
        };
        if let Some(changes) = &mut self.changes {
            changes.add(change);
        }
        Ok(())
    }

    /// Remembers that two rows are connected, or no longer, by a table that the schema does not
    /// show, such as a context and its scope. How servers announce that is unknown [?]: here it
    /// is a row of a type of its own, with both ends among its parents.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn note_link(
        &mut self,
        action: Action,
        table: &str,
        (own, owner_type, owner): (&str, &Type, &Record),
        ((other, member_type), member): ((&str, &Type), &Sql),
    ) -> Result<()> {
        self.memory.workflow.get_mut().clear();
        if self.changes.is_none() {
            return Ok(());
        }
        let ends = [
            (own, key_of(owner_type, owner).first().map(plain)),
            (other, Some(plain(member))),
        ];
        let attributes = ends.iter().map(|(column, id)| {
            let value = Value::from(id.clone());
            let (old, new) = match action {
                Action::Remove => (value, Value::Null),
                _ => (Value::Null, value),
            };
            AttributeChange {
                name: (*column).to_owned(),
                column: (*column).to_owned(),
                old,
                new,
            }
        });
        let entity_type: String = table.split('_').map(capitalised).collect();
        let attributes = attributes.collect();
        let key: Vec<String> = ends.into_iter().filter_map(|(_, id)| id).collect();
        let parent = |entity_type: &str, id: String, parent_id| Parent {
            entity_type: entity_type.to_owned(),
            id,
            parent_id,
            object_type_id: None,
        };
        let mut parents = vec![
            parent(&entity_type, key.join(","), key.first().cloned()),
            parent(&member_type.name, plain(member), None),
        ];
        parents.extend(self.parents(owner_type, owner)?);
        if let Some(changes) = &mut self.changes {
            changes.add(Change {
                action,
                entity_type,
                key,
                attributes,
                parents,
            });
        }
        Ok(())
    }

    /// Forgets what was remembered of rows that are other than before.
    fn forget(&mut self, action: Action, ty: &Type, before: &Record, after: &Record) {
        let is_context = self.model.table(ty).name == "context";
        if !is_context || ty.name == "Project" {
            self.memory.workflow.get_mut().clear();
        }
        let differs = |column: &&str| before.get(*column) != after.get(*column);
        if is_context
            && action != Action::Add
            && ["parent_id", "object_type_id", TYPE].iter().any(differs)
        {
            self.memory.chains.get_mut().clear();
        }
    }

    /// A member of a list and a project of a role are about another entity, which comes second.
    fn add_subject(&self, chain: &mut Vec<Parent>, record: &Record) -> Result<()> {
        let (names, column): (&[&str], _) = match chain[0].entity_type.as_str() {
            "ListObject" => (&["Context", "AssetVersion"], "entity_id"),
            "UserSecurityRoleProject" => (&["UserSecurityRole"], "user_security_role_id"),
            _ => return Ok(()),
        };
        let id = record.get(column).cloned().unwrap_or(Sql::Null);
        for name in names {
            let Some(ty) = self.model.find(name) else {
                continue;
            };
            if let Some((ty, _)) = self.find(ty, std::slice::from_ref(&id))? {
                chain.push(Parent {
                    entity_type: ty.name.clone(),
                    id: plain(&id),
                    parent_id: None,
                    object_type_id: None,
                });
                break;
            }
        }
        Ok(())
    }

    /// The entity and everything above it, up to the project.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub fn parents(&self, ty: &Type, record: &Record) -> Result<Vec<Parent>> {
        let mut chain: Vec<Parent> = Vec::new();
        // The first context above the row, and its place in the chain.
        let mut first = None;
        let mut is_complete = true;
        let mut next = Some((ty.id, record.clone()));
        // A damaged tree cannot make this endless.
        while let Some((id, record)) = next.take().filter(|_| chain.len() < 200) {
            let ty = &self.model.types[id];
            let above = above(&self.model.table(ty).name, &record);
            let parent_id = above.as_ref().map(|(_, id)| id.clone());
            chain.push(Parent {
                entity_type: ty.name.clone(),
                id: key_of(ty, &record).first().map(plain).unwrap_or_default(),
                parent_id: parent_id.clone(),
                object_type_id: text(&record, "object_type_id").map(str::to_owned),
            });
            if chain.len() == 1 {
                self.add_subject(&mut chain, &record)?;
            }
            let Some((name, id)) = above else { break };
            if name == "Context" {
                if let Some(known) = self.memory.chains.borrow().get(&id) {
                    chain.extend(known.iter().cloned());
                    return Ok(chain);
                }
                first.get_or_insert((id.clone(), chain.len()));
            }
            let found = match self.model.find(&name) {
                Some(ty) => self.find(ty, &[Sql::Text(id)])?,
                None => None,
            };
            is_complete = found.is_some();
            next = found.map(|(ty, record)| (ty.id, record));
        }
        // What is missing may come later in the batch.
        if let Some((id, start)) = first.filter(|_| is_complete) {
            let mut chains = self.memory.chains.borrow_mut();
            chains.insert(id, chain[start..].to_vec());
        }
        Ok(chain)
    }
}

/// The type and id of what a row belongs to.
fn above(table: &str, record: &Record) -> Option<(String, String)> {
    let (name, column) = match table {
        "context" => ("Context", "parent_id"),
        "asset" | "timelog" | "timer" | "appointment" | "manager" => ("Context", "context_id"),
        "asset_version" => ("Asset", "asset_id"),
        "component" => ("AssetVersion", "version_id"),
        "component_location" => ("Component", "component_id"),
        "list" | "review_session" | "calendar_event" | "user_security_role_project" => {
            ("Project", "project_id")
        }
        "list_object" => ("List", "list_id"),
        "review_session_object" | "review_session_invitee" => {
            ("ReviewSession", "review_session_id")
        }
        "typed_context_link" => ("Context", "to_id"),
        "asset_version_link" => ("AssetVersion", "to_id"),
        "note" | "metadata" | "status_change" => (text(record, "parent_type")?, "parent_id"),
        _ => return None,
    };
    Some((name.to_owned(), text(record, column)?.to_owned()))
}

fn capitalised(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// The condition on the key, with numbered holes from `first` on.
pub fn keyed(ty: &Type, first: usize) -> String {
    let parts: Vec<_> = ty
        .key
        .iter()
        .enumerate()
        .map(|(index, key)| format!("\"{key}\" = ?{}", first + index))
        .collect();
    parts.join(" AND ")
}

/// The key's values of a row.
pub fn key_of(ty: &Type, record: &Record) -> Vec<Sql> {
    ty.key
        .iter()
        .map(|key| record.get(key).cloned().unwrap_or(Sql::Null))
        .collect()
}

/// A column's text; `None` for nothing and for other values.
pub fn text<'r>(record: &'r Record, column: &str) -> Option<&'r str> {
    match record.get(column) {
        Some(Sql::Text(text)) => Some(text),
        _ => None,
    }
}

/// Whether a column has no value.
pub fn is_missing(record: &Record, column: &str) -> bool {
    matches!(record.get(column), None | Some(Sql::Null))
}

/// A stored value as it is sent.
pub fn json(kind: &Kind, value: &Sql) -> Value {
    value::to_json(kind, value.into())
}
