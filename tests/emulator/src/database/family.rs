//! Which types share a table, and how a row says which of them it is.

use crate::schema::{EntityType, Schema};

/// The place of a type.
pub struct Home {
    /// The table's name.
    pub table: String,
    /// The column that names the concrete type.
    pub discriminator: Option<&'static str>,
    /// The concrete types that belong to the type; empty for all of the table.
    pub kinds: Vec<String>,
    /// Whether the rows are calculated.
    pub is_view: bool,
}

/// The column of most families.
pub const TYPE: &str = "_type";
/// Custom attribute links have two ends, and a type for each.
pub const TYPE_FROM: &str = "_type_from";

/// Finds the place of a type.
pub fn home(ty: &EntityType, schema: &Schema) -> Home {
    let name = ty.id.as_str();
    let classified = ty
        .alias
        .as_ref()
        .filter(|(_, classifiers)| !classifiers.is_empty());
    match (name, classified.map(|(table, _)| table.as_str())) {
        (_, Some("Task")) | ("Project", _) => shared("context", vec![name.to_owned()]),
        (_, Some("List")) => shared("list", vec![name.to_owned()]),
        ("TypedContext", _) => shared("context", typed_contexts(schema)),
        ("Context" | "Component" | "Resource" | "List" | "StatusChange", _) => {
            shared(&snake(name), Vec::new())
        }
        ("ContainerComponent", _) => shared(
            "component",
            vec![name.to_owned(), "SequenceComponent".to_owned()],
        ),
        ("FileComponent" | "SequenceComponent", _) => shared("component", vec![name.to_owned()]),
        ("User" | "Group" | "Collaborator", _) => shared("resource", vec![name.to_owned()]),
        ("BaseUser", _) => shared(
            "resource",
            ["User", "Collaborator"].map(str::to_owned).to_vec(),
        ),
        ("NoteLabel" | "NoteCategory", _) => alone("note_category"),
        ("CustomConfigurationBase", _) => shared("custom_configuration", Vec::new()),
        ("CustomAttributeConfiguration" | "CustomAttributeLinkConfiguration", _) => {
            shared("custom_configuration", vec![name.to_owned()])
        }
        _ => by_suffix(name).unwrap_or_else(|| by_mixin(ty, schema)),
    }
}

/// A type that extends another shares its table; so newer schemas say.
fn by_mixin(ty: &EntityType, schema: &Schema) -> Home {
    let name = ty.id.as_str();
    if let Some(root) = schema.bases(ty).last() {
        let mut kinds = vec![name.to_owned()];
        kinds.extend(schema.extensions(name).map(|ty| ty.id.clone()));
        return shared(&snake(root), kinds);
    }
    match schema.extensions(name).next() {
        Some(_) => shared(&snake(name), Vec::new()),
        None => alone(&snake(name)),
    }
}

fn by_suffix(name: &str) -> Option<Home> {
    let kinds = |base: &str| {
        if name == base {
            Vec::new()
        } else {
            vec![name.to_owned()]
        }
    };
    if name.ends_with("CustomAttributeLinkFrom") {
        let mut home = shared("custom_attribute_link", kinds("CustomAttributeLinkFrom"));
        home.discriminator = Some(TYPE_FROM);
        return Some(home);
    }
    if name.ends_with("CustomAttributeLink") {
        return Some(shared(
            "custom_attribute_link",
            kinds("CustomAttributeLink"),
        ));
    }
    if name.ends_with("StatusChange") {
        return Some(shared("status_change", vec![name.to_owned()]));
    }
    let is_view = name.ends_with("CustomAttributeValue") && name != "CustomAttributeValue";
    is_view.then(|| Home {
        is_view,
        ..alone(&snake(name))
    })
}

/// All types that are made from the tasks' table, whatever object types the site has.
pub fn typed_contexts(schema: &Schema) -> Vec<String> {
    schema.object_kinds().map(|(ty, _)| ty.id.clone()).collect()
}

fn shared(table: &str, kinds: Vec<String>) -> Home {
    Home {
        table: table.to_owned(),
        discriminator: Some(TYPE),
        kinds,
        is_view: false,
    }
}

fn alone(table: &str) -> Home {
    Home {
        table: table.to_owned(),
        discriminator: None,
        kinds: Vec::new(),
        is_view: false,
    }
}

/// `AssetVersion` becomes `asset_version`.
pub fn snake(name: &str) -> String {
    let mut text = String::new();
    for (index, character) in name.chars().enumerate() {
        if character.is_ascii_uppercase() && index > 0 {
            text.push('_');
        }
        text.push(character.to_ascii_lowercase());
    }
    text
}
