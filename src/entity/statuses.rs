//! The statuses and types that the workflow of a project offers.

use crate::config::Populate;
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::handle::Entity;
use crate::query::{field, select};
use crate::schema::{Attribute, AttributeDefault};
use crate::value::{IntoKey, Value};

const PROJECT_SCHEMA: &str = "ProjectSchema";

impl Entity {
    /// The statuses that this project schema offers for entities of a type, such as `Task`,
    /// `AssetVersion` or `Shot`.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::Entity;
    ///
    /// let project = session.query("Project where name is test")?.one()?;
    /// let schema: Entity = project.get("project_schema")?;
    /// for status in schema.get_statuses("Task")? {
    ///     println!("{}", status.get::<String>("name")?);
    /// }
    /// let task = session.query("Task where project.name is test")?.first()?.expect("a task");
    /// task.set("status", schema.get_status("Task", "In progress")?)?;
    /// # session.rollback();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::WrongType`] if this is not a project schema.
    /// - [`ErrorKind::UnknownType`] with the nearest name if there is no such entity type.
    /// - [`ErrorKind::Validation`] if such entities have no statuses.
    /// - [`ErrorKind::NotFound`] if the project schema does not offer such entities.
    /// - Any error of a request.
    pub fn get_statuses(&self, entity_type: &str) -> Result<Vec<Entity>> {
        self.check_type(PROJECT_SCHEMA)?;
        match entity_type {
            "Task" => self.loaded("_task_workflow.statuses"),
            "AssetVersion" => self.loaded("_version_workflow.statuses"),
            _ => self.offered(entity_type, "statuses", "SchemaStatus", "task_status"),
        }
    }

    /// The statuses that this project schema offers for tasks of a type, which may have a workflow
    /// of their own; else those of [all tasks](Self::get_statuses). `task_type` is the key of a
    /// `Type`.
    ///
    /// # Errors
    ///
    /// - Any error of [`get_statuses`](Self::get_statuses).
    pub fn get_task_statuses(&self, task_type: impl IntoKey) -> Result<Vec<Entity>> {
        self.check_type(PROJECT_SCHEMA)?;
        match self.override_of(&task_type.into_key("Type").id())? {
            Some(own) => own.loaded("workflow_schema.statuses"),
            None => self.get_statuses("Task"),
        }
    }

    /// The types that this project schema offers for entities of a type, such as `Task` or
    /// `AssetBuild`.
    ///
    /// # Errors
    ///
    /// - Any error of [`get_statuses`](Self::get_statuses).
    pub fn get_types(&self, entity_type: &str) -> Result<Vec<Entity>> {
        self.check_type(PROJECT_SCHEMA)?;
        match entity_type {
            "Task" => self.loaded("_task_type_schema.types"),
            _ => self.offered(entity_type, "types", "SchemaType", "task_type"),
        }
    }

    /// The status with a name among those that this project schema
    /// [offers](Self::get_statuses) for entities of a type.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::NotFound`] if no status has this name: the message lists the names there are.
    /// - Any error of [`get_statuses`](Self::get_statuses).
    pub fn get_status(&self, entity_type: &str, name: &str) -> Result<Entity> {
        self.named(self.get_statuses(entity_type)?, entity_type, "status", name)
    }

    /// The type with a name among those that this project schema [offers](Self::get_types) for
    /// entities of a type.
    ///
    /// # Errors
    ///
    /// - Any error of [`get_status`](Self::get_status).
    pub fn get_type(&self, entity_type: &str, name: &str) -> Result<Entity> {
        self.named(self.get_types(entity_type)?, entity_type, "type", name)
    }

    fn named(
        &self,
        offered: Vec<Entity>,
        entity_type: &str,
        what: &str,
        name: &str,
    ) -> Result<Entity> {
        let mut names: Vec<String> = Vec::with_capacity(offered.len());
        for one in offered {
            let known: String = one.get("name")?;
            if known == name {
                return Ok(one);
            }
            names.push(known);
        }
        let hint = did_you_mean(name, names.iter().map(String::as_str));
        let scheme = self.session().shared.store.lock().describe(&self.key());
        let message = format!(
            "{scheme} offers no {what} {name:?} for {entity_type}; it offers: {}{hint}",
            names.join(", ")
        );
        Err(Error::new(ErrorKind::NotFound, message))
    }

    /// The collection at a path. If it is not loaded, its names are fetched with it.
    fn loaded(&self, path: &str) -> Result<Vec<Entity>> {
        match self.get_with(path, Populate::Off) {
            Err(error) if error.kind() == ErrorKind::NotLoaded => {
                self.session().populate(self, format!("{path}.name"))?;
                self.get(path)
            }
            found => found,
        }
    }

    fn override_of(&self, type_id: &str) -> Result<Option<Entity>> {
        let projections = "_overrides.type_id, _overrides.workflow_schema.statuses.name";
        self.session().populate(self, projections)?;
        for one in self.get::<Vec<Entity>>("_overrides")? {
            if one.get::<Option<String>>("type_id")?.as_deref() == Some(type_id) {
                return Ok(Some(one));
            }
        }
        Ok(None)
    }

    /// The entities that rows of type `link` refer to by `reference`.
    fn offered(
        &self,
        entity_type: &str,
        what: &str,
        link: &str,
        reference: &str,
    ) -> Result<Vec<Entity>> {
        let session = self.session();
        let object_type = session.schema().entity_type(entity_type)?;
        let object_type = object_type.attribute("object_type_id");
        let object_type = match object_type.map(Attribute::default) {
            Ok(AttributeDefault::Value(Value::Text(id))) => id,
            _ => {
                let message = format!("entities of type {entity_type} have no {what}");
                return Err(Error::new(ErrorKind::Validation, message));
            }
        };
        session.populate(self, "_schemas.type_id")?;
        for one in self.get::<Vec<Entity>>("_schemas")? {
            if one.get::<String>("type_id")? == *object_type {
                let rows = select(link)
                    .fields([format!("{reference}.name")])
                    .filter(field("schema_id").eq(one.id()));
                let rows = session.query(rows)?.all()?;
                return rows.iter().map(|row| row.get(reference)).collect();
            }
        }
        let message = format!("{self} does not offer {entity_type}, so it has no {what} for it");
        Err(Error::new(ErrorKind::NotFound, message))
    }
}
