//! Hierarchies as data.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::hierarchy::ContextPath;
use crate::{Error, ErrorKind, Result};

/// What a node says by other members.
const NO_ATTRIBUTES: [&str; 4] = ["id", "name", "parent", "parent_id"];
/// How many entities a template may create.
const MAX_ENTITIES: usize = 100_000;
/// How deep a template may be.
const MAX_DEPTH: usize = 32;

/// What [`Session::instantiate`](crate::Session::instantiate) creates: sequences, shots, tasks, assets
/// and assignments as data, for example of a JSON or TOML file.
///
/// A group is a list of nodes with a name; a node that includes it has them below itself. Unknown
/// members are an error.
///
/// ```
/// use ftrack_api::serde_json::json;
/// use ftrack_api::studio::Template;
///
/// let template: Template = ftrack_api::serde_json::from_value(json!({
///     "groups": { "shot": [
///         { "entity_type": "Task", "name": "anim", "type": "Animation", "assignees": ["mira"] },
///         { "entity_type": "Task", "name": "comp", "type": "Compositing" },
///     ]},
///     "children": [{ "entity_type": "Sequence", "name": "sq020", "children": [
///         { "entity_type": "Shot", "name": "sh0010", "include": ["shot"],
///           "attributes": { "description": "A crane shot." },
///           "assets": [{ "name": "plate", "type": "Generic" }] },
///         { "entity_type": "Shot", "name": "sh0020", "include": ["shot"] },
///     ]}],
/// }))?;
/// assert_eq!(template.children[0].children.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Nodes that several others include, by a name of their own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<TemplateNode>>,
    /// What is directly below the parent.
    #[serde(default)]
    pub children: Vec<TemplateNode>,
}

/// A context of a [`Template`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateNode {
    /// The entity type, such as `Shot`.
    pub entity_type: String,
    /// The name.
    pub name: String,
    /// The name of its type, such as `Animation` for a task.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// The name of its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Other attributes of a new entity; `metadata` and `custom_attributes` are objects, dates and times
    /// are texts such as `2026-03-04` and `2026-03-04T10:00:00`, in UTC.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Json>,
    /// The names of the users that are assigned to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assignees: Vec<String>,
    /// Its assets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assets: Vec<TemplateAsset>,
    /// The groups whose nodes are below it too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
    /// What is directly below it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Self>,
}

/// An asset of a [`TemplateNode`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateAsset {
    /// The name.
    pub name: String,
    /// The name of its type.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
}

/// A node with its place among all.
pub(super) struct Placed<'a> {
    pub(super) node: &'a TemplateNode,
    /// The index of the node that it is below; `None` at the top.
    pub(super) above: Option<usize>,
    pub(super) depth: usize,
}

impl Template {
    /// All nodes, each after the one that it is below.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if a group includes itself or does not exist, two nodes have the same
    ///   place, a name is empty, or it is too large.
    pub(super) fn nodes(&self) -> Result<Vec<Placed<'_>>> {
        let mut placed: Vec<Placed<'_>> = Vec::new();
        let mut taken: HashSet<(Option<usize>, String)> = HashSet::new();
        let mut waiting: Vec<Waiting<'_>> = Vec::new();
        let top = Waiting {
            nodes: &self.children,
            above: None,
            groups: Vec::new(),
            depth: 1,
        };
        waiting.push(top);
        while let Some(next) = waiting.pop() {
            for node in next.nodes {
                let name = node.name.to_lowercase();
                if name.trim().is_empty() {
                    return Err(wrong(&format!("a {} has no name", node.entity_type)));
                }
                if !taken.insert((next.above, name)) {
                    return Err(wrong(&format!("{:?} is twice in one place", node.name)));
                }
                if let Some(name) = NO_ATTRIBUTES
                    .iter()
                    .find(|one| node.attributes.contains_key(**one))
                {
                    let what = format!("{:?} has {name} among its attributes", node.name);
                    return Err(wrong(&format!("{what}: its name and its place say that")));
                }
                let index = placed.len();
                if index == MAX_ENTITIES || next.depth > MAX_DEPTH {
                    let message =
                        format!("it has more than {MAX_ENTITIES} nodes, or {MAX_DEPTH} levels");
                    return Err(wrong(&message));
                }
                placed.push(Placed {
                    node,
                    above: next.above,
                    depth: next.depth,
                });
                waiting.push(next.below(&node.children, index, next.groups.clone()));
                for name in &node.include {
                    waiting.push(self.included(&next, name, index)?);
                }
            }
        }
        Ok(placed)
    }

    fn included<'a>(
        &'a self,
        by: &Waiting<'a>,
        name: &'a str,
        above: usize,
    ) -> Result<Waiting<'a>> {
        let Some(nodes) = self.groups.get(name) else {
            let known = self.groups.keys().map(String::as_str);
            let hint = crate::error::did_you_mean(name, known);
            return Err(wrong(&format!("there is no group {name:?}{hint}")));
        };
        if by.groups.contains(&name) {
            let chain = by.groups.join(" includes ");
            return Err(wrong(&format!("{chain} includes {name}, which never ends")));
        }
        let mut groups = by.groups.clone();
        groups.push(name);
        Ok(by.below(nodes, above, groups))
    }
}

