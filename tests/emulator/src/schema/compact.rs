//! The entity types: expands the short form in `source/` to the form of the wire.
//!
//! `source/shared.txt` opens with the description of the language.

use std::collections::{HashMap, HashSet};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::attribute::attribute;

const SOURCE: [(&str, &str); 9] = [
    ("shared.txt", include_str!("source/shared.txt")),
    ("contexts.txt", include_str!("source/contexts.txt")),
    ("workflow.txt", include_str!("source/workflow.txt")),
    ("assets.txt", include_str!("source/assets.txt")),
    ("people.txt", include_str!("source/people.txt")),
    (
        "custom_attributes.txt",
        include_str!("source/custom_attributes.txt"),
    ),
    (
        "collaboration.txt",
        include_str!("source/collaboration.txt"),
    ),
    ("site.txt", include_str!("source/site.txt")),
    ("order.txt", include_str!("source/order.txt")),
];

/// Which of the two built-in schemas is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// The 116 types of a recorded server of version 3.
    Classic,
    /// Everything that is standard on recorded sites, the newest included.
    Current,
}

impl Edition {
    /// The edition of this name, as the command line takes it.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "classic" => Some(Self::Classic),
            "current" => Some(Self::Current),
            _ => None,
        }
    }

    /// What a server of this version offers: those of version 3 the classic schema.
    pub fn of_version(version: &str) -> Self {
        let major = version.split('.').next().unwrap_or_default();
        match major.parse::<u32>() {
            Ok(..4) => Self::Classic,
            _ => Self::Current,
        }
    }

    /// The entity types as `query_schemas` sends them: an array of schemas, in the order that the
    /// schema hash is made of.
    pub fn wire(self) -> Value {
        expand(&SOURCE, self).expect("the built-in source is well-formed: a test expands it")
    }
}

/// The entity types of the current edition.
pub fn wire() -> Value {
    Edition::Current.wire()
}

/// Expands the text of several files, given with the names that errors show.
fn expand(files: &[(&str, &str)], edition: Edition) -> Result<Value> {
    let mut source = Source::new(edition);
    for (file, text) in files {
        for (index, line) in text.lines().enumerate() {
            source
                .read(line)
                .with_context(|| format!("{file}:{}: {line}", index + 1))?;
        }
    }
    source.check_references()?;
    source.into_wire()
}

/// What has been read so far; the last block is the one that indented lines belong to.
struct Source {
    edition: Edition,
    blocks: Vec<Block>,
    index: HashMap<String, usize>,
    order: Vec<String>,
    in_order: bool,
    /// The block that is being read belongs to the other edition.
    is_skipping: bool,
}

/// One type or mixin, with everything its bases have.
struct Block {
    name: String,
    is_type: bool,
    bases: Vec<usize>,
    table: Option<Value>,
    /// The type whose attributes it shares, if that is not the nearest base.
    mixin: Option<String>,
    /// Whether queries may group by its attributes.
    is_grouped: bool,
    lists: HashMap<&'static str, Vec<String>>,
    properties: Map<String, Value>,
}

/// The lists of a block: the word in the source and the name on the wire.
const LISTS: [(&str, &str); 6] = [
    ("projections", "default_projections"),
    ("computed", "computed"),
    ("required", "required"),
    ("immutable", "immutable"),
    ("system", "system_projections"),
    ("key", "primary_key"),
];

impl Source {
    fn new(edition: Edition) -> Self {
        Self {
            edition,
            blocks: Vec::new(),
            index: HashMap::new(),
            order: Vec::new(),
            in_order: false,
            is_skipping: false,
        }
    }

