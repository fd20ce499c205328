//! The bases of entity types.
//!
//! Newer servers name the base of every type (`$mixin`). Older ones do so only for types that share a
//! table; the others are known from their responses.

use smol_str::SmolStr;

use crate::value::HashMap;

/// Types and bases that the schema does not name.
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

/// Bases of all types whose name ends with theirs: links of users, of contexts, and so on.
const FAMILIES: &[&str] = &["CustomAttributeLink", "CustomAttributeLinkFrom"];

/// The base of `name`. `tables` has the type of each whole table, by the table's name; `classified` is
/// the table of a type that covers a part of one.
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
