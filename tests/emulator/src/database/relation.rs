//! How references and collections are connected, derived from the schema's foreign keys; what
//! the schema does not say is listed here.

use crate::database::family::{TYPE, TYPE_FROM, snake};
use crate::database::model::{
    Attr, Collection, Column, Model, Reference, Storage, Table, Type, TypeId, Via,
};
use crate::schema::Kind;

/// What relations are until [`connect`] ran, and after it if nothing explains them: empty.
pub fn unconnected(id: TypeId, key: &str) -> Storage {
    Storage::Collection(Collection {
        target: id,
        via: Via::Column(key.to_owned(), Some(NEVER)),
    })
}

/// The condition of relations that nothing explains.
pub const NEVER: &str = "0";

/// Connects every relation of every type. A relation to a type that the schema lacks is empty.
pub fn connect(model: &mut Model) {
    for id in 0..model.types.len() {
        for index in 0..model.types[id].attributes.len() {
            let storage = match &model.types[id].attributes[index].schema.kind {
                Kind::Reference(target) => reference(model, id, index, &target.clone()),
                Kind::Collection(target) | Kind::Mapped(target) => {
                    collection(model, id, index, &target.clone())
                }
                _ => continue,
            };
            if let Some(storage) = storage {
                model.types[id].attributes[index].storage = storage;
            }
        }
    }
}

fn reference(model: &mut Model, id: TypeId, index: usize, target: &str) -> Option<Storage> {
    let target = model.find(target)?;
    let target = target.id;
    let theirs = model.types[target].key.clone();
    let ty = &model.types[id];
    let attr = &ty.attributes[index];
    if attr.name() == "latest_version" {
        let reference = Reference {
            target,
            own: vec!["id".to_owned()],
            theirs,
            is_latest_version: true,
            is_narrowed: false,
        };
        return Some(Storage::Reference(reference));
    }
    let own = if theirs.len() > 1 {
        theirs.clone()
    } else if let Some(column) = key_column(model, ty, attr, target) {
        vec![column]
    } else {
        // The schema hides some keys: `Status.state` has none.
        let column = format!("{}_id", attr.name());
        let name = model.types[target].name.clone();
        let table = model.types[id].table;
        model.tables[table].ensure(&column, &Kind::Key, Some(&name));
        vec![column]
    };
    let table = &model.tables[model.types[id].table];
    let foreign = table
        .column(&own[0])
        .and_then(|column| column.foreign.as_deref());
    let is_narrowed = foreign.is_some_and(|foreign| narrows(model, foreign, target));
    Some(Storage::Reference(Reference {
        target,
        own,
        theirs,
        is_latest_version: false,
        is_narrowed,
    }))
}

/// `Recipient.user` shows only those resources that are users.
fn narrows(model: &Model, foreign: &str, target: TypeId) -> bool {
    let target = &model.types[target];
    model.find(foreign).is_some_and(|foreign| {
        foreign.table == target.table
            && foreign.discriminator.is_some()
            && !target.kinds.is_empty()
            && foreign.kinds != target.kinds
            && foreign.kinds.len() != 1
    })
}

/// The column that holds a reference's key: by name, by the server's name, or the only one that
/// points to the target.
fn key_column(model: &Model, ty: &Type, attr: &Attr, target: TypeId) -> Option<String> {
    let target = &model.types[target];
    if ty.discriminator == Some(TYPE_FROM) && attr.name() != "configuration" {
        return Some("from_id".to_owned());
    }
    if ty.discriminator == Some(TYPE)
        && ty.name.ends_with("CustomAttributeLink")
        && attr.name() != "configuration"
    {
        return Some("to_id".to_owned());
    }
    if let Some(column) = ty.column(&format!("{}_id", attr.name())) {
        return Some(column.to_owned());
    }
    let stored = || {
        ty.attributes.iter().filter_map(|attr| match &attr.storage {
            Storage::Column(column) => Some((attr, column)),
            _ => None,
        })
    };
    if let Some(alias) = &attr.schema.alias {
        let wanted = format!("{alias}id");
        let by_alias = stored().find(|(other, _)| other.schema.alias.as_ref() == Some(&wanted));
        if let Some((_, column)) = by_alias {
            return Some(column.clone());
        }
    }
    let points = |foreign: &Option<String>| {
        foreign
            .as_ref()
            .and_then(|name| model.find(name))
            .is_some_and(|ty| ty.table == target.table)
    };
    // `project_id` belongs to `project`, and does not explain `parent`.
    let is_taken = |other: &Attr| {
        let relation = other.name().strip_suffix("_id");
        let other = relation.and_then(|name| ty.get(name));
        other.is_some_and(|other| matches!(other.schema.kind, Kind::Reference(_)))
    };
    let candidates: Vec<_> = stored()
        .filter(|(other, _)| {
            other.name() != "id" && points(&other.schema.foreign) && !is_taken(other)
        })
        .collect();
    // Some sites have the key of the project and not the relation: it is a context as well.
    let exact =
        |(other, _): &&(&Attr, &String)| other.schema.foreign.as_ref() == Some(&target.name);
    let exact: Vec<_> = candidates.iter().filter(exact).collect();
    match (candidates.as_slice(), exact.as_slice()) {
        ([(_, column)], _) | (_, [(_, column)]) => Some((*column).clone()),
        _ => None,
    }
}

