//! Live containers: collections, metadata and custom attributes of an entity.

use ftrack_api::entity::{CustomAttribute, ValueOrigin};
use ftrack_api::schema::AttributeKind;
use ftrack_api::{Error, ErrorKind, Value};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::convert::{from_value, to_entities, to_value};
use crate::entity::Entity;
use crate::error::{About, raise};
use crate::logging::released;
use crate::session::Session;

/// The container for an attribute that holds several things.
pub(crate) fn live<'py>(entity: &Bound<'py, Entity>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    let py = entity.py();
    let core = &entity.get().core;
    let attribute = core.type_info().attribute(name);
    let attribute = attribute.map_err(raise(About::Entity))?;
    let class = match (attribute.kind(), name) {
        (AttributeKind::Mapped(_), "custom_attributes") => "CustomAttributeCollectionProxy",
        (AttributeKind::Mapped(_), _) => "KeyValueMappedCollectionProxy",
        _ => "Collection",
    };
    let module = py.import(intern!(py, "ftrack_api.collection"))?;
    module.getattr(class)?.call1((entity, name))
}

/// What all three have: the entity that they are of.
macro_rules! of_entity {
    ($class:ident, $core:ty, $open:expr) => {
        #[pymethods]
        impl $class {
            #[new]
            fn new(entity: &Bound<'_, Entity>, name: &str) -> PyResult<Self> {
                let open: fn(&ftrack_api::Entity, &str) -> ftrack_api::Result<$core> = $open;
                let core = open(&entity.get().core, name).map_err(raise(About::Entity))?;
                Ok(Self {
                    core,
                    owner: entity.clone().unbind(),
                    name: name.to_owned(),
                })
            }

            #[getter]
            fn entity<'py>(&self, py: Python<'py>) -> Bound<'py, Entity> {
                self.owner.bind(py).clone()
            }

            #[getter]
            fn _name(&self) -> &str {
                &self.name
            }

            fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
                visit.call(&self.owner)
            }
        }
    };
}

#[pyclass(subclass, weakref, frozen, module = "ftrack_api._core")]
pub(crate) struct Collection {
    core: ftrack_api::Collection,
    owner: Py<Entity>,
    name: String,
}

of_entity!(Collection, ftrack_api::Collection, |entity, name| entity
    .collection(name));

#[pymethods]
impl Collection {
    fn _members<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let members = released(py, || self.core.all());
        let members = members.map_err(raise(About::Collection))?;
        Session::wrap_all(self.owner.get().session.bind(py), members)
    }

    fn _count(&self, py: Python<'_>) -> PyResult<usize> {
        released(py, || self.core.len()).map_err(raise(About::Collection))
    }

    fn _contains(&self, py: Python<'_>, member: &Bound<'_, Entity>) -> PyResult<bool> {
        let member = &member.get().core;
        released(py, || self.core.contains(member)).map_err(raise(About::Collection))
    }

    fn _push(&self, py: Python<'_>, members: &Bound<'_, PyAny>) -> PyResult<()> {
        let members = to_entities(members)?;
        released(py, || self.core.extend(members)).map_err(raise(About::Collection))
    }

    fn _insert(&self, py: Python<'_>, index: usize, member: &Bound<'_, Entity>) -> PyResult<()> {
        let member = &member.get().core;
        released(py, || self.core.insert(index, member)).map_err(raise(About::Collection))
    }

    fn _remove(&self, py: Python<'_>, member: &Bound<'_, Entity>) -> PyResult<bool> {
        let member = &member.get().core;
        released(py, || self.core.remove(member)).map_err(raise(About::Collection))
    }

    fn _replace(&self, py: Python<'_>, members: &Bound<'_, PyAny>) -> PyResult<()> {
        let members = to_entities(members)?;
        released(py, || self.core.replace(members)).map_err(raise(About::Collection))
    }
}

#[pyclass(subclass, weakref, frozen, module = "ftrack_api._core")]
pub(crate) struct Metadata {
    core: ftrack_api::Metadata,
    owner: Py<Entity>,
    name: String,
}

of_entity!(Metadata, ftrack_api::Metadata, |entity, _| entity
    .metadata());