/// Nodes that are not placed yet.
struct Waiting<'a> {
    nodes: &'a [TemplateNode],
    above: Option<usize>,
    /// The groups that they are in.
    groups: Vec<&'a str>,
    depth: usize,
}

impl<'a> Waiting<'a> {
    fn below(&self, nodes: &'a [TemplateNode], above: usize, groups: Vec<&'a str>) -> Self {
        Self {
            nodes,
            above: Some(above),
            groups,
            depth: self.depth + 1,
        }
    }
}

/// The names from the top of a template to a node.
pub(super) fn path_of(nodes: &[Placed<'_>], index: usize) -> ContextPath {
    let mut names = Vec::new();
    let mut next = Some(index);
    while let Some(index) = next {
        names.push(nodes[index].node.name.as_str());
        next = nodes[index].above;
    }
    names.reverse();
    names.into()
}

fn wrong(message: &str) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!("the template cannot be used: {message}"),
    )
}

#[cfg(test)]
mod tests {
    use super::Template;
    use serde_json::json;

    fn refused(template: serde_json::Value) -> String {
        let template: Template = serde_json::from_value(template).unwrap();
        template.nodes().err().unwrap().to_string()
    }

    #[test]
    fn cycles_twins_and_explosions_are_refused() {
        let node = |name: &str, include: &[&str]| json!({ "entity_type": "Folder", "name": name, "include": include });
        let said = refused(json!({
            "groups": { "a": [node("x", &["b"])], "b": [node("y", &["a"])] },
            "children": [node("top", &["a"])],
        }));
        assert!(
            said.contains("a includes b includes a, which never ends"),
            "{said}"
        );
        let said =
            refused(json!({ "children": [node("top", &["shto"])], "groups": { "shot": [] } }));
        assert!(said.contains("did you mean \"shot\"?"), "{said}");
        let said = refused(json!({ "children": [node("A", &[]), node("a", &[])] }));
        assert!(said.contains("\"a\" is twice in one place"), "{said}");
        let said = refused(json!({ "children": [node(" ", &[])] }));
        assert!(said.contains("has no name"), "{said}");
        let mut groups = serde_json::Map::new();
        for level in 0..9 {
            let below = [format!("g{}", level + 1)];
            let below: Vec<&str> = below.iter().map(String::as_str).collect();
            let nodes: Vec<_> = (0..10).map(|n| node(&format!("n{n}"), &below)).collect();
            groups.insert(format!("g{level}"), nodes.into());
        }
        groups.insert("g9".to_owned(), json!([]));
        let said = refused(json!({ "groups": groups, "children": [node("top", &["g0"])] }));
        assert!(said.contains("more than 100000 nodes"), "{said}");
    }

    #[test]
    fn unknown_members_are_refused() {
        let text = r#"{"children": [{"entity_type": "Shot", "name": "a", "asignees": []}]}"#;
        assert!(serde_json::from_str::<Template>(text).is_err());
    }
}
