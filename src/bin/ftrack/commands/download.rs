//! `ftrack download`: the files of components.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ftrack_api::{Entity, ErrorKind, Location};

use crate::app::App;
use crate::bar;
use crate::commands::{components, upload};
use crate::failure::{Failure, Result};
use crate::locate;

/// Download the files of a version, an asset's latest version, or a component
///
/// A download that was interrupted goes on where it ended when the command is repeated.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack download AssetVersion:21ef70b2-86d1-409c-bb87-7f41ae0b48f0 --component still --dir copies
  ftrack download AssetVersion:21ef70b2-86d1-409c-bb87-7f41ae0b48f0 --component dust --connections 2")]
pub(crate) struct Download {
    /// The version, asset or component, as TYPE:ID or ID
    entity: String,
    /// The folder; it is made if it is missing
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    dir: PathBuf,
    /// Only the components of this name; may be given several times
    #[arg(long, value_name = "NAME")]
    component: Vec<String>,
    /// The location to download from; else the first that has the files
    #[arg(long, value_name = "NAME")]
    location: Option<String>,
    /// Replace files that exist
    #[arg(long)]
    overwrite: bool,
    /// How many connections there are at once
    #[arg(long, value_name = "N")]
    connections: Option<usize>,
}

impl Download {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let session = app.session()?;
        let entity = locate::entity(&session, &self.entity)?;
        let mut found = components::of(&session, &entity)?;
        if !self.component.is_empty() {
            let mut chosen = Vec::new();
            for one in found {
                if self.component.contains(&one.get::<String>("name")?) {
                    chosen.push(one);
                }
            }
            found = chosen;
        }
        if found.is_empty() {
            return Err(Failure::not_found(format!(
                "{entity} has no such components"
            )));
        }
        self.check_paths(&found)?;
        let locations = upload::source(&session, self.location.as_deref(), &found)?;
        let mut by_location: BTreeMap<String, (Location, Vec<Entity>)> = BTreeMap::new();
        for (component, location) in found.into_iter().zip(locations) {
            let entry = by_location.entry(location.id());
            entry
                .or_insert_with(|| (location, Vec::new()))
                .1
                .push(component);
        }
        for (location, components) in by_location.into_values() {
            let (options, bar) = bar::transfer(&location.name()?, self.connections);
            let options = options.replace(self.overwrite);
            let downloaded = location.download(&components, |one| path_of(&self.dir, one), options);
            bar.finish_and_clear();
            downloaded.map_err(|error| match error.kind() {
                ErrorKind::Duplicate => {
                    Failure::from(error).with_remedy("--overwrite replaces files that exist")
                }
                _ => upload::failure(error),
            })?;
            for one in &components {
                app.print(&path_of(&self.dir, one)?.display().to_string())?;
            }
        }
        Ok(())
    }

    /// Components may have one name, and files may not.
    fn check_paths(&self, components: &[Entity]) -> Result<()> {
        let mut paths: BTreeMap<PathBuf, &Entity> = BTreeMap::new();
        for component in components {
            let path = path_of(&self.dir, component)?;
            let file = path.display().to_string();
            if let Some(other) = paths.insert(path, component) {
                return Err(Failure::invalid(format!(
                    "{other} and {component} would both become {file}"
                ))
                .with_remedy("download one of them, as FileComponent:ID"));
            }
        }
        Ok(())
    }
}

/// `plate.exr`, or `plate/0001.exr` for the members of a sequence.
fn path_of(folder: &Path, component: &Entity) -> ftrack_api::Result<PathBuf> {
    let name = safe(&component.get::<String>("name")?);
    let file_type: Option<String> = component.get("file_type")?;
    let file_type = safe(&file_type.unwrap_or_default());
    let container: Option<Entity> = component.get("container")?;
    Ok(match container {
        Some(container) => {
            let group = safe(&container.get::<String>("name")?);
            folder
                .join(&group)
                .join(format!("{group}.{name}{file_type}"))
        }
        None if component.entity_type() == "FileComponent" => {
            folder.join(format!("{name}{file_type}"))
        }
        None => folder.join(name),
    })
}

/// Names come from the server: they must not lead out of the folder.
fn safe(name: &str) -> String {
    let name = name.replace(|c: char| c.is_control() || "/\\:*?\"<>|".contains(c), "_");
    match name.trim_matches('.').is_empty() && !name.is_empty() {
        true => "_".to_owned(),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::safe;

    #[test]
    fn names_do_not_lead_out_of_the_folder() {
        for (name, expected) in [
            ("plate", "plate"),
            ("..", "_"),
            ("../../etc/passwd", ".._.._etc_passwd"),
            ("a\\b:c\n", "a_b_c_"),
            (".exr", ".exr"),
            ("", ""),
        ] {
            assert_eq!(safe(name), expected);
        }
    }
}