fn collection(model: &mut Model, id: TypeId, index: usize, target: &str) -> Option<Storage> {
    let name = model.types[id].attributes[index].name().to_owned();
    // The schema says Task where it means the server's table of that name: a list of contexts
    // also holds shots and sequences [?].
    let is_list = name == "items" && model.types[id].name == "TypedContextList";
    let target = if is_list { "TypedContext" } else { target };
    let target = model.find(target)?.id;
    let via = match listed(model, id, target, &name) {
        Some(via) => via,
        None => match owner_column(model, id, target) {
            Some(column) => Via::Column(column, None),
            None => unexplained(model, id, target, &name)?,
        },
    };
    Some(Storage::Collection(Collection { target, via }))
}

/// The column of the target that points to us, if there is exactly one.
fn owner_column(model: &Model, id: TypeId, target: TypeId) -> Option<String> {
    let table = &model.tables[model.types[target].table];
    let points = |column: &&Column| {
        let foreign = column.foreign.as_deref().and_then(|name| model.find(name));
        foreign.is_some_and(|foreign| foreign.table == model.types[id].table)
    };
    let own = |column: &&Column| {
        model.types[target]
            .attributes
            .iter()
            .any(|a| matches!(&a.storage, Storage::Column(c) if *c == column.name))
    };
    let other = |column: &&Column| column.name != "id";
    let candidates: Vec<_> = table
        .columns
        .iter()
        .filter(other)
        .filter(own)
        .filter(points)
        .collect();
    // Both columns of a membership point to resources, but only one to users.
    let exact = |column: &&&Column| {
        let foreign = column.foreign.as_deref().and_then(|name| model.find(name));
        foreign.is_some_and(|foreign| foreign.kinds.contains(&model.types[id].name))
    };
    match candidates.as_slice() {
        [one] => Some(one.name.clone()),
        several => match several.iter().filter(exact).collect::<Vec<_>>().as_slice() {
            [one] => Some(one.name.clone()),
            _ => None,
        },
    }
}

