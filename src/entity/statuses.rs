//! What the workflow of a project offers: statuses and types.

use crate::config::Populate;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;
use crate::query::{field, select};
use crate::schema::{Attribute, AttributeDefault};
use crate::value::Value;

impl Entity {
    /// The statuses that this project schema offers for entities of a type, such as `Task`,
    /// `AssetVersion` or `Shot`. With `type_id`, the key of a `Type`, those of tasks of that type,
    /// where they have a workflow of their own.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// use ftrack_api::Entity;
    ///
    /// let project = session.query("Project where name is test")?.one()?;
    /// let schema: Entity = project.get("project_schema")?;
    /// for status in schema.get_statuses("Task", None)? {
    ///     println!("{}", status.get::<String>("name")?);
    /// }
    /// let types = schema.get_types("Task")?;
    /// schema.get_statuses("Task", Some(&types[0].id()))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`] if this is no project schema; [`ErrorKind::UnknownType`] with the
    /// nearest name; [`ErrorKind::Validation`] if such entities have no statuses;
    /// [`ErrorKind::NotFound`] if this project schema does not offer such entities; and what kept
    /// the server's answer from arriving.
    pub fn get_statuses(&self, schema: &str, type_id: Option<&str>) -> Result<Vec<Entity>> {
        self.check_type("ProjectSchema")?;
        match (schema, type_id) {
            ("Task", Some(type_id)) => match self.override_of(type_id)? {
                Some(own) => own.loaded("workflow_schema.statuses"),
                None => self.loaded("_task_workflow.statuses"),
            },
            ("Task", None) => self.loaded("_task_workflow.statuses"),
            ("AssetVersion", _) => self.loaded("_version_workflow.statuses"),
            _ => self.offered(schema, "statuses", "SchemaStatus", "task_status"),
        }
    }

    /// The types that this project schema offers for entities of a type, such as `Task` or
    /// `AssetBuild`; see [`get_statuses`](Self::get_statuses).
    ///
    /// # Errors
    ///
    /// As for [`get_statuses`](Self::get_statuses).
    pub fn get_types(&self, schema: &str) -> Result<Vec<Entity>> {
        self.check_type("ProjectSchema")?;
        match schema {
            "Task" => self.loaded("_task_type_schema.types"),
            _ => self.offered(schema, "types", "SchemaType", "task_type"),
        }
    }

    /// What a path leads to: what is loaded, else with its names in one request.
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

    /// What the rows of type `link` lead to by `reference`.
    fn offered(
        &self,
        schema: &str,
        what: &str,
        link: &str,
        reference: &str,
    ) -> Result<Vec<Entity>> {
        let session = self.session();
        let entity_type = session.schema().entity_type(schema)?;
        let object_type = entity_type.attribute("object_type_id");
        let object_type = match object_type.map(Attribute::default) {
            Ok(AttributeDefault::Value(Value::Text(id))) => id,
            _ => {
                let message = format!("entities of type {schema} have no {what} to choose from");
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
        let message = format!("{self} does not offer {schema}, so that there are no {what}");
        Err(Error::new(ErrorKind::NotFound, message))
    }
}
