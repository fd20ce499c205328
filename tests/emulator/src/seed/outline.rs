//! The entities of a seed, each with its type, its key and its place: pure.

use std::collections::HashMap;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::database::model::Model;
use crate::seed::Mistake;

/// What can be in a list of which entity.
struct Nest {
    /// The types of the entities that have the list; none means the seed itself.
    below: &'static [&'static str],
    name: &'static str,
    entity_type: &'static str,
    /// The attribute that holds the key of the entity above.
    link: &'static str,
}

const fn nest(
    below: &'static [&'static str],
    name: &'static str,
    entity_type: &'static str,
    link: &'static str,
) -> Nest {
    Nest {
        below,
        name,
        entity_type,
        link,
    }
}

const ROOT: &[&str] = &[];
pub(super) const CONTEXTS: &[&str] = &[
    "Project",
    "Folder",
    "Episode",
    "Sequence",
    "Shot",
    "AssetBuild",
    "Milestone",
    "Task",
];
const NOTED: &[&str] = &[
    "Project",
    "Folder",
    "Episode",
    "Sequence",
    "Shot",
    "AssetBuild",
    "Milestone",
    "Task",
    "AssetVersion",
];

/// Entities are made in this order: what comes first can be referred to by what follows.
const NESTS: &[Nest] = &[
    nest(ROOT, "users", "User", ""),
    nest(ROOT, "groups", "Group", ""),
    nest(ROOT, "asset_types", "AssetType", ""),
    nest(ROOT, "note_categories", "NoteCategory", ""),
    nest(
        ROOT,
        "custom_attribute_configurations",
        "CustomAttributeConfiguration",
        "",
    ),
    nest(ROOT, "projects", "Project", ""),
    nest(CONTEXTS, "folders", "Folder", "parent_id"),
    nest(CONTEXTS, "episodes", "Episode", "parent_id"),
    nest(CONTEXTS, "sequences", "Sequence", "parent_id"),
    nest(CONTEXTS, "shots", "Shot", "parent_id"),
    nest(CONTEXTS, "asset_builds", "AssetBuild", "parent_id"),
    nest(CONTEXTS, "milestones", "Milestone", "parent_id"),
    nest(CONTEXTS, "tasks", "Task", "parent_id"),
    nest(CONTEXTS, "timelogs", "Timelog", "context_id"),
    nest(CONTEXTS, "assets", "Asset", "context_id"),
    nest(&["Asset"], "versions", "AssetVersion", "asset_id"),
    nest(
        &["AssetVersion"],
        "components",
        "FileComponent",
        "version_id",
    ),
    nest(
        &["AssetVersion"],
        "sequence_components",
        "SequenceComponent",
        "version_id",
    ),
    nest(
        &["SequenceComponent"],
        "members",
        "FileComponent",
        "container_id",
    ),
    nest(
        &["FileComponent", "SequenceComponent"],
        "locations",
        "ComponentLocation",
        "component_id",
    ),
    nest(NOTED, "notes", "Note", "parent_id"),
    nest(&["Note"], "replies", "Note", "in_reply_to_id"),
];

/// All entities of a seed.
pub(super) struct Outline<'s> {
    /// The entities; one comes after the one above it.
    pub(super) nodes: Vec<Node<'s>>,
    /// Positions of contexts by their names from the project down, in lower case.
    contexts: HashMap<String, usize>,
    /// Positions of others by their type and name, in lower case.
    named: HashMap<(&'static str, String), usize>,
}

/// One entity.
pub(super) struct Node<'s> {
    pub(super) entity_type: &'static str,
    pub(super) id: String,
    /// Where it is in the seed.
    pub(super) path: String,
    pub(super) members: &'s Map<String, Value>,
    /// The position of the entity above, and the attribute that holds its key.
    pub(super) above: Option<(usize, &'static str)>,
    /// The nearest context at or above it, by the names from the project down.
    context: String,
}