    fn read(&mut self, line: &str) -> Result<()> {
        let mut words = words(line)?;
        if words.first().is_none_or(|word| word.starts_with('#')) {
            return Ok(());
        }
        let is_indented = line.starts_with(' ');
        let is_meant = match words[0].as_str() {
            "+" => self.edition == Edition::Current,
            "-" => self.edition == Edition::Classic,
            _ => true,
        };
        if matches!(words[0].as_str(), "+" | "-") {
            words.remove(0);
        }
        if !is_indented {
            self.is_skipping = !is_meant;
        }
        if self.is_skipping || !is_meant {
            return Ok(());
        }
        let first = words
            .first()
            .map(String::as_str)
            .context("a line must follow the edition")?;
        match first {
            "order" if !is_indented => self.in_order = true,
            "type" | "mixin" if !is_indented => self.open(&words)?,
            _ if !is_indented => bail!("a line at the margin opens with type, mixin or order"),
            _ if self.in_order => self.order.extend(words),
            "table:" => self.block()?.set_table(&words[1..])?,
            "grouped:" => self.block()?.is_grouped = true,
            "mixin:" => {
                let name = words.get(1).context("expected the name of a type")?;
                self.find(name)?;
                self.block()?.mixin = Some(name.clone());
            }
            _ => match first.strip_suffix(':') {
                Some(list) => self.set_list(list, &words[1..])?,
                None => {
                    let (name, attribute) = (first.to_owned(), attribute(&words[1..])?);
                    self.block()?.properties.insert(name, attribute);
                }
            },
        }
        Ok(())
    }

    fn open(&mut self, words: &[String]) -> Result<()> {
        self.in_order = false;
        let (name, bases) = match words {
            [_, name] => (name, &[][..]),
            [_, name, sign, bases @ ..] if sign == "<" => (name, bases),
            _ => bail!("expected a name, then perhaps < and the names of bases"),
        };
        let bases = bases
            .iter()
            .map(|base| self.find(base))
            .collect::<Result<Vec<_>>>()?;
        let mut block = Block {
            name: name.clone(),
            is_type: words[0] == "type",
            table: None,
            mixin: None,
            is_grouped: bases.iter().any(|base| self.blocks[*base].is_grouped),
            bases,
            lists: HashMap::new(),
            properties: Map::new(),
        };
        for base in &block.bases {
            block
                .properties
                .extend(self.blocks[*base].properties.clone());
        }
        for (list, _) in LISTS {
            block.lists.insert(list, self.inherited(&block.bases, list));
        }
        ensure!(!self.index.contains_key(name), "{name} is described twice");
        self.index.insert(name.clone(), self.blocks.len());
        self.blocks.push(block);
        Ok(())
    }

    fn set_list(&mut self, list: &str, words: &[String]) -> Result<()> {
        let Some((list, _)) = LISTS.into_iter().find(|(name, _)| *name == list) else {
            bail!(
                "no such list: expected table, {}",
                LISTS.map(|(name, _)| name).join(", ")
            );
        };
        let bases = self.block()?.bases.clone();
        let mut items = Vec::new();
        for word in words {
            match word.strip_prefix("...") {
                Some("") => items.extend(self.inherited(&bases, list)),
                Some(base) => items.extend(self.inherited(&[self.find(base)?], list)),
                None => items.push(word.clone()),
            }
        }
        self.block()?.lists.insert(list, items);
        Ok(())
    }

    fn inherited(&self, bases: &[usize], list: &str) -> Vec<String> {
        bases
            .iter()
            .flat_map(|base| self.blocks[*base].list(list))
            .collect()
    }

    fn find(&self, name: &str) -> Result<usize> {
        self.index
            .get(name)
            .copied()
            .with_context(|| format!("{name} is not described above"))
    }

    fn block(&mut self) -> Result<&mut Block> {
        self.blocks
            .last_mut()
            .context("nothing is being described yet: open a type or mixin")
    }

    fn check_references(&self) -> Result<()> {
        for block in &self.blocks {
            for (name, attribute) in &block.properties {
                let target = attribute
                    .get("$ref")
                    .or_else(|| attribute["items"].get("$ref"));
                if let Some(target) = target.and_then(Value::as_str) {
                    let known = self
                        .index
                        .get(target)
                        .is_some_and(|at| self.blocks[*at].is_type);
                    ensure!(
                        known,
                        "{}.{name} refers to {target}, which is no type",
                        block.name
                    );
                }
            }
        }
        Ok(())
    }

    fn into_wire(self) -> Result<Value> {
        let mut wire = Vec::new();
        let mut seen = HashSet::new();
        for name in &self.order {
            let block = &self.blocks[self.find(name).context("in the order of types")?];
            ensure!(
                block.is_type && seen.insert(name),
                "{name} cannot be ordered: a mixin, or twice"
            );
            wire.push(self.block_to_wire(block)?);
        }
        match self
            .blocks
            .iter()
            .find(|block| block.is_type && !seen.contains(&block.name))
        {
            Some(block) => bail!("{} has no place in the order of types", block.name),
            None => Ok(Value::Array(wire)),
        }
    }
}

