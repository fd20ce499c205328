//! What a commit makes stale: after each change of each attribute of each type, everything that is
//! loaded must be what a second session reads.

use std::collections::{BTreeMap, BTreeSet};

use ftrack_api::entity::Json;
use ftrack_api::schema::{Attribute, AttributeKind};
use ftrack_api::{Data, Entity, EntityKey, Session, Value, data};

use crate::support::{Studio, open};

/// Attributes whose value depends on the time of the request.
const VOLATILE: [&str; 2] = ["thumbnail_url", "url"];
/// Collections that do not show a new entity before the commit: its references do not say that it will
/// be a member.
const NOT_SHOWN: [&str; 2] = ["descendants", "metadata"];

/// Types of which nothing can be changed: they only name what others have in common, their rows consist of a key, the server alone
/// changes them, or the demo studio has no configuration for their values.
const UNTRIED: &str = "Action ActionLog AssetCustomAttributeLink AssetCustomAttributeLinkFrom \
    AssetCustomAttributeValue AssetVersionCustomAttributeLink \
    AssetVersionCustomAttributeLinkFrom AssetVersionCustomAttributeValue BaseUser Component \
    ComponentCustomAttributeLink ComponentCustomAttributeLinkFrom ContainerComponent Context \
    CustomAttributeLink CustomAttributeLinkFrom CustomConfigurationBase \
    GroupCustomAttributeLink GroupCustomAttributeLinkFrom JobComponent List \
    ListCustomAttributeLink ListCustomAttributeLinkFrom ListCustomAttributeValue \
    ListObjectCustomAttributeValue NoteAnnotationComponent NoteComponent NoteLabelLink \
    ProjectSchemaObjectType Resource ReviewSessionObjectAnnotationComponent Schema \
    SettingComponent StatusChange StatusRuleGroup TaskTypeSchemaType TypedContext \
    UserCustomAttributeLinkFrom UserTaskTypeLink UserType WorkflowSchemaStatus";

/// A session that changes entities, and one that reads them afterwards.
struct Stage {
    studio: Studio,
    /// Reads what is on the server.
    other: Session,
    /// The changed entity and its relatives.
    watched: Vec<Entity>,
}

impl Stage {
    fn new() -> Self {
        let studio = Studio::new();
        Self {
            other: open(&studio.server),
            studio,
            watched: Vec::new(),
        }
    }

    fn session(&self) -> &Session {
        &self.studio.session
    }

    fn first(&self, entity_type: &str) -> Option<Entity> {
        self.some(entity_type, 1).pop()
    }

    /// An entity of a type that the demo studio has none of, unless the server refuses to make one of it.
    fn make(&self, entity_type: &str) -> Option<Entity> {
        let info = self.session().schema().entity_type(entity_type).unwrap();
        let mut values = Data::new();
        for attribute in info.attributes() {
            let name = attribute.name();
            let is_key = name == "id";
            let by_reference = name
                .strip_suffix("_id")
                .is_some_and(|name| info.attribute(name).is_ok());
            if is_key || by_reference || attribute.is_restricted() {
                continue;
            }
            let value: Value = match (attribute.kind(), name) {
                (_, "parent_id" | "entity_id" | "context_id") => self.first("Task")?.id().into(),
                (_, "user_id" | "resource_id" | "created_by" | "updated_by") => {
                    self.first("User")?.id().into()
                }
                (_, "parent_type" | "entity_type") => "task".into(),
                (AttributeKind::Reference(target), _) => match self.first(target) {
                    Some(entity) => (&entity).into(),
                    None => continue,
                },
                (AttributeKind::Text, _) => "made".into(),
                (AttributeKind::Integer | AttributeKind::Number, _) => 7.into(),
                (AttributeKind::DateTime, _) => jiff::civil::date(2026, 1, 2).at(3, 4, 5, 0).into(),
                _ => continue,
            };
            values.set(name, value);
        }
        let made = self.session().create(entity_type, values);
        let made = made.and_then(|entity| self.session().commit().map(|()| entity));
        if made.is_err() {
            self.session().rollback();
        }
        made.ok()
    }

    /// Loads all attributes of an entity and of everything to which it refers.
    fn watch(&mut self, entity: &Entity) {
        self.watched.clear();
        self.session().reset();
        self.add(entity, 2);
    }

