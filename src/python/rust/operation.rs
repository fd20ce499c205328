//! Recorded operations, as Python reads them.

use ftrack_api::operation::Operation;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::from_value;
use crate::entity::not_set;
use crate::session::Session;

pub(crate) fn to_dict<'py>(
    session: &Bound<'py, Session>,
    operation: Operation,
) -> PyResult<Bound<'py, PyDict>> {
    let py = session.py();
    let dict = PyDict::new(py);
    let entity = operation.entity();
    dict.set_item("entity_type", entity.entity_type())?;
    dict.set_item("entity_key", entity.parts().collect::<Vec<_>>())?;
    match operation {
        Operation::Create { entity_data, .. } => {
            let values = PyDict::new(py);
            for (name, value) in entity_data {
                values.set_item(name, from_value(session, value)?)?;
            }
            dict.set_item("action", "create")?;
            dict.set_item("entity_data", values)?;
        }
        Operation::Update {
            attribute_name,
            old_value,
            new_value,
            ..
        } => {
            dict.set_item("action", "update")?;
            dict.set_item("attribute_name", attribute_name)?;
            let old = match old_value {
                Some(value) => from_value(session, value)?,
                None => not_set(py)?,
            };
            dict.set_item("old_value", old)?;
            dict.set_item("new_value", from_value(session, new_value)?)?;
        }
        Operation::Extend {
            attribute_name,
            added,
            removed,
            ..
        } => {
            dict.set_item("action", "extend")?;
            dict.set_item("attribute_name", attribute_name)?;
            let added = ftrack_api::Value::Collection(added);
            let removed = ftrack_api::Value::Collection(removed);
            dict.set_item("added", from_value(session, added)?)?;
            dict.set_item("removed", from_value(session, removed)?)?;
        }
        _ => dict.set_item("action", "delete")?,
    }
    Ok(dict)
}