impl Source {
    /// What the current edition says beyond the classic one: the type that a type extends, and
    /// whether queries may group by it.
    fn block_to_wire(&self, block: &Block) -> Result<Value> {
        let mut wire = block.to_wire()?;
        if self.edition == Edition::Classic {
            return Ok(wire);
        }
        let base = block.mixin.clone().or_else(|| self.base(block));
        if let Some(base) = base {
            wire["$mixin"] = json!({"$ref": base});
        }
        if block.is_grouped {
            wire["metadata"] = json!({"group_by": true});
        }
        Ok(wire)
    }

    /// The nearest type among the bases of a block.
    fn base(&self, block: &Block) -> Option<String> {
        block.bases.iter().find_map(|&base| {
            let base = &self.blocks[base];
            if base.is_type {
                Some(base.name.clone())
            } else {
                self.base(base)
            }
        })
    }
}

impl Block {
    /// `Show`, or `Task where object_typeid=…`: the column decides which kind a row is, so the
    /// attribute kept there defaults to this kind.
    fn set_table(&mut self, words: &[String]) -> Result<()> {
        let (table, conditions) = match words {
            [table] => (table, &[][..]),
            [table, with, conditions @ ..] if with == "where" => (table, conditions),
            _ => bail!("expected a table, then perhaps where column=value"),
        };
        let mut classifiers = Map::new();
        for condition in conditions {
            let (column, value) = condition.split_once('=').context("expected column=value")?;
            for attribute in self
                .properties
                .values_mut()
                .filter(|it| it["alias_for"] == column)
            {
                attribute["default"] = json!(value);
            }
            classifiers.insert(column.to_owned(), json!(value));
        }
        self.table = Some(match conditions {
            [] => json!(table),
            _ => json!({"id": table, "classifiers": classifiers}),
        });
        Ok(())
    }

    fn to_wire(&self) -> Result<Value> {
        let mut wire = Map::new();
        wire.insert("id".into(), json!(self.name));
        wire.insert("type".into(), json!("object"));
        if let Some(table) = &self.table {
            wire.insert("alias_for".into(), table.clone());
        }
        for column in self.list("key") {
            ensure!(
                self.properties.contains_key(&column),
                "{} lacks its key {column}",
                self.name
            );
        }
        for (list, name) in LISTS {
            match self.list(list) {
                items if items.is_empty() => {}
                items => _ = wire.insert(name.into(), json!(items)),
            }
        }
        wire.insert("properties".into(), Value::Object(self.properties.clone()));
        Ok(Value::Object(wire))
    }

    /// A list of this block; where a type has none of its own, the key stands in for it.
    fn list(&self, list: &str) -> Vec<String> {
        let items = &self.lists[list];
        match list {
            "computed" | "system" => items.clone(),
            _ if !items.is_empty() || !self.is_type => items.clone(),
            "key" => vec!["id".to_owned()],
            _ => self.list("key"),
        }
    }
}

