//! Creating hierarchies from templates.

use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;

use super::recording::Recording;
use super::rows::{Row, rows_of, text};
use super::template::{Placed, Template, TemplateAsset, TemplateNode, path_of};
use crate::error::did_you_mean;
use crate::query::{Criterion, Statement, any_of, field, select};
use crate::schema::{AttributeKind, Schema};
use crate::value::derived_id;
use crate::{Data, Entity, EntityKey, EntityState, Error, ErrorKind, Result, Session, Value, data};

/// What [`Session::instantiate`] has found and recorded.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Instantiated {
    /// The contexts of the template, those that exist and those that the next commit creates, each
    /// after the one that it is below.
    pub contexts: Vec<Entity>,
    /// What the next commit creates: contexts, assets, assignments.
    pub created: Vec<Entity>,
}

impl Session {
    /// Records what a template has and `parent` lacks; the next [`commit`](Self::commit) creates it, in
    /// one request. [`plan`](Self::plan) shows it, [`rollback`](Self::rollback) discards it.
    ///
    /// What exists is found by its name, without regard to case, and is not changed: a second call
    /// records nothing, be it before or after the commit. Assets are found by name and type, assignments
    /// by task and user. Finding all of it takes one request for 5,000 contexts, and one or two more if there are
    /// custom attributes.
    ///
    /// If two machines do the same at once, the server refuses one of the commits as a duplicate: call
    /// [`rollback`](Self::rollback) and repeat the call, which finds what the other one created.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::serde_json::{self, json};
    /// use ftrack_api::studio::Template;
    ///
    /// let template: Template = serde_json::from_value(json!({
    ///     "groups": { "shot": [
    ///         { "entity_type": "Task", "name": "anim", "type": "Animation" },
    ///         { "entity_type": "Task", "name": "comp", "type": "Compositing" },
    ///     ]},
    ///     "children": [{ "entity_type": "Sequence", "name": "sq020", "children": [
    ///         { "entity_type": "Shot", "name": "sh0010", "include": ["shot"] },
    ///         { "entity_type": "Shot", "name": "sh0020", "include": ["shot"] },
    ///     ]}],
    /// }))?;
    /// let project = session.at("test")?;
    /// let made = session.instantiate(&template, &project)?;
    /// assert_eq!(made.created.len(), 7);
    /// print!("{}", session.plan());
    /// session.commit()?;
    ///
    /// let again = session.instantiate(&template, &project)?;
    /// assert_eq!((again.created.len(), again.contexts.len()), (0, 7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// After any error nothing of the template is recorded.
    ///
    /// - [`ErrorKind::Validation`] if the template includes itself, or has two nodes in one place, or one
    ///   that is not a context, or something of another type has the name of one.
    /// - [`ErrorKind::NotFound`] if there is no type, status or user with a name in it, and
    ///   [`ErrorKind::MultipleFound`] if there are several: give the id in `attributes`.
    /// - [`ErrorKind::WrongType`] if `parent` is not a context.
    /// - Any error of [`create`](Self::create) and of the requests.
    pub fn instantiate(&self, template: &Template, parent: &Entity) -> Result<Instantiated> {
        parent.check_context("hierarchy")?;
        let nodes = template.nodes()?;
        let found = Found::look(self, &nodes, parent)?;
        let mut recording = Recording::new(self);
        let made = record(&nodes, parent, &found, &mut recording)?;
        recording.keep();
        Ok(made)
    }
}

