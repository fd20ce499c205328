//! Structures and transformers: the crate's for Python, and Python's for the crate.

use std::sync::Arc;

use ftrack_api::structure::{
    self, EntityIdStructure, IdStructure, OriginStructure, StandardStructure, StructureContext,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::access::Held;
use crate::entity::Entity;
use crate::error::{About, raise_any};
use crate::logging::released;

/// Without a substitute, names stay unchanged.
fn standard(substitute: Option<&str>) -> StandardStructure {
    let structure = StandardStructure::new();
    match substitute {
        Some(substitute) => structure.illegal_character_substitute(substitute),
        None => structure.keep_illegal_characters(true),
    }
}

/// A structure of the crate.
#[pyclass(frozen, module = "ftrack_api._core")]
pub(crate) struct Structure {
    pub(crate) core: Arc<dyn structure::Structure>,
}

#[pymethods]
impl Structure {
    #[staticmethod]
    fn standard(prefix: Option<String>, substitute: Option<&str>) -> Self {
        let mut core = standard(substitute);
        if let Some(prefix) = prefix {
            core = core.project_versions_prefix(prefix);
        }
        Self {
            core: Arc::new(core),
        }
    }

    #[staticmethod]
    fn sanitise(name: &str, substitute: Option<&str>) -> String {
        standard(substitute).sanitise_for_filesystem(name)
    }

    #[staticmethod]
    fn by_id(prefix: &str) -> Self {
        Self {
            core: Arc::new(IdStructure::new(prefix)),
        }
    }

    #[staticmethod]
    fn entity_id() -> Self {
        Self {
            core: Arc::new(EntityIdStructure),
        }
    }

    #[staticmethod]
    fn origin() -> Self {
        Self {
            core: Arc::new(OriginStructure),
        }
    }

    fn get_resource_identifier(
        &self,
        py: Python<'_>,
        entity: &Bound<'_, Entity>,
        source: Option<String>,
    ) -> PyResult<String> {
        let mut context = StructureContext::default();
        context.source_resource_identifier = source;
        let core = &entity.get().core;
        released(py, || self.core.get_resource_identifier(core, &context))
            .map_err(raise_any(About::Location))
    }
}

pub(crate) struct SharedStructure(pub(crate) Arc<dyn structure::Structure>);

impl structure::Structure for SharedStructure {
    fn get_resource_identifier(
        &self,
        component: &ftrack_api::Entity,
        context: &StructureContext,
    ) -> anyhow::Result<String> {
        self.0.get_resource_identifier(component, context)
    }
}

/// A structure written in Python.
pub(crate) struct PythonStructure(pub(crate) Held);

impl structure::Structure for PythonStructure {
    fn get_resource_identifier(
        &self,
        component: &ftrack_api::Entity,
        context: &StructureContext,
    ) -> anyhow::Result<String> {
        self.0.call(|object| {
            let py = object.py();
            let given = PyDict::new(py);
            if let Some(source) = &context.source_resource_identifier {
                given.set_item("source_resource_identifier", source)?;
            }
            let entity = self.0.wrap(py, component)?;
            let made = object.call_method1("get_resource_identifier", (entity, given))?;
            made.extract()
        })
    }
}

/// A transformer written in Python.
pub(crate) struct PythonTransformer(pub(crate) Held);

impl PythonTransformer {
    fn by(&self, method: &str, text: &str, entity: &ftrack_api::Entity) -> anyhow::Result<String> {
        self.0.call(|object| {
            let context = PyDict::new(object.py());
            context.set_item("component", self.0.wrap(object.py(), entity)?)?;
            object.call_method1(method, (text, context))?.extract()
        })
    }
}

impl structure::ResourceIdentifierTransformer for PythonTransformer {
    fn encode(&self, identifier: &str, component: &ftrack_api::Entity) -> anyhow::Result<String> {
        self.by("encode", identifier, component)
    }

    fn decode(&self, stored: &str, component: &ftrack_api::Entity) -> anyhow::Result<String> {
        self.by("decode", stored, component)
    }
}
