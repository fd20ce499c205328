//! Which entity types are kinds of others.
//!
//! Newer servers say it of every type (`$mixin`). Older ones say so only for types that are built
//! on one table; the rest is known from their responses (SERVER.md B6).

use smol_str::SmolStr;

use crate::value::HashMap;

/// Type and base, where the schema is silent.
const KNOWN: &[(&str, &str)] = &[
    ("TypedContext", "Context"),
    ("Project", "Context"),
    ("FileComponent", "Component"),
    ("SequenceComponent", "ContainerComponent"),
    ("ContainerComponent", "Component"),
    ("User", "Resource"),
    ("Group", "Resource"),
    ("TypedContextStatusChange", "StatusChange"),
    ("AssetVersionStatusChange", "StatusChange"),
];

/// Bases of every type whose name ends in theirs: the links of users, of contexts, and so on.
const FAMILIES: &[&str] = &["CustomAttributeLink", "CustomAttributeLinkFrom"];

/// The base of `name`. `tables` names the type that stands for a whole table, by the table's
/// name; `classified` is the table of a type that is only a part of one.
pub(super) fn base_of(
    name: &str,
    classified: Option<&str>,
    tables: &HashMap<SmolStr, SmolStr>,
) -> Option<SmolStr> {
    if let Some(table) = classified {
        let base = tables.get(table).map_or(table, SmolStr::as_str);
        return (base != name).then(|| SmolStr::new(base));
    }
    let known = KNOWN.iter().find(|(kind, _)| *kind == name);
    let family = |base: &&&str| name != **base && name.ends_with(**base);
    known
        .map(|(_, base)| base)
        .or_else(|| FAMILIES.iter().find(family))
        .map(|base| SmolStr::new_static(base))
}
