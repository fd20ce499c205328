//! Rows of a query, read straight from the response into a cell for each column.

use std::fmt;

use ftrack_api::SmolStr;
use ftrack_api::studio::ContextPath;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::column::{Column, ColumnKind};
use crate::row::{Cell, Row};

/// Where in a row the cells of columns are. As a seed it reads a row, and skips what is no column.
pub(crate) struct Cells {
    root: Node,
    /// The columns that are made of the cells that were read.
    made: Vec<(usize, Made)>,
    columns: usize,
    /// With the cells that columns are made of.
    all: usize,
}

/// An attribute on the way to columns.
#[derive(Default)]
struct Node {
    name: Box<str>,
    /// The cells that have the value of this attribute.
    cells: Vec<usize>,
    below: Vec<Node>,
}

enum Made {
    /// Of key-value pairs the value of this key.
    Pair(SmolStr),
    /// The names of a link, of which the project's is in this cell.
    Path(usize),
}

impl Cells {
    pub(crate) fn of(columns: &[Column]) -> Self {
        let mut cells = Self {
            root: Node::default(),
            made: Vec::new(),
            columns: columns.len(),
            all: columns.len(),
        };
        for (index, column) in columns.iter().enumerate() {
            cells.root.add(&column.steps, index);
            match &column.kind {
                ColumnKind::Value => {}
                ColumnKind::Pair(key) => cells.made.push((index, Made::Pair(key.clone()))),
                ColumnKind::Path => {
                    let project = ["project", "name"].map(SmolStr::new_static);
                    cells.root.add(&project, cells.all);
                    cells.made.push((index, Made::Path(cells.all)));
                    cells.all += 1;
                }
            }
        }
        cells
    }

    /// The cells of a row that was read without knowing the columns.
    pub(crate) fn in_row(&self, row: Row) -> Vec<Cell> {
        let mut cells = vec![Cell::Null; self.all];
        self.root.fill(Cell::Object(row), &mut cells);
        self.make(cells)
    }

    fn make(&self, mut cells: Vec<Cell>) -> Vec<Cell> {
        for (index, made) in &self.made {
            cells[*index] = match made {
                Made::Pair(key) => cells[*index].value_of(key),
                Made::Path(project) => context_path(&cells[*project], &cells[*index]),
            };
        }
        cells.truncate(self.columns);
        cells
    }
}

fn context_path(project: &Cell, link: &Cell) -> Cell {
    let Cell::List(steps) = link else {
        return Cell::Null;
    };
    let names = steps.iter().skip(1).map(|step| step.step("name"));
    let names = std::iter::once(project.clone()).chain(names);
    let names = names.filter_map(|name| match name {
        Cell::Text(name) => Some(name.to_string()),
        _ => None,
    });
    let path = ContextPath::from(names.collect::<Vec<_>>());
    Cell::Text(path.to_string().into())
}

impl Node {
    fn add(&mut self, steps: &[SmolStr], cell: usize) {
        let Some((first, rest)) = steps.split_first() else {
            return self.cells.push(cell);
        };
        let known = self.below.iter().position(|node| *node.name == **first);
        let index = known.unwrap_or_else(|| {
            self.below.push(Self {
                name: first.as_str().into(),
                ..Self::default()
            });
            self.below.len() - 1
        });
        self.below[index].add(rest, cell);
    }

    /// Puts what was read here, and what is below it, into the cells.
    fn fill(&self, value: Cell, cells: &mut [Cell]) {
        for node in &self.below {
            node.fill(value.step(&node.name), cells);
        }
        if let Some((last, others)) = self.cells.split_last() {
            for &cell in others {
                cells[cell] = value.clone();
            }
            cells[*last] = value;
        }
    }
}

impl<'de> DeserializeSeed<'de> for &Cells {
    type Value = Vec<Cell>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Vec<Cell>, D::Error> {
        let mut cells = Vec::new();
        cells.resize_with(self.all, Cell::default);
        json.deserialize_map(Members {
            node: &self.root,
            cells: &mut cells,
        })?;
        Ok(match self.made.is_empty() {
            true => cells,
            false => self.make(cells),
        })
    }
}

/// Reads the members of an object that lead to columns.
struct Members<'a> {
    node: &'a Node,
    cells: &'a mut [Cell],
}

/// Anything that is neither an object nor a list has no members: the cells stay empty.
macro_rules! nothing {
    ($($method:ident: $type:ty)*) => {$(
        fn $method<E>(self, _: $type) -> Result<(), E> {
            Ok(())
        }
    )*};
}

