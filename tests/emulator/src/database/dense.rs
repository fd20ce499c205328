//! Dense custom attributes: a view with one row per entity and applicable configuration, whether
//! a value is stored or not.

use crate::database::model::Model;

/// One kind of entity that has custom attributes.
struct Carrier {
    view: &'static str,
    /// The table of the entities.
    table: &'static str,
    /// Further tables that lead to the project.
    join: &'static str,
    /// The project of an entity.
    project: &'static str,
    /// Which configurations apply, the hierarchical ones aside.
    applies: &'static str,
    /// Whether hierarchical configurations apply too.
    is_hierarchical: bool,
}

const CARRIERS: [Carrier; 6] = [
    Carrier {
        view: "context_custom_attribute_value",
        table: "context",
        join: "",
        project: "e.project_id",
        applies: "((e._type = 'Project' AND c.entity_type = 'show') OR \
                  (c.entity_type = 'task' AND c.object_type_id = e.object_type_id))",
        is_hierarchical: true,
    },
    Carrier {
        view: "asset_custom_attribute_value",
        table: "asset",
        join: "LEFT JOIN context o ON o.id = e.context_id",
        project: "o.project_id",
        applies: "c.entity_type = 'asset'",
        is_hierarchical: true,
    },
    Carrier {
        view: "asset_version_custom_attribute_value",
        table: "asset_version",
        join: "LEFT JOIN asset a ON a.id = e.asset_id LEFT JOIN context o ON o.id = a.context_id",
        project: "o.project_id",
        applies: "c.entity_type = 'assetversion'",
        is_hierarchical: true,
    },
    Carrier {
        view: "user_custom_attribute_value",
        table: "resource",
        join: "",
        project: "NULL",
        applies: "c.entity_type = 'user' AND e._type = 'User'",
        is_hierarchical: false,
    },
    Carrier {
        view: "list_custom_attribute_value",
        table: "list",
        join: "",
        project: "e.project_id",
        applies: "c.entity_type = 'list'",
        is_hierarchical: false,
    },
    // Nothing available shows configurations for list objects; the name follows the others [?].
    Carrier {
        view: "list_object_custom_attribute_value",
        table: "list_object",
        join: "LEFT JOIN list o ON o.id = e.list_id",
        project: "o.project_id",
        applies: "c.entity_type = 'listobject'",
        is_hierarchical: false,
    },
];

/// The statements that make the views of those carriers that the model has.
pub fn views(model: &Model) -> impl Iterator<Item = String> + '_ {
    let has = |name: &str| model.tables.iter().any(|table| table.name == name);
    CARRIERS
        .iter()
        .filter(move |carrier| {
            has(carrier.view) && has(carrier.table) && has("custom_configuration")
        })
        .map(view)
}

/// The table that a dense value's entity lives in.
pub fn carrier_table(view: &str) -> Option<&'static str> {
    CARRIERS
        .iter()
        .find(|carrier| carrier.view == view)
        .map(|carrier| carrier.table)
}

/// Without a stored value a hierarchical attribute is null, so that clients look upwards.
fn view(carrier: &Carrier) -> String {
    let Carrier {
        view,
        table,
        join,
        project,
        applies,
        is_hierarchical,
    } = carrier;
    let applies = if *is_hierarchical {
        format!("(c.is_hierarchical = 1 OR {applies})")
    } else {
        (*applies).to_owned()
    };
    format!(
        "CREATE VIEW IF NOT EXISTS {view} AS SELECT c.id AS configuration_id, e.id AS entity_id, \
         c.key AS key, {project} AS project_id, \
         CASE WHEN v.entity_id IS NOT NULL THEN v.value WHEN c.is_hierarchical = 1 THEN NULL \
         ELSE c.\"default\" END AS value \
         FROM {table} e {join} JOIN custom_configuration c \
         ON c._type = 'CustomAttributeConfiguration' AND {applies} \
         AND (c.project_id IS NULL OR c.project_id = {project}) \
         LEFT JOIN custom_attribute_value v \
         ON v.configuration_id = c.id AND v.entity_id = e.id"
    )
}
