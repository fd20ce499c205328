//! What the schema says of types, for the classes on the Python side.

use ftrack_api::SmolStr;
use ftrack_api::schema::{AttributeDefault, AttributeKind};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::convert::from_value;
use crate::error::{About, raise};
use crate::session::Session;

#[pymethods]
impl Session {
    fn _type_names(&self) -> PyResult<Vec<String>> {
        let types = self.core()?.schema().entity_types();
        Ok(types.iter().map(|kind| kind.name().to_owned()).collect())
    }

    /// A type: its attributes, primary key and default projections.
    fn _type<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let py = slf.py();
        let core = slf.get().core()?;
        let kind = core
            .schema()
            .entity_type(name)
            .map_err(raise(About::Query))?;
        let attributes = PyList::empty(py);
        for attribute in kind.attributes() {
            let one = PyDict::new(py);
            let (group, target) = match attribute.kind() {
                AttributeKind::Text => ("string", None),
                AttributeKind::Bool => ("boolean", None),
                AttributeKind::Integer => ("integer", None),
                AttributeKind::Number => ("number", None),
                AttributeKind::DateTime => ("datetime", None),
                AttributeKind::Reference(target) => ("reference", Some(target.as_str())),
                AttributeKind::Collection(target) => ("collection", Some(target.as_str())),
                AttributeKind::Mapped(target) => ("mapped", Some(target.as_str())),
                _ => ("variable", None),
            };
            one.set_item("name", attribute.name())?;
            one.set_item("kind", group)?;
            one.set_item("entity_type", target)?;
            one.set_item("mutable", attribute.is_mutable())?;
            one.set_item("computed", attribute.is_computed())?;
            one.set_item("required", attribute.is_required())?;
            if let AttributeDefault::Value(value) = attribute.default() {
                one.set_item("default", from_value(slf, value.clone())?)?;
            }
            attributes.append(one)?;
        }
        let found = PyDict::new(py);
        found.set_item("name", kind.name())?;
        found.set_item("base", kind.base())?;
        found.set_item("alias", kind.alias())?;
        let key: Vec<&str> = kind.primary_key().iter().map(SmolStr::as_str).collect();
        found.set_item("primary_key", key)?;
        let projections = kind.default_projections().iter();
        let projections: Vec<&str> = projections.map(SmolStr::as_str).collect();
        found.set_item("default_projections", projections)?;
        found.set_item("attributes", attributes)?;
        Ok(found)
    }

    fn _is_kind_of(&self, name: &str, base: &str) -> PyResult<bool> {
        Ok(self.core()?.schema().is_kind_of(name, base))
    }
}