impl<'de> Visitor<'de> for Members<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let nodes = &self.node.below;
        let mut likely = 0;
        while let Some(found) = map.next_key_seed(Name { nodes, likely })? {
            let Some(index) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            likely = index + 1;
            let node = &nodes[index];
            match node.cells.as_slice() {
                [] => {
                    let cells = &mut *self.cells;
                    map.next_value_seed(Members { node, cells })?;
                }
                [cell] if node.below.is_empty() => self.cells[*cell] = map.next_value()?,
                _ => node.fill(map.next_value()?, self.cells),
            }
        }
        Ok(())
    }

    /// What is below each of its members is a list.
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut members = Vec::new();
        while let Some(member) = list.next_element()? {
            members.push(member);
        }
        self.node.fill(Cell::List(members), self.cells);
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    nothing! { visit_bool: bool visit_i64: i64 visit_u64: u64 visit_f64: f64 visit_str: &str }
}

impl<'de> DeserializeSeed<'de> for Members<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

/// Reads the name of a member: which node it is, most likely that after the one before.
struct Name<'a> {
    nodes: &'a [Node],
    likely: usize,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<Option<usize>, E> {
        let is_it = |node: &Node| *node.name == *name;
        if self.nodes.get(self.likely).is_some_and(is_it) {
            return Ok(Some(self.likely));
        }
        Ok(self.nodes.iter().position(is_it))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The cells of a row, which are the same whether the columns are known while it is read.
    #[track_caller]
    fn read(row: &str, columns: &[Column]) -> Vec<Cell> {
        let cells = Cells::of(columns);
        let found = cells.deserialize(&mut serde_json::Deserializer::from_str(row));
        let found = found.unwrap();
        assert_eq!(cells.in_row(serde_json::from_str(row).unwrap()), found);
        found
    }

    const ROW: &str = r#"{"__entity_type__":"Task","id":"t","bid":3600.0,"n":7,"done":true,"no":null,
        "status":{"__entity_type__":"Status","id":"s","name":"Done","state":{"name":"D"}},
        "link":[{"id":"p","name":"x","type":"Project"}],
        "notes":[{"__entity_type__":"Note","id":"n1","author":{"name":"ada"}},
                 {"__entity_type__":"Note","id":"n2","author":{"name":"bob"}}],
        "metadata":[{"__entity_type__":"Metadata","key":"a","value":"1"}]}"#;

    #[test]
    fn cells_are_found_by_path() {
        let check = |path: &str, text: &str, json: &str| {
            // Alone, beside what is above or below it, and in any order.
            for others in [&[][..], &["status", "notes", "metadata"], &["status.state"]] {
                let names = others.iter().chain([&path]).chain(others);
                let columns: Vec<Column> = names.map(|name| Column::new(name)).collect();
                let cell = &read(ROW, &columns)[others.len()];
                let mut written = Vec::new();
                cell.write_text(&mut written).unwrap();
                assert_eq!(String::from_utf8(written).unwrap(), text, "{path}");
                assert_eq!(serde_json::to_string(cell).unwrap(), json, "{path}");
            }
        };
        check("bid", "3600", "3600.0");
        check("n", "7", "7");
        check("done", "true", "true");
        check("no", "", "null");
        check("no.name", "", "null");
        check("n.name", "", "null");
        check("missing", "", "null");
        check("status", "s", "\"s\"");
        check("status.name", "Done", "\"Done\"");
        check("status.state.name", "D", "\"D\"");
        check("notes", r#"["n1","n2"]"#, r#"["n1","n2"]"#);
        let authors = r#"["ada","bob"]"#;
        check("notes.author.name", authors, authors);
        check("metadata", r#"{"a":"1"}"#, r#"{"a":"1"}"#);
        let link = r#"[{"id":"p","name":"x","type":"Project"}]"#;
        check("metadata.a", "1", "\"1\"");
        check("metadata.b", "", "null");
        check("link", link, link);
    }

    #[test]
    fn paths_begin_with_the_name_of_the_project() {
        let row = r#"{"__entity_type__":"Shot","id":"s","project":{"name":"test"},"link":[
            {"id":"p","name":"The full name"},{"id":"q","name":"sq010"},{"id":"s","name":"day/night"}]}"#;
        let columns = [Column::new("id"), Column::context_path()];
        let expected = ["s", r"test/sq010/day\/night"].map(|text| Cell::Text(text.into()));
        assert_eq!(read(row, &columns), expected);
    }

    #[test]
    fn what_is_no_object_is_no_row() {
        let cells = Cells::of(&[Column::new("id")]);
        for row in ["1", "[]", "null", "\"x\"", "{"] {
            let mut json = serde_json::Deserializer::from_str(row);
            assert!(cells.deserialize(&mut json).is_err(), "{row}");
        }
    }
}
