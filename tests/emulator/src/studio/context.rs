//! Contexts: the tree from a project down to its tasks.

use super::{
    Studio, people, row,
    seed::{day, id},
};

/// A context that other things belong to.
pub(super) struct Context {
    pub(super) entity_type: &'static str,
    pub(super) id: String,
    pub(super) name: String,
    /// Names from the project down to this, as folders on disk are called.
    pub(super) path: String,
    pub(super) project_id: String,
}

/// A typed context to be made; what is left out is what grouping kinds have.
pub(super) struct New<'a> {
    pub(super) kind: &'static str,
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) type_name: &'a str,
    pub(super) status: &'a str,
    pub(super) priority: &'a str,
    /// First and last day.
    pub(super) days: Option<(i64, i64)>,
    /// In seconds.
    pub(super) bid: f64,
    pub(super) sort: usize,
}

impl New<'_> {
    pub(super) const GROUPING: New<'static> = New {
        kind: "Folder",
        name: "",
        description: "",
        type_name: "Generic",
        status: "Normal",
        priority: "None",
        days: None,
        bid: 0.0,
        sort: 0,
    };
}

impl Context {
    /// Emits a context below this one.
    pub(super) fn add(&self, studio: &mut Studio<'_>, new: &New<'_>) -> Self {
        let path = format!("{}/{}", self.path, new.name);
        let context = Self {
            entity_type: new.kind,
            id: id(new.kind, &path),
            name: new.name.to_owned(),
            path,
            project_id: self.project_id.clone(),
        };
        row!(studio, new.kind, id: &context.id, name: new.name, description: new.description,
            context_type: "task", parent_id: &self.id, project_id: &self.project_id,
            object_type_id: id("ObjectType", new.kind), type_id: id("Type", new.type_name),
            status_id: id("Status", new.status), priority_id: id("Priority", new.priority),
            start_date: new.days.map(|(first, _)| day(first, 9)),
            end_date: new.days.map(|(_, last)| day(last, 18)), bid: new.bid,
            sort: new.sort as f64, created_at: day(new.sort as i64 % 10 - 20, 10),
            created_by_id: id("User", "ada.lindqvist"));
        context
    }

    /// Emits a piece of metadata of this context.
    pub(super) fn note_down(&self, studio: &mut Studio<'_>, key: &str, value: &str) {
        row!(studio, "Metadata", parent_id: &self.id, parent_type: self.entity_type, key: key,
            value: value);
    }
}

/// Emits a project, with the people who have access to it.
pub(super) fn project(
    studio: &mut Studio<'_>,
    name: &str,
    full_name: &str,
    color: &str,
    schema: &str,
) -> Context {
    let project = id("Project", name);
    row!(studio, "Project", id: &project, name: name, full_name: full_name,
        context_type: "show", status: "active", is_global: false, is_private: false,
        color: color, root: name, disk_id: id("Disk", "Projects"), project_id: &project,
        project_schema_id: id("ProjectSchema", schema), start_date: day(0, 0),
        end_date: day(298, 0), created_at: day(-30, 9),
        created_by_id: id("User", "ada.lindqvist"));
    people::project_access(studio, &project);
    Context {
        entity_type: "Project",
        id: project.clone(),
        name: name.to_owned(),
        path: name.to_owned(),
        project_id: project,
    }
}