/// The words of a line. Quotes hold a word with blanks or none at all together; what follows
/// `--` is one word.
fn words(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (word, after) = if let Some(quoted) = rest.strip_prefix('"') {
            quoted
                .split_once('"')
                .context("the closing quote is missing")?
        } else if let Some(text) = rest.strip_prefix("-- ") {
            words.push("--".to_owned());
            (text, "")
        } else {
            rest.split_once(' ').unwrap_or((rest, ""))
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Ok(words)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::schema::hash::schema_hash;

    #[test]
    fn expands_to_the_schemas_of_a_real_server() {
        // The hash that the server information of the same server carries.
        let classic = Edition::Classic.wire();
        assert_eq!(schema_hash(&classic), "23a1157b8b1730fd91c76f63dcd67a8f");
    }

    #[test]
    fn the_current_edition_has_everything_that_the_classic_one_has() {
        let (classic, current) = (Edition::Classic.wire(), Edition::Current.wire());
        let find = |id: &Value| {
            let types = current.as_array().unwrap().iter();
            types.into_iter().find(|ty| ty["id"] == *id).unwrap()
        };
        for ty in classic.as_array().unwrap() {
            let newer = find(&ty["id"]);
            for name in ty["properties"].as_object().unwrap().keys() {
                assert!(newer["properties"][name].is_object(), "{} {name}", ty["id"]);
            }
            assert_eq!(ty["primary_key"], newer["primary_key"]);
        }
        assert!(current.as_array().unwrap().len() >= classic.as_array().unwrap().len() + 20);
        assert_eq!(find(&json!("User"))["$mixin"], json!({"$ref": "BaseUser"}));
        assert_eq!(
            find(&json!("Shot"))["$mixin"],
            json!({"$ref": "TypedContext"})
        );
        assert_eq!(find(&json!("Shot"))["metadata"], json!({"group_by": true}));
    }

    #[test]
    fn versions_choose_the_edition() {
        for (version, edition) in [
            ("dev", Edition::Current),
            ("4.13.8", Edition::Current),
            ("3.5.12", Edition::Classic),
            ("", Edition::Current),
        ] {
            assert_eq!(Edition::of_version(version), edition, "{version}");
        }
        assert_eq!(Edition::named("Classic"), None);
    }

    /// Says what differs when the hash does; the reference is not part of the repository.
    #[test]
    fn equals_the_reference_where_there_is_one() {
        let variable = std::env::var("FTRACK_REFERENCE_SCHEMAS");
        let Ok(text) = variable.map(|path| fs::read_to_string(Path::new(&path)).unwrap()) else {
            return;
        };
        let expected: Value = serde_json::from_str(&text).unwrap();
        let mut differences = Vec::new();
        compare("", &Edition::Classic.wire(), &expected, &mut differences);
        assert!(differences.is_empty(), "{}", differences.join("\n"));
    }

    fn compare(path: &str, ours: &Value, theirs: &Value, differences: &mut Vec<String>) {
        match (ours, theirs) {
            (Value::Object(a), Value::Object(b)) => {
                let keys: HashSet<_> = a.keys().chain(b.keys()).collect();
                for key in keys {
                    compare(
                        &format!("{path}.{key}"),
                        &ours[key],
                        &theirs[key],
                        differences,
                    );
                }
            }
            (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
                for (index, (a, b)) in a.iter().zip(b).enumerate() {
                    let name = a["id"].as_str().map_or(index.to_string(), str::to_owned);
                    compare(&format!("{path}[{name}]"), a, b, differences);
                }
            }
            _ if ours == theirs => {}
            _ => differences.push(format!("{path}: {ours} should be {theirs}")),
        }
    }

    fn failure(text: &str) -> String {
        format!(
            "{:#}",
            expand(&[("test.txt", text)], Edition::Current).unwrap_err()
        )
    }

    #[test]
    fn errors_name_the_line_and_the_mistake() {
        let cases = [
            (
                "id uid",
                "test.txt:1: id uid: a line at the margin opens with",
            ),
            ("  id uid", "nothing is being described yet"),
            ("type A < B", "B is not described above"),
            ("type A B", "expected a name, then perhaps <"),
            (
                "type A\n\ntype A",
                "test.txt:3: type A: A is described twice",
            ),
            (
                "type A\n  id",
                "test.txt:2:   id: an attribute needs a kind",
            ),
            ("type A\n  id strng", "strng is no kind of attribute"),
            ("type A\n  id ref(", "ref( is no kind of attribute"),
            ("type A\n  id string = \"x", "the closing quote is missing"),
            ("type A\n  id string as", "a value must follow as"),
            (
                "type A\n  id boolean = 3",
                "provided string was not `true` or `false`",
            ),
            ("type A\n  id = 3", "the default must follow the kind"),
            (
                "type A\n  requird: id",
                "no such list: expected table, projections",
            ),
            ("type A\n  required: ...B", "B is not described above"),
            (
                "type A\n  table: T if x",
                "expected a table, then perhaps where",
            ),
            ("type A\n  table: T where x", "expected column=value"),
            ("type A\n  id uid\n", "A has no place in the order of types"),
            ("type A\n  name string\norder\n  A", "A lacks its key id"),
            ("type A\n  id uid\norder\n  A A", "A cannot be ordered"),
            ("mixin A\n  id uid\norder\n  A", "A cannot be ordered"),
            (
                "order\n  A",
                "in the order of types: A is not described above",
            ),
            ("type A\n  +", "a line must follow the edition"),
            ("type A\n  mixin: B", "B is not described above"),
            ("- type A\n  id uid\norder\n  A", "A is not described above"),
            (
                "type A\n  b ref(B)\norder\n  A",
                "A.b refers to B, which is no type",
            ),
        ];
        for (text, expected) in cases {
            let message = failure(text);
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }
}