/// The collections that the foreign keys do not explain.
fn listed(model: &mut Model, id: TypeId, target: TypeId, name: &str) -> Option<Via> {
    let column = |column: &str| Some(Via::Column(column.to_owned(), None));
    let narrowed = |column: &str, condition| Some(Via::Column(column.to_owned(), Some(condition)));
    let target_name = model.types[target].name.clone();
    let owner = model.types[id].name.clone();
    let resource = model.tables[model.types[id].table].name == "resource";
    let person = if resource {
        "resource_id"
    } else {
        "context_id"
    };
    match (name, target_name.as_str()) {
        ("ancestors", _) => {
            let table = model.tables[model.types[id].table].name.clone();
            let parent = model.types[id].column("parent_id");
            let column = parent.unwrap_or("context_id").to_owned();
            Some(Via::Ancestors(table, column))
        }
        ("descendants", _) => Some(Via::Descendants),
        ("children", _) | ("status_changes" | "metadata" | "settings", _) => column("parent_id"),
        // Replies have the same parent but are reached through the note that they reply to.
        ("notes", "Note") => narrowed("parent_id", "{}.in_reply_to_id IS NULL"),
        ("assets", "Asset") if model.tables[model.types[id].table].name == "context" => {
            column("context_id")
        }
        ("incoming_links", _) => column("to_id"),
        ("outgoing_links", _) => column("from_id"),
        ("assignments", _) => narrowed(person, "{}.type = 'assignment'"),
        ("allocations", _) => narrowed(person, "{}.type = 'allocation'"),
        ("appointments", _) => column(person),
        ("custom_attributes", _) => column("entity_id"),
        ("custom_attribute_links", _) => column("from_id"),
        ("custom_attribute_links_from", _) => column("to_id"),
        ("lists", "TypedContextList" | "AssetVersionList") => {
            through("list_object", "entity_id", "list_id", true)
        }
        ("items", _) if owner.ends_with("List") => {
            through("list_object", "list_id", "entity_id", true)
        }
        // What a version uses are the versions that its incoming links come from [?].
        ("uses_versions", _) => through("asset_version_link", "to_id", "from_id", true),
        ("used_in_versions", _) => through("asset_version_link", "from_id", "to_id", true),
        ("project_schemas", _) => through(
            "project_schema_object_type",
            "object_type_id",
            "project_schema_id",
            false,
        ),
        ("object_types", _) => through(
            "project_schema_object_type",
            "project_schema_id",
            "object_type_id",
            false,
        ),
        ("task_type_schemas", _) => through(
            "task_type_schema_type",
            "type_id",
            "task_type_schema_id",
            false,
        ),
        ("types", "Type") => through(
            "task_type_schema_type",
            "task_type_schema_id",
            "type_id",
            false,
        ),
        ("statuses", "Status") => through(
            "workflow_schema_status",
            "workflow_schema_id",
            "status_id",
            false,
        ),
        ("roles", "SecurityRole") => hidden(
            model,
            "api_key_role",
            ("api_key_id", "ApiKey"),
            ("security_role_id", "SecurityRole"),
        ),
        ("projects", "Project") if owner == "ApiKey" => hidden(
            model,
            "api_key_project",
            ("api_key_id", "ApiKey"),
            ("project_id", "Project"),
        ),
        ("shared_with", _) => hidden(
            model,
            "user_view_resource",
            ("user_view_id", "UserView"),
            ("resource_id", "Resource"),
        ),
        ("scopes", _) => hidden(
            model,
            "context_scope",
            ("context_id", "Context"),
            ("scope_id", "Scope"),
        ),
        ("read_security_roles", _) => hidden(
            model,
            "configuration_read_role",
            ("configuration_id", "CustomConfigurationBase"),
            ("security_role_id", "SecurityRole"),
        ),
        ("write_security_roles", _) => hidden(
            model,
            "configuration_write_role",
            ("configuration_id", "CustomConfigurationBase"),
            ("security_role_id", "SecurityRole"),
        ),
        _ => None,
    }
}

fn through(table: &str, own: &str, other: &str, has_id: bool) -> Option<Via> {
    let [table, own, other] = [table, own, other].map(str::to_owned);
    Some(Via::Through {
        table,
        own,
        other,
        has_id,
    })
}

/// What no foreign key explains is kept in a table of its own, as the schema says nothing else.
fn unexplained(model: &mut Model, id: TypeId, target: TypeId, name: &str) -> Option<Via> {
    let (owner, target) = (&model.types[id], &model.types[target]);
    if owner.key != ["id"] || target.key != ["id"] || model.tables[target.table].is_view {
        return None;
    }
    let (owner, target) = (owner.name.clone(), target.name.clone());
    let table = format!("{}{UNEXPLAINED}{name}", snake(&owner));
    hidden(model, &table, ("owner_id", &owner), ("member_id", &target))
}

/// Between the owner and the name of the relation in the names of such tables.
pub const UNEXPLAINED: &str = "__";

/// A connecting table that the schema does not show.
fn hidden(model: &mut Model, name: &str, own: (&str, &str), other: (&str, &str)) -> Option<Via> {
    if !model.tables.iter().any(|table| table.name == name) {
        let column = |(name, foreign): (&str, &str)| Column {
            name: name.to_owned(),
            kind: Kind::Key,
            foreign: Some(foreign.to_owned()),
        };
        model.tables.push(Table {
            name: name.to_owned(),
            columns: vec![column(own), column(other)],
            key: vec![own.0.to_owned(), other.0.to_owned()],
            is_view: false,
        });
    }
    through(name, own.0, other.0, false)
}