    fn add(&mut self, entity: &Entity, depth: u8) {
        if self.watched.len() >= 8 || self.watched.contains(entity) {
            return;
        }
        let entity = self.session().entity(entity.key()).unwrap();
        let names = loadable(&entity);
        self.session().populate(&entity, names.clone()).unwrap();
        self.watched.push(entity.clone());
        if depth == 0 {
            return;
        }
        for name in &names {
            let near: Vec<EntityKey> = match entity.known_value(name).unwrap() {
                Some(Value::Reference(key)) => vec![key],
                Some(Value::Collection(keys)) => keys.into_iter().take(1).collect(),
                _ => Vec::new(),
            };
            for key in near {
                // Rows of workflow schemas and the like refer to half the studio.
                let depth = if name == "parent" || name == "asset" {
                    depth
                } else {
                    depth - 1
                };
                let near = self.session().entity(&key).unwrap();
                self.add(&near, depth);
            }
        }
    }

    /// Each loaded value that differs from what a new session reads.
    fn stale(&self) -> Vec<String> {
        let other = &self.other;
        other.reset();
        let mut by_type: BTreeMap<&str, Vec<Entity>> = BTreeMap::new();
        for entity in &self.watched {
            let list = by_type.entry(entity.entity_type()).or_default();
            list.push(other.entity(entity.key()).unwrap());
        }
        for entities in by_type.values() {
            other.populate(entities, loadable(&entities[0])).unwrap();
        }
        let mut stale = Vec::new();
        for entity in &self.watched {
            let now = other.entity(entity.key()).unwrap();
            let names = loadable(entity);
            let keys = entity.type_info().primary_key();
            let mut others = names
                .iter()
                .filter(|name| keys.iter().all(|key| key != name));
            let exists = others.any(|name| now.known_value(name).unwrap().is_some());
            if !exists {
                if self
                    .session()
                    .get(entity.entity_type(), entity.key())
                    .unwrap()
                    .is_some()
                {
                    stale.push(format!("{} was deleted", entity.entity_type()));
                }
                continue;
            }
            for name in &names {
                // What is not loaded is fetched when it is read.
                let Some(known) = entity.remote_value(name).unwrap() else {
                    continue;
                };
                let current = now.remote_value(name).unwrap();
                if !same(&known, current.as_ref()) {
                    let place = format!("{}.{name}", entity.entity_type());
                    let short = |value: String| value.chars().take(60).collect::<String>();
                    let current = current.map_or("nothing".into(), |value| value.to_string());
                    stale.push(format!(
                        "{place}: {} instead of {}",
                        short(known.to_string()),
                        short(current)
                    ));
                }
            }
        }
        stale
    }

    /// The loaded collections of the watched entities that have this member, as a session sees them.
    fn collections_with(&self, session: &Session, member: &Entity) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for watched in &self.watched {
            let entity = session.entity(watched.key()).unwrap();
            for name in loadable(&entity) {
                if let Some(Value::Collection(keys)) = entity.known_value(&name).unwrap()
                    && !NOT_SHOWN.contains(&name.as_str())
                    && keys.contains(&member.key())
                {
                    found.insert(format!("{}.{name}", entity.entity_type()));
                }
            }
        }
        found
    }

    /// Commits what is recorded; `None` if the server refuses it.
    fn commit(&self) -> Option<Vec<String>> {
        if self.session().recorded_operations().is_empty() {
            return None;
        }
        if self.session().commit().is_err() {
            self.session().rollback();
            return None;
        }
        Some(self.stale())
    }

    /// A value of an attribute that the entity does not have.
    fn another_value(&self, entity: &Entity, attribute: &Attribute) -> Option<Value> {
        let known = entity.known_value(attribute.name()).unwrap();
        Some(match (attribute.kind(), known) {
            (AttributeKind::Text, Some(Value::Text(id))) if attribute.name().ends_with("_id") => {
                let name = attribute.name().trim_end_matches("_id");
                let reference = entity.type_info().attribute(name).ok()?;
                let other = self.another(reference.target()?, &id)?;
                other.id().into()
            }
            (AttributeKind::Text, Some(Value::Text(text))) => format!("{text} changed").into(),
            (AttributeKind::Text, _) => "changed".into(),
            (AttributeKind::Bool, Some(Value::Bool(value))) => (!value).into(),
            (AttributeKind::Bool, _) => true.into(),
            (AttributeKind::Integer | AttributeKind::Number, Some(Value::Integer(value))) => {
                (value + 1).into()
            }
            (AttributeKind::Number, Some(Value::Number(value))) => (value + 1.0).into(),
            (AttributeKind::Integer | AttributeKind::Number, _) => 7.into(),
            (AttributeKind::DateTime, _) => jiff::civil::date(2026, 1, 2).at(3, 4, 5, 0).into(),
            // Of custom attributes.
            (_, Some(Value::Text(text))) if attribute.name() == "value" => {
                format!("{text} changed").into()
            }
            (_, Some(Value::Number(value))) if attribute.name() == "value" => (value + 1.0).into(),
            (_, Some(Value::Integer(value))) if attribute.name() == "value" => (value + 1).into(),
            (_, Some(Value::Null) | None) if attribute.name() == "value" => "changed".into(),
            (AttributeKind::Reference(target), Some(Value::Reference(key))) => {
                (&self.another(target, &key.id())?).into()
            }
            (AttributeKind::Reference(target), _) => (&self.another(target, "")?).into(),
            _ => return None,
        })
    }

    fn another(&self, entity_type: &str, id: &str) -> Option<Entity> {
        self.some(entity_type, 3)
            .into_iter()
            .find(|one| one.id() != id)
    }

    /// The first entities of a type, with nothing but their keys.
    fn some(&self, entity_type: &str, count: u64) -> Vec<Entity> {
        let key = self.session().schema().entity_type(entity_type).unwrap();
        let key = key.primary_key().iter().map(ToString::to_string);
        let query = self.session().select(entity_type);
        let query = query.fields(key.collect::<Vec<_>>()).slice(..count);
        query.all().unwrap()
    }
}