#[pymethods]
impl Metadata {
    fn _pairs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let pairs = released(py, || self.core.to_map());
        let dict = PyDict::new(py);
        for (key, value) in pairs.map_err(raise(About::Entity))? {
            dict.set_item(key, value)?;
        }
        Ok(dict)
    }

    fn _get(&self, py: Python<'_>, key: &str) -> PyResult<Option<String>> {
        released(py, || self.core.get(key)).map_err(raise(About::Entity))
    }

    fn _set(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = to_value(value, None)?;
        released(py, || self.core.set(key, value)).map_err(raise(About::Entity))
    }

    fn _remove(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        released(py, || self.core.remove(key)).map_err(raise(About::Entity))
    }

    fn _replace(&self, py: Python<'_>, pairs: &Bound<'_, PyDict>) -> PyResult<()> {
        let pairs = pairs
            .iter()
            .map(|(key, value)| Ok((key.str()?.to_string(), to_value(&value, None)?)));
        let pairs = pairs.collect::<PyResult<Vec<_>>>()?;
        released(py, || self.core.replace(pairs)).map_err(raise(About::Entity))
    }
}

#[pyclass(subclass, weakref, frozen, module = "ftrack_api._core")]
pub(crate) struct CustomAttributes {
    core: ftrack_api::CustomAttributes,
    owner: Py<Entity>,
    name: String,
}

of_entity!(
    CustomAttributes,
    ftrack_api::CustomAttributes,
    |entity, _| entity.custom_attributes()
);

#[pymethods]
impl CustomAttributes {
    fn _keys(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        released(py, || self.core.keys()).map_err(raise(About::Entity))
    }

    fn _contains(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        released(py, || self.core.contains(key)).map_err(raise(About::Entity))
    }

    /// The value, and where it comes from: `own`, `inherited` or `default`.
    fn _effective<'py>(
        &self,
        py: Python<'py>,
        key: &str,
    ) -> PyResult<(Bound<'py, PyAny>, &'static str)> {
        let found = released(py, || self.core.effective(key));
        let (value, origin) = found.map_err(raise(About::Entity))?;
        let origin = match origin {
            ValueOrigin::Own => "own",
            ValueOrigin::Inherited(_) => "inherited",
            _ => "default",
        };
        Ok((
            from_value(self.owner.get().session.bind(py), value)?,
            origin,
        ))
    }

    fn _is_hierarchical(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        let found = released(py, || self.core.configurations(key));
        let found = found.map_err(raise(About::Entity))?;
        Ok(found.iter().any(CustomAttribute::is_hierarchical))
    }

    fn _set(&self, py: Python<'_>, key: &str, value: &Bound<'_, PyAny>) -> PyResult<()> {
        let value = to_value(value, None)?;
        let entity = &self.owner.get().core;
        released(py, || match self.core.set(key, value.clone()) {
            Err(error) if error.kind() == ErrorKind::WrongType => {
                // As in the official client, the server is the judge of it.
                set_unchecked(entity, &self.core, key, value).map_err(|_| error)
            }
            done => done,
        })
        .map_err(raise(About::Entity))
    }

    fn _remove(&self, py: Python<'_>, key: &str) -> PyResult<bool> {
        released(py, || self.core.remove(key)).map_err(raise(About::Entity))
    }

    fn _replace(&self, py: Python<'_>, values: &Bound<'_, PyDict>) -> PyResult<()> {
        let pairs = values
            .iter()
            .map(|(key, value)| Ok((key.str()?.to_string(), to_value(&value, None)?)));
        let pairs = pairs.collect::<PyResult<Vec<_>>>()?;
        released(py, || self.core.replace(pairs)).map_err(raise(About::Entity))
    }

    fn get_configuration_id_from_key(&self, py: Python<'_>, key: &str) -> PyResult<String> {
        released(py, || self.core.get_configuration_id_from_key(key)).map_err(raise(About::Entity))
    }
}

/// Sets the value of the row that the server made for the attribute.
fn set_unchecked(
    entity: &ftrack_api::Entity,
    attributes: &ftrack_api::CustomAttributes,
    key: &str,
    value: Value,
) -> ftrack_api::Result<()> {
    let definitions = attributes.configurations(key)?;
    let id = definitions.first().map(CustomAttribute::id);
    let rows = entity.get::<Vec<ftrack_api::Entity>>("custom_attributes")?;
    let is_wanted = |row: &&ftrack_api::Entity| row.key().parts().next().as_deref() == id;
    match rows.iter().find(is_wanted) {
        Some(row) => row.set("value", value),
        None => Err(Error::new(ErrorKind::NotFound, "the value has no row yet")),
    }
}
