//! JSON of the actions that the session sends by itself.

use serde_json::{Value as Json, json};

use crate::value::EntityKey;

pub(crate) fn query_action(expression: &str) -> Json {
    json!({"action": "query", "expression": expression})
}

pub(crate) fn delete_action(entity: &EntityKey) -> Json {
    let key: Vec<String> = entity.parts().collect();
    json!({"action": "delete", "entity_type": entity.entity_type(), "entity_key": key})
}
