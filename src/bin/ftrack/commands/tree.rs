//! `ftrack tree`: what is below a project or another context.

use ftrack_api::Entity;
use ftrack_api::query::{field, select};

use crate::app::App;
use crate::failure::Result;
use crate::locate;
use crate::terminal;

/// Print the projects, or what is below one of them, with types and statuses
///
/// A level takes one request for each page of 500, and so does what is shown of all of them.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack tree
  ftrack tree test --depth 2
  ftrack tree test/ep01/sq010")]
pub(crate) struct Tree {
    /// The top, as a path, TYPE:ID or ID; all active projects without it
    entity: Option<String>,
    /// How many levels below the top are printed
    #[arg(long, default_value_t = 3, value_name = "LEVELS")]
    depth: usize,
}

impl Tree {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let Some(text) = &self.entity else {
            let projects = select("Project")
                .fields(["name", "full_name"])
                .filter(field("status").eq("active"))
                .order_by("name");
            for project in &session.query(projects)? {
                let project = project?;
                let name: String = project.get("name")?;
                let full_name: Option<String> = project.get("full_name")?;
                let full_name = full_name.filter(|full| *full != name).unwrap_or_default();
                let line = format!(
                    "{}  {}",
                    terminal::printable(&name),
                    console::style(terminal::printable(&full_name)).dim()
                );
                app.print(line.trim_end())?;
            }
            return Ok(());
        };
        let top = locate::entity(&session, text)?;
        session.populate(&top, "name")?;
        let tree = top.tree(self.depth)?;
        // Loaded as what they have in common, so that there is one request for all their types.
        let shown: Vec<String> = tree.iter().map(|(_, context)| context.id()).collect();
        let names = [
            "name",
            "object_type.name",
            "type.name",
            "status.name",
            "status.color",
        ];
        let contexts = select("TypedContext").fields(names);
        let contexts = contexts.filter(field("id").is_in(&shown));
        let _loaded = session.query(contexts)?.all()?;
        app.print(&describe(&top)?)?;
        // Whether a branch goes on below, for each level above the current one.
        let mut open: Vec<bool> = Vec::new();
        print(app, &tree, &mut open)
    }
}

fn print(app: &App, tree: &ftrack_api::studio::Tree, open: &mut Vec<bool>) -> Result<()> {
    let last = tree.children().len().saturating_sub(1);
    for (index, child) in tree.children().iter().enumerate() {
        let above: String = open
            .iter()
            .map(|goes_on| if *goes_on { "│  " } else { "   " })
            .collect();
        let branch = if index == last { "└─ " } else { "├─ " };
        let branches = console::style(format!("{above}{branch}")).dim();
        app.print(&format!("{branches}{}", describe(child.entity())?))?;
        open.push(index != last);
        print(app, child, open)?;
        open.pop();
    }
    Ok(())
}

/// The name, the type and the status.
fn describe(entity: &Entity) -> Result<String> {
    let mut line = terminal::printable(&entity.get::<String>("name")?);
    if entity.entity_type() == "Project" {
        return Ok(line);
    }
    let kind: Option<String> = entity.get("object_type.name")?;
    let type_name: Option<String> = entity.get("type.name")?;
    let kind = match (kind, type_name) {
        (Some(kind), Some(type_name)) if kind == "Task" => format!("{kind}, {type_name}"),
        (kind, _) => kind.unwrap_or_default(),
    };
    line.push_str(&format!(
        "  {}",
        console::style(terminal::printable(&kind)).dim()
    ));
    if let Some(status) = entity.get::<Option<String>>("status.name")? {
        let color: Option<String> = entity.get("status.color")?;
        let style = terminal::style_of(&color.unwrap_or_default());
        line.push_str(&format!(
            "  {}",
            style.apply_to(terminal::printable(&status))
        ));
    }
    Ok(line)
}