/// The attributes that can be fetched, except volatile ones.
fn loadable(entity: &Entity) -> Vec<String> {
    let attributes = entity.type_info().attributes().iter();
    let attributes =
        attributes.filter(|one| !one.is_restricted() && !VOLATILE.contains(&one.name()));
    attributes.map(|one| one.name().to_owned()).collect()
}

/// Collections have no order.
fn same(known: &Value, current: Option<&Value>) -> bool {
    match (known, current) {
        (Value::Collection(known), Some(Value::Collection(current))) => {
            let sorted = |keys: &[EntityKey]| {
                let mut ids: Vec<String> = keys.iter().map(EntityKey::id).collect();
                ids.sort();
                ids
            };
            sorted(known) == sorted(current)
        }
        // A note's category is a label too; the server names it by either type.
        (Value::Reference(known), Some(Value::Reference(current))) => known.id() == current.id(),
        (known, current) => current == Some(known),
    }
}

#[test]
fn nothing_loaded_is_stale_after_any_attribute_was_set() {
    let mut stage = Stage::new();
    let types: Vec<String> = stage
        .session()
        .schema()
        .entity_types()
        .iter()
        .map(|one| one.name().to_owned())
        .collect();
    let only = std::env::var("FTRACK_TYPE").ok();
    let (mut tried, mut problems) = (0, BTreeMap::<String, Vec<String>>::new());
    let mut untried: BTreeSet<&str> = types.iter().map(String::as_str).collect();
    for entity_type in &types {
        if only.as_ref().is_some_and(|only| only != entity_type) {
            continue;
        }
        let Some(entity) = stage.first(entity_type).or_else(|| stage.make(entity_type)) else {
            continue;
        };
        if entity.entity_type() != entity_type {
            continue;
        }
        let attributes: Vec<Attribute> = entity.type_info().attributes().to_vec();
        for attribute in attributes
            .iter()
            .filter(|one| one.is_mutable() && !one.is_restricted())
        {
            // The server ignores the key of a value: it is that of the configuration.
            if entity_type.ends_with("CustomAttributeValue") && attribute.name() == "key" {
                continue;
            }
            stage.watch(&entity);
            let Some(value) = stage.another_value(&entity, attribute) else {
                continue;
            };
            if entity.set(attribute.name(), value).is_err() {
                stage.session().rollback();
                continue;
            }
            let Some(stale) = stage.commit() else {
                continue;
            };
            tried += 1;
            untried.remove(entity_type.as_str());
            if !stale.is_empty() {
                problems.insert(format!("{entity_type}.{}", attribute.name()), stale);
            }
        }
    }
    assert!(problems.is_empty(), "{tried} tried: {problems:#?}");
    let expected = UNTRIED.split_whitespace().collect();
    assert!(
        only.is_some() || untried == expected,
        "{tried} tried, not {untried:?}"
    );
}

