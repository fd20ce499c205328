//! Creating hierarchies from templates.

use std::collections::{HashMap, HashSet};

use super::rows::{Row, rows_of, text};
use super::template::{Placed, Template, TemplateAsset, TemplateNode};
use crate::error::did_you_mean;
use crate::query::{Criterion, Statement, any_of, field, select};
use crate::{Data, Entity, EntityKey, EntityState, Error, ErrorKind, Result, Session, Value, data};

use super::ids::id_of;

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
    /// records nothing. Assets are found by name and type, assignments by task and user. Finding all of it takes
    /// one request for 5,000 contexts, and one or two more if there are custom attributes.
    ///
    /// If two machines do the same at once, the server refuses one of the commits as a duplicate: call
    /// [`rollback`](Self::rollback) and repeat the call, which finds what the other one created.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
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
    /// - [`ErrorKind::Validation`] if the template includes itself, or has two nodes in one place, or
    ///   something of another type has the name of one.
    /// - [`ErrorKind::NotFound`] if there is no type, status or user with a name in it.
    /// - [`ErrorKind::WrongType`] if `parent` is not a context.
    /// - Any error of [`create`](Self::create) and of the requests.
    pub fn instantiate(&self, template: &Template, parent: &Entity) -> Result<Instantiated> {
        parent.check_context("hierarchy")?;
        let nodes = template.nodes()?;
        let found = Found::look(self, &nodes, parent)?;
        let mut made = Instantiated::default();
        let outcome = record(self, &nodes, parent, &found, &mut made);
        if outcome.is_err() {
            made.created
                .iter()
                .for_each(|entity| self.discard_pairs(entity));
            self.discard(&made.created);
        }
        outcome.map(|()| made)
    }
}

fn record(
    session: &Session,
    nodes: &[Placed<'_>],
    parent: &Entity,
    found: &Found,
    made: &mut Instantiated,
) -> Result<()> {
    for placed in nodes {
        let node = placed.node;
        let above = placed
            .above
            .map_or(parent, |index| &made.contexts[index])
            .clone();
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
                let context = session.create(&node.entity_type, found.data_of(node, &above)?)?;
                made.created.push(context.clone());
                context
            }
        };
        for asset in &node.assets {
            if !found.has_asset(&context, asset) {
                let asset = session.create("Asset", found.asset_data(asset, &context)?)?;
                made.created.push(asset);
            }
        }
        for name in &node.assignees {
            let user = named(&found.users, "User", name)?;
            if !found.assigned.contains(&(context.id(), user.id())) {
                let id = id_of(&["assignment", &context.id(), &user.id()]);
                let data = data! {
                    "id": id, "context": &context, "resource": user, "type": "assignment",
                };
                made.created.push(session.create("Appointment", data)?);
            }
        }
        made.contexts.push(context);
    }
    Ok(())
}

/// What the server has of a template.
struct Found {
    /// By the id of their parent and their name in lower case.
    contexts: HashMap<(String, String), EntityKey>,
    /// By the id of their parent, and name and type in lower case.
    assets: HashSet<(String, String, String)>,
    /// Context and user.
    assigned: HashSet<(String, String)>,
    types: HashMap<String, EntityKey>,
    statuses: HashMap<String, EntityKey>,
    asset_types: HashMap<String, EntityKey>,
    users: HashMap<String, EntityKey>,
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
        let none = |statement: Statement| statement.filter(field("id").is_none());
        let when = |wanted: bool, statement: Statement| match wanted && !is_new && depth > 0 {
            true => statement,
            false => none(statement),
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
                        .fields("id, name, context_id, type.name")
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
        let lower = |row: &Row, name: &str| text(row, name).to_lowercase();
        let by_name = |rows: &[Row], entity_type: &str, attribute: &str| {
            let pairs = rows.iter().map(|row| {
                let key = EntityKey::new(entity_type, text(row, "id"));
                (lower(row, attribute), key)
            });
            pairs.collect::<HashMap<String, EntityKey>>()
        };
        let contexts = contexts.iter().map(|row| {
            let place = (text(row, "parent_id").to_owned(), lower(row, "name"));
            (
                place,
                EntityKey::new(text(row, "__entity_type__"), text(row, "id")),
            )
        });
        let assets = assets.iter().map(|row| {
            let type_name = row.get("type").and_then(|one| one["name"].as_str());
            let type_name = type_name.unwrap_or_default().to_lowercase();
            (
                text(row, "context_id").to_owned(),
                lower(row, "name"),
                type_name,
            )
        });
        let assigned = assigned.iter().map(|row| {
            let (context, user) = (text(row, "context_id"), text(row, "resource_id"));
            (context.to_owned(), user.to_owned())
        });
        Ok(Self {
            contexts: contexts.collect(),
            assets: assets.collect(),
            assigned: assigned.collect(),
            types: by_name(&types, "Type", "name"),
            statuses: by_name(&statuses, "Status", "name"),
            asset_types: by_name(&asset_types, "AssetType", "name"),
            users: by_name(&users, "User", "username"),
        })
    }

    fn has_asset(&self, context: &Entity, asset: &TemplateAsset) -> bool {
        let (id, name) = (context.id(), asset.name.to_lowercase());
        match &asset.type_name {
            Some(wanted) => self.assets.contains(&(id, name, wanted.to_lowercase())),
            None => self.assets.iter().any(|one| one.0 == id && one.1 == name),
        }
    }

    fn data_of(&self, node: &TemplateNode, above: &Entity) -> Result<Data> {
        let mut data = data! { "name": node.name.as_str(), "parent": above };
        if let Some(name) = &node.type_name {
            data.set("type", named(&self.types, "Type", name)?);
        }
        if let Some(name) = &node.status {
            data.set("status", named(&self.statuses, "Status", name)?);
        }
        for (name, value) in &node.attributes {
            data.set(name, Value::from(value.clone()));
        }
        Ok(data)
    }

    fn asset_data(&self, asset: &TemplateAsset, context: &Entity) -> Result<Data> {
        let type_name = asset.type_name.as_deref().unwrap_or_default();
        let lower = (asset.name.to_lowercase(), type_name.to_lowercase());
        let id = id_of(&["asset", &context.id(), &lower.0, &lower.1]);
        let mut data = data! { "id": id, "name": asset.name.as_str(), "parent": context };
        if let Some(name) = &asset.type_name {
            data.set("type", named(&self.asset_types, "AssetType", name)?);
        }
        Ok(data)
    }
}

fn named<'a>(
    known: &'a HashMap<String, EntityKey>,
    entity_type: &str,
    name: &str,
) -> Result<&'a EntityKey> {
    known.get(&name.to_lowercase()).ok_or_else(|| {
        let hint = did_you_mean(name, known.keys().map(String::as_str));
        let message = format!("there is no {entity_type} with the name {name:?}{hint}");
        Error::new(ErrorKind::NotFound, message)
    })
}
