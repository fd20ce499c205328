//! Everything below a context, level by level.

use std::collections::{HashMap, HashSet};

use super::hierarchy::MAX_DEPTH;
use crate::query::{field, select};
use crate::{Entity, Result};

/// The most parents that a query names by their ids; more are named by what is above them.
const MAX_PARENTS: usize = 500;

/// A context and the contexts below it; see [`Entity::tree`].
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    entity: Entity,
    children: Vec<Self>,
}

impl Tree {
    /// The context.
    pub fn entity(&self) -> &Entity {
        &self.entity
    }

    /// What is directly below it, sorted by name without regard to case.
    pub fn children(&self) -> &[Self] {
        &self.children
    }

    /// All of it from the top, each with its depth below the top. Children follow their parent.
    pub fn iter(&self) -> TreeIter<'_> {
        TreeIter(vec![(0, self)])
    }
}

/// The contexts of a [`Tree`] with their depths; made by [`Tree::iter`].
#[derive(Clone, Debug)]
pub struct TreeIter<'a>(Vec<(usize, &'a Tree)>);

impl<'a> Iterator for TreeIter<'a> {
    type Item = (usize, &'a Entity);

    fn next(&mut self) -> Option<Self::Item> {
        let (depth, tree) = self.0.pop()?;
        let children = tree.children.iter().rev();
        self.0.extend(children.map(|child| (depth + 1, child)));
        Some((depth, &tree.entity))
    }
}

impl<'a> IntoIterator for &'a Tree {
    type Item = (usize, &'a Entity);
    type IntoIter = TreeIter<'a>;

    fn into_iter(self) -> TreeIter<'a> {
        self.iter()
    }
}

impl Entity {
    /// The contexts below this one, `depth` levels of them; 100 at most. Their names are loaded.
    ///
    /// A level takes one request for each page of 500 contexts. A context that is created, moved or
    /// deleted meanwhile may be missing; no other is. What is not committed is not in it.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let project = session.at("test")?;
    /// for (depth, context) in &project.tree(3)? {
    ///     println!("{:width$}{}", "", context.get::<String>("name")?, width = 2 * depth);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`](crate::ErrorKind::WrongType) if it is not a context.
    /// - Any error of [`Query::all`](crate::Query::all).
    pub fn tree(&self, depth: usize) -> Result<Tree> {
        self.check_context("tree")?;
        let session = self.session();
        // Parents of the next level are the contexts `steps` below these.
        let (mut above, mut steps) = (vec![self.id()], 0);
        let mut seen: HashSet<String> = HashSet::from([self.id()]);
        let mut levels: Vec<Vec<(String, Entity)>> = Vec::new();
        for _ in 0..depth.min(MAX_DEPTH) {
            let place = "parent.".repeat(steps) + "parent_id";
            let children = field(place).is_in(&above);
            let children = select("TypedContext")
                .fields("context_type, name, parent_id")
                .filter(children);
            let found = session.query(children)?.stable(true).all()?;
            let level = found.into_iter().filter(|child| seen.insert(child.id()));
            let level = level.map(|child| Ok((child.get("parent_id")?, child)));
            let level: Vec<(String, Self)> = level.collect::<Result<_>>()?;
            if level.is_empty() {
                break;
            }
            if level.len() <= MAX_PARENTS {
                (above, steps) = (level.iter().map(|(_, child)| child.id()).collect(), 0);
            } else {
                steps += 1;
            }
            levels.push(level);
        }
        assemble(self, levels)
    }
}

/// Puts the levels together, from the bottom up.
fn assemble(root: &Entity, levels: Vec<Vec<(String, Entity)>>) -> Result<Tree> {
    let mut children: HashMap<String, Vec<(String, Tree)>> = HashMap::new();
    let tree = |entity: &Entity, children: &mut HashMap<String, Vec<(String, Tree)>>| {
        let mut below = children.remove(&entity.id()).unwrap_or_default();
        below.sort_by(|one, other| one.0.cmp(&other.0));
        Tree {
            entity: entity.clone(),
            children: below.into_iter().map(|(_, tree)| tree).collect(),
        }
    };
    for (parent, entity) in levels.into_iter().rev().flatten() {
        let name: Option<String> = entity.get("name")?;
        let branch = (
            name.unwrap_or_default().to_lowercase(),
            tree(&entity, &mut children),
        );
        children.entry(parent).or_default().push(branch);
    }
    Ok(tree(root, &mut children))
}