/// Creations whose consequences reach other entities: type and data, made from a watched task.
fn creations(stage: &Stage) -> Vec<(&'static str, Data)> {
    let first = |entity_type: &str| stage.first(entity_type).unwrap();
    let (task, user, version) = (first("Task"), first("User"), first("AssetVersion"));
    let (asset, note, label) = (first("Asset"), first("Note"), first("NoteLabel"));
    let shot = first("Shot");
    vec![
        ("Task", data! { "name": "new", "parent": &shot }),
        (
            "Folder",
            data! { "name": "new", "parent": first("Project") },
        ),
        (
            "Asset",
            data! { "name": "new", "parent": &shot, "type": first("AssetType") },
        ),
        ("AssetVersion", data! { "asset": &asset, "task": &task }),
        (
            "FileComponent",
            data! { "name": "new", "version": &version },
        ),
        (
            "Timelog",
            data! { "user": &user, "context": &task, "duration": 3600 },
        ),
        (
            "Note",
            data! { "content": "new", "author": &user, "parent_id": task.id(), "parent_type": "TypedContext" },
        ),
        (
            "Note",
            data! { "content": "new", "author": &user, "in_reply_to": &note },
        ),
        (
            "NoteLabelLink",
            data! { "note_id": note.id(), "label_id": label.id() },
        ),
        (
            "Appointment",
            data! { "resource": &user, "context": &task, "type": "assignment" },
        ),
        ("TypedContextLink", data! { "from": &task, "to": &shot }),
        (
            "AssetVersionLink",
            data! { "from": &version, "to": stage.another("AssetVersion", &version.id()).unwrap() },
        ),
        (
            "ListObject",
            data! { "list_id": first("TypedContextList").id(), "entity_id": task.id() },
        ),
        (
            "Recipient",
            data! { "note_id": note.id(), "resource_id": stage.another("User", &user.id()).unwrap().id() },
        ),
        (
            "Metadata",
            data! { "parent_id": task.id(), "parent_type": "Task", "key": "fresh", "value": "x" },
        ),
    ]
}

#[test]
fn nothing_loaded_is_stale_after_a_creation_or_its_deletion() {
    let mut stage = Stage::new();
    let mut problems = BTreeMap::<String, Vec<String>>::new();
    let mut tried = 0;
    for (number, (entity_type, data)) in creations(&stage).into_iter().enumerate() {
        // Everything that the new entity refers to is loaded before.
        stage.session().reset();
        stage.watched.clear();
        let mut related: Vec<EntityKey> = Vec::new();
        for (_, value) in &data {
            match value {
                Value::Reference(key) => related.push(key.clone()),
                Value::Text(id) => {
                    let types = ["Context", "Note", "TypedContextList", "User"];
                    let found = types
                        .iter()
                        .filter_map(|one| stage.session().get(one, id.as_str()).unwrap());
                    related.extend(found.map(|one| one.key()));
                }
                _ => {}
            }
        }
        for key in &related {
            let entity = stage.session().entity(key).unwrap();
            stage.add(&entity, 2);
        }
        let Ok(created) = stage.session().create(entity_type, data) else {
            problems.insert(
                format!("{number} {entity_type}"),
                vec!["not created".into()],
            );
            continue;
        };
        let before = stage.collections_with(stage.session(), &created);
        stage.watched.push(created.clone());
        let mut stale = stage.commit();
        let after = stage.collections_with(&stage.other, &created);
        if before != after {
            let shown = format!("shown in {before:?} before the commit, {after:?} after it");
            stale.get_or_insert_default().push(shown);
        }
        match stale {
            Some(stale) if stale.is_empty() => tried += 1,
            Some(stale) => drop(problems.insert(format!("{number} create {entity_type}"), stale)),
            None => {
                drop(problems.insert(format!("{number} {entity_type}"), vec!["refused".into()]));
            }
        }
        let names = loadable(&created);
        stage.session().populate(&created, names).unwrap();
        for key in &related {
            let entity = stage.session().entity(key).unwrap();
            let names = loadable(&entity);
            stage.session().populate(&entity, names).unwrap();
        }
        stage.session().delete(&created).unwrap();
        match stage.commit() {
            Some(stale) if stale.is_empty() => tried += 1,
            Some(stale) => drop(problems.insert(format!("{number} delete {entity_type}"), stale)),
            None => drop(problems.insert(
                format!("{number} delete {entity_type}"),
                vec!["refused".into()],
            )),
        }
    }
    assert!(problems.is_empty(), "{tried} tried: {problems:#?}");
}