/// Finds the entities.
///
/// # Errors
///
/// If a list is none, or holds something else than objects, or the schema lacks a type.
pub(super) fn outline<'s>(model: &Model, seed: &'s Value) -> Result<Outline<'s>, Mistake> {
    let root = seed
        .as_object()
        .ok_or_else(|| Mistake::new("", "a seed is an object"))?;
    if let Some(unknown) = root.keys().find(|name| find_nest(None, name).is_none()) {
        let known: Vec<_> = nests(None).map(|nest| nest.name).collect();
        let message = format!("a seed has no such list; it has {}", known.join(", "));
        return Err(Mistake::new(unknown, message));
    }
    let mut outline = Outline {
        nodes: Vec::new(),
        contexts: HashMap::new(),
        named: HashMap::new(),
    };
    for nest in nests(None) {
        outline.list(model, nest, root, "", None)?;
    }
    // The nodes grow while they are looked through: each brings what is below it.
    let mut index = 0;
    while index < outline.nodes.len() {
        let node = &outline.nodes[index];
        let (entity_type, members, path) = (node.entity_type, node.members, node.path.clone());
        for nest in nests(Some(entity_type)) {
            outline.list(model, nest, members, &path, Some(index))?;
        }
        index += 1;
    }
    Ok(outline)
}

/// The lists that entities of a type have.
fn nests(entity_type: Option<&str>) -> impl Iterator<Item = &'static Nest> {
    NESTS.iter().filter(move |nest| match entity_type {
        Some(entity_type) => nest.below.contains(&entity_type),
        None => nest.below.is_empty(),
    })
}

fn find_nest(entity_type: Option<&str>, name: &str) -> Option<&'static Nest> {
    nests(entity_type).find(|nest| nest.name == name)
}

/// The names of the lists that entities of a type have.
pub(super) fn lists(entity_type: &str) -> impl Iterator<Item = &'static str> {
    nests(Some(entity_type)).map(|nest| nest.name)
}

impl<'s> Outline<'s> {
    /// A context by its names from the project down, or by its names below the context that the
    /// entity at `from` belongs to.
    pub(super) fn context(&self, from: &Node<'_>, name: &str) -> Option<&Node<'s>> {
        let name = name.to_lowercase();
        let near = format!("{}/{name}", from.context);
        let index = self
            .contexts
            .get(&near)
            .or_else(|| self.contexts.get(&name));
        index.map(|&index| &self.nodes[index])
    }

    /// An entity of another type by its name.
    pub(super) fn named(&self, entity_type: &str, name: &str) -> Option<&Node<'s>> {
        let name = name.to_lowercase();
        let is_it = |node: &&Node<'_>| node.entity_type == entity_type;
        // The borrowed key cannot be built without the table's own text.
        let known = NESTS.iter().find(|nest| nest.entity_type == entity_type)?;
        let index = self.named.get(&(known.entity_type, name));
        index.map(|&index| &self.nodes[index]).filter(is_it)
    }

    fn list(
        &mut self,
        model: &Model,
        nest: &'static Nest,
        members: &'s Map<String, Value>,
        path: &str,
        above: Option<usize>,
    ) -> Result<(), Mistake> {
        let Some(list) = members.get(nest.name) else {
            return Ok(());
        };
        let path = match path {
            "" => nest.name.to_owned(),
            path => format!("{path}.{}", nest.name),
        };
        let wrong = |path: &str| Mistake::new(path, "this must be a list of objects");
        let list = list.as_array().ok_or_else(|| wrong(&path))?;
        if model.find(nest.entity_type).is_none() {
            let message = format!("this site's schema has no {}", nest.entity_type);
            return Err(Mistake::new(path, message));
        }
        for (index, element) in list.iter().enumerate() {
            let path = format!("{path}[{index}]");
            let members = element.as_object().ok_or_else(|| wrong(&path))?;
            self.add(nest, members, path, above);
        }
        Ok(())
    }

    fn add(
        &mut self,
        nest: &'static Nest,
        members: &'s Map<String, Value>,
        path: String,
        above: Option<usize>,
    ) {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let mut context = above
            .map_or("", |above| &self.nodes[above].context)
            .to_owned();
        let name = text(names_by(nest.entity_type)).map(str::to_lowercase);
        if CONTEXTS.contains(&nest.entity_type) {
            let name = name.unwrap_or_default();
            context = match context.as_str() {
                "" => name,
                context => format!("{context}/{name}"),
            };
            self.contexts.insert(context.clone(), self.nodes.len());
        } else if let Some(name) = name {
            self.named
                .insert((nest.entity_type, name), self.nodes.len());
        }
        self.nodes.push(Node {
            entity_type: nest.entity_type,
            id: text("id").map_or_else(|| Uuid::new_v4().to_string(), str::to_owned),
            path,
            members,
            above: above.map(|above| (above, nest.link)),
            context,
        });
    }
}

/// The attribute by which entities of a type are referred to.
pub(super) fn names_by(entity_type: &str) -> &'static str {
    match entity_type {
        "User" => "username",
        "CustomAttributeConfiguration" => "key",
        _ => "name",
    }
}