fn record(
    nodes: &[Placed<'_>],
    parent: &Entity,
    found: &Found,
    recording: &mut Recording<'_>,
) -> Result<Instantiated> {
    let mut made = Instantiated::default();
    for (index, placed) in nodes.iter().enumerate() {
        let above = placed
            .above
            .map_or(parent, |index| &made.contexts[index])
            .clone();
        record_node(placed.node, &above, found, recording, &mut made)
            .map_err(|error| error.context(format!("{} of the template", path_of(nodes, index))))?;
    }
    Ok(made)
}

fn record_node(
    node: &TemplateNode,
    above: &Entity,
    found: &Found,
    recording: &mut Recording<'_>,
    made: &mut Instantiated,
) -> Result<()> {
    let session = above.session();
    check_type(session.schema(), &node.entity_type)?;
    let place = (above.id(), node.name.to_lowercase());
    let context = match found.contexts.get(&place) {
        Some(known) if known.entity_type() != node.entity_type => {
            let message = format!(
                "{:?} should be a {}, but {known} has this name there; rename one of them",
                node.name, node.entity_type
            );
            return Err(Error::new(ErrorKind::Validation, message));
        }
        Some(known) => session.entity(known)?,
        None => {
            let data = found.data_of(session.schema(), node, above)?;
            let context = recording.create(&node.entity_type, data)?;
            made.created.push(context.clone());
            context
        }
    };
    for asset in &node.assets {
        if !found.has_asset(&context, asset)? {
            let asset = recording.create("Asset", found.asset_data(asset, &context)?)?;
            made.created.push(asset);
        }
    }
    for name in &node.assignees {
        let user = found.users.one(name)?;
        if !found.assigned.contains(&(context.id(), user.id())) {
            let id =
                derived_id("ftrack-api", &["assignment", &context.id(), &user.id()]).to_string();
            let data = data! {
                "id": id, "context": &context, "resource": user, "type": "assignment",
            };
            made.created.push(recording.create("Appointment", data)?);
        }
    }
    made.contexts.push(context);
    Ok(())
}

/// # Errors
///
/// - [`ErrorKind::UnknownType`], and [`ErrorKind::Validation`] for what is not below a project.
fn check_type(schema: &Schema, entity_type: &str) -> Result<()> {
    schema.entity_type(entity_type)?;
    if schema.is_kind_of(entity_type, "TypedContext") {
        return Ok(());
    }
    let hint = match entity_type {
        "Project" => "create it, and instantiate the template below it",
        "Asset" => "name it among the `assets` of what it belongs to",
        "Appointment" => "name the user among the `assignees`",
        _ => "a template has contexts, such as sequences, shots and tasks",
    };
    let message = format!("a {entity_type} is no part of a hierarchy: {hint}");
    Err(Error::new(ErrorKind::Validation, message))
}

/// A value of JSON, which has no dates, as the attribute takes it.
fn value_for(schema: &Schema, entity_type: &str, name: &str, json: &Json) -> Result<Value> {
    let attribute = schema.attribute_of(schema.entity_type(entity_type)?, name)?;
    let parsed = match (attribute.kind(), json.as_str()) {
        (AttributeKind::DateTime, Some(text)) => text.parse().ok().map(Value::DateTime),
        _ => None,
    };
    Ok(parsed.unwrap_or_else(|| Value::from(json.clone())))
}

/// What there is of a template: on the server, and recorded for the next commit.
struct Found {
    /// By the id of their parent and their name in lower case.
    contexts: HashMap<(String, String), EntityKey>,
    /// By the id of their parent and their name in lower case, the ids of their types.
    assets: HashMap<(String, String), Vec<String>>,
    /// Context and user.
    assigned: HashSet<(String, String)>,
    types: Named,
    statuses: Named,
    asset_types: Named,
    users: Named,
}

impl Found {
    fn look(session: &Session, nodes: &[Placed<'_>], parent: &Entity) -> Result<Self> {
        let depth = nodes.iter().map(|one| one.depth).max().unwrap_or(0);
        let is_new = parent.state() == Some(EntityState::Created);
        let below = |prefix: &str| -> Criterion {
            any_of((0..depth).map(|above| {
                let place = format!("{prefix}{}parent_id", "parent.".repeat(above));
                field(place).eq(parent.id())
            }))
        };
        // A limit of 0 keeps a query out of the request.
        let when = |wanted: bool, statement: Statement| match wanted && !is_new && depth > 0 {
            true => statement,
            false => statement.limit(0),
        };
        let has_assets = nodes.iter().any(|one| !one.node.assets.is_empty());
        let assignees = nodes.iter().flat_map(|one| &one.node.assignees);
        let assignees: HashSet<&String> = assignees.collect();
        let found = rows_of(
            session,
            &[
                when(
                    true,
                    select("TypedContext")
                        .fields("id, name, parent_id")
                        .filter(below("")),
                ),
                when(
                    has_assets,
                    select("Asset")
                        .fields("id, name, context_id, type_id")
                        .filter(below("parent[TypedContext].")),
                ),
                when(
                    !assignees.is_empty(),
                    select("Appointment")
                        .fields("id, context_id, resource_id")
                        .filter(field("type").eq("assignment"))
                        .filter(below("context[TypedContext].")),
                ),
                select("Type").fields("id, name"),
                select("Status").fields("id, name"),
                select("AssetType").fields("id, name"),
                select("User")
                    .fields("id, username")
                    .filter(field("username").is_in(assignees.iter().map(|name| name.as_str()))),
            ],
        )?;
        let found: [Vec<Row>; 7] = found.try_into().expect("there is a list for each query");
        let [
            contexts,
            assets,
            assigned,
            types,
            statuses,
            asset_types,
            users,
        ] = found;
        let mut this = Self {
            contexts: HashMap::new(),
            assets: HashMap::new(),
            assigned: HashSet::new(),
            types: Named::new("Type", "name", &types),
            statuses: Named::new("Status", "name", &statuses),
            asset_types: Named::new("AssetType", "name", &asset_types),
            users: Named::new("User", "username", &users),
        };
        for row in &contexts {
            let key = EntityKey::new(text(row, "__entity_type__"), text(row, "id"));
            this.add_context(text(row, "parent_id"), text(row, "name"), key);
        }
        for row in &assets {
            let type_id = text(row, "type_id").to_owned();
            this.add_asset(text(row, "context_id"), text(row, "name"), type_id);
        }
        let assigned = assigned.iter().map(|row| {
            let (context, user) = (text(row, "context_id"), text(row, "resource_id"));
            (context.to_owned(), user.to_owned())
        });
        this.assigned = assigned.collect();
        this.add_recorded(session)?;
        Ok(this)
    }

    /// Adds what the next commit creates.
    fn add_recorded(&mut self, session: &Session) -> Result<()> {
        let schema = session.schema();
        for entity in session.created() {
            let is = |base: &str| schema.is_kind_of(entity.entity_type(), base);
            let id = |names: [&str; 2]| known_id(&entity, names);
            let name = |entity: &Entity| entity.get::<Option<String>>("name");
            if is("TypedContext") {
                if let (Some(parent), Some(name)) = (id(["parent_id", "parent"])?, name(&entity)?) {
                    self.add_context(&parent, &name, entity.key());
                }
            } else if is("Asset") {
                if let (Some(parent), Some(name)) = (id(["context_id", "parent"])?, name(&entity)?)
                {
                    let type_id = id(["type_id", "type"])?.unwrap_or_default();
                    self.add_asset(&parent, &name, type_id);
                }
            } else if is("Appointment") {
                let ends = (
                    id(["context_id", "context"])?,
                    id(["resource_id", "resource"])?,
                );
                if let (Some(context), Some(user)) = ends {
                    self.assigned.insert((context, user));
                }
            }
        }
        Ok(())
    }

    fn add_context(&mut self, parent: &str, name: &str, key: EntityKey) {
        let place = (parent.to_owned(), name.to_lowercase());
        self.contexts.insert(place, key);
    }

    fn add_asset(&mut self, parent: &str, name: &str, type_id: String) {
        let place = (parent.to_owned(), name.to_lowercase());
        self.assets.entry(place).or_default().push(type_id);
    }

    fn has_asset(&self, context: &Entity, asset: &TemplateAsset) -> Result<bool> {
        let place = (context.id(), asset.name.to_lowercase());
        let known = self.assets.get(&place);
        Ok(match &asset.type_name {
            Some(wanted) => {
                let wanted = self.asset_types.one(wanted)?.id();
                known.is_some_and(|types| types.contains(&wanted))
            }
            None => known.is_some(),
        })
    }

    fn data_of(&self, schema: &Schema, node: &TemplateNode, above: &Entity) -> Result<Data> {
        let mut data = data! { "name": node.name.as_str(), "parent": above };
        if let Some(name) = &node.type_name {
            data.set("type", self.types.one(name)?);
        }
        if let Some(name) = &node.status {
            data.set("status", self.statuses.one(name)?);
        }
        for (name, value) in &node.attributes {
            data.set(name, value_for(schema, &node.entity_type, name, value)?);
        }
        Ok(data)
    }

    fn asset_data(&self, asset: &TemplateAsset, context: &Entity) -> Result<Data> {
        let type_name = asset.type_name.as_deref().unwrap_or_default();
        let lower = (asset.name.to_lowercase(), type_name.to_lowercase());
        let id =
            derived_id("ftrack-api", &["asset", &context.id(), &lower.0, &lower.1]).to_string();
        let mut data = data! { "id": id, "name": asset.name.as_str(), "parent": context };
        if let Some(name) = &asset.type_name {
            data.set("type", self.asset_types.one(name)?);
        }
        Ok(data)
    }
}

/// The id that a new entity has in one of these attributes, as text or as a reference.
fn known_id(entity: &Entity, names: [&str; 2]) -> Result<Option<String>> {
    for name in names {
        match entity.known_value(name)? {
            Some(Value::Text(id)) => return Ok(Some(id)),
            Some(Value::Reference(key)) => return Ok(Some(key.id())),
            _ => {}
        }
    }
    Ok(None)
}

/// Entities of one type by their names in lower case.
struct Named {
    entity_type: &'static str,
    keys: HashMap<String, Vec<EntityKey>>,
}

impl Named {
    fn new(entity_type: &'static str, attribute: &str, rows: &[Row]) -> Self {
        let mut keys: HashMap<String, Vec<EntityKey>> = HashMap::new();
        for row in rows {
            let key = EntityKey::new(entity_type, text(row, "id"));
            let name = text(row, attribute).to_lowercase();
            keys.entry(name).or_default().push(key);
        }
        Self { entity_type, keys }
    }

    fn one(&self, name: &str) -> Result<&EntityKey> {
        let found = self.keys.get(&name.to_lowercase());
        let entity_type = self.entity_type;
        match found.map(Vec::as_slice) {
            Some([one]) => Ok(one),
            None | Some([]) => {
                let hint = did_you_mean(name, self.keys.keys().map(String::as_str));
                let message = format!("there is no {entity_type} with the name {name:?}{hint}");
                Err(Error::new(ErrorKind::NotFound, message))
            }
            Some(several) => {
                let ids: Vec<String> = several.iter().map(EntityKey::id).collect();
                let message = format!(
                    "there are {} entities of the type {entity_type} with the name {name:?}; give \
                     the id in `attributes`, one of {}",
                    ids.len(),
                    ids.join(", ")
                );
                Err(Error::new(ErrorKind::MultipleFound, message))
            }
        }
    }
}