#[test]
fn nothing_loaded_is_stale_after_members_changed() {
    let mut stage = Stage::new();
    let (mut tried, mut problems) = (0, BTreeMap::<String, Vec<String>>::new());
    let types: Vec<String> = stage
        .session()
        .schema()
        .entity_types()
        .iter()
        .map(|one| one.name().to_owned())
        .collect();
    for entity_type in &types {
        let Some(entity) = stage
            .first(entity_type)
            .filter(|one| one.entity_type() == entity_type)
        else {
            continue;
        };
        let attributes: Vec<Attribute> = entity.type_info().attributes().to_vec();
        for attribute in attributes
            .iter()
            .filter(|one| one.is_mutable() && !one.is_restricted())
        {
            let AttributeKind::Collection(target) = attribute.kind() else {
                continue;
            };
            for adds in [true, false] {
                stage.watch(&entity);
                let collection = entity.collection(attribute.name()).unwrap();
                let members = collection.all().unwrap();
                let changed = match adds {
                    true => {
                        let mut others = stage.some(target, 30).into_iter();
                        let other = others.find(|one| !members.contains(one) && *one != entity);
                        let Some(other) = other else { continue };
                        stage.add(&other, 1);
                        collection.push(&other).is_ok()
                    }
                    false => {
                        let Some(member) = members.first() else {
                            continue;
                        };
                        stage.add(member, 1);
                        collection.remove(member).is_ok()
                    }
                };
                if !changed {
                    stage.session().rollback();
                    continue;
                }
                let Some(stale) = stage.commit() else {
                    continue;
                };
                tried += 1;
                if !stale.is_empty() {
                    problems.insert(format!("{entity_type}.{} {adds}", attribute.name()), stale);
                }
            }
        }
    }
    assert!(problems.is_empty(), "{tried} tried: {problems:#?}");
    assert!(tried > 20, "only {tried} tried");
}

/// A link, as the names in it.
fn link(entity: &Entity) -> Vec<String> {
    let link: Vec<serde_json::Value> = entity.get::<Json<_>>("link").unwrap().0;
    let names = link.iter().map(|one| one["name"].as_str().unwrap());
    names.map(str::to_owned).collect()
}

#[test]
fn what_the_server_derives_is_read_anew_after_a_commit() {
    let studio = Studio::new();
    let session = &studio.session;
    let shots = session.query("Shot limit 2").unwrap().all().unwrap();
    let task = session
        .create("Task", data! { "name": "first", "parent": &shots[0] })
        .unwrap();
    session.commit().unwrap();
    let above = link(&shots[1]);
    assert_ne!(link(&task), [&above[..], &["first".into()]].concat());
    task.set("parent", &shots[1]).unwrap();
    session.commit().unwrap();
    assert_eq!(link(&task), [&above[..], &["first".into()]].concat());
    task.set("name", "second").unwrap();
    session.commit().unwrap();
    assert_eq!(link(&task), [&above[..], &["second".into()]].concat());

    let asset = studio.first("Asset");
    let publish = || {
        let made = session.create("AssetVersion", data! { "asset": &asset });
        session.commit().unwrap();
        made.unwrap()
    };
    let second = publish();
    assert!(second.get::<bool>("is_latest_version").unwrap());
    let third = publish();
    assert!(!second.get::<bool>("is_latest_version").unwrap());
    assert!(third.get::<bool>("is_latest_version").unwrap());

    let list = studio.first("AssetVersionList");
    for (owner, attribute, inverse) in [
        (&second, "uses_versions", "used_in_versions"),
        (&list, "items", "lists"),
    ] {
        assert_eq!(third.get::<Vec<Entity>>(inverse).unwrap(), []);
        let members = owner.collection(attribute).unwrap();
        members.push(&third).unwrap();
        session.commit().unwrap();
        let found: Vec<Entity> = third.get(inverse).unwrap();
        assert_eq!(found, std::slice::from_ref(owner));
    }
}
