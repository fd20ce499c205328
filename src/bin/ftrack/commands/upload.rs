//! `ftrack upload`: files and sequences as components of a version.

use std::path::Path;

use ftrack_api::location::Target;
use ftrack_api::sequence::{Sequence, collect};
use ftrack_api::{Data, ErrorKind, Session};

use crate::app::App;
use crate::bar;
use crate::failure::{Failure, Result};
use crate::locate;
use crate::terminal;

/// Upload files and sequences as components of a version, and print their keys
///
/// A sequence is given as "plate.%04d.exr [1-100]", or by its files with --sequence. An upload that was
/// interrupted goes on where it ended when the command is repeated.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack upload still.png --to AssetVersion:21ef70b2-86d1-409c-bb87-7f41ae0b48f0
  ftrack upload \"dust.%02d.txt [1-2]\" --to AssetVersion:21ef70b2-86d1-409c-bb87-7f41ae0b48f0")]
pub(crate) struct Upload {
    /// The files, or patterns of sequences
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The version, as TYPE:ID or ID
    #[arg(long, value_name = "VERSION")]
    to: String,
    /// The component's name; else that of the file without its ending
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    sending: Sending,
}

/// Where files are sent, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Sending {
    /// The location of the files
    #[arg(long, default_value = "ftrack.server", value_name = "NAME")]
    pub(super) location: String,
    /// Numbered files are members of sequences
    #[arg(long)]
    pub(super) sequence: bool,
    /// How many connections there are at once
    #[arg(long, value_name = "N")]
    pub(super) connections: Option<usize>,
}

impl Upload {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let mut files = self.files;
        if self.sending.sequence {
            files = sequences(&files);
        }
        for file in &files {
            check_file(file)?;
        }
        if self.name.is_some() && files.len() > 1 {
            return Err(Failure::usage(
                "--name is the name of one component, and there are several files",
            ));
        }
        let session = app.session()?;
        let version = locate::entity(&session, &self.to)?;
        if version.entity_type() != "AssetVersion" {
            let failure = Failure::invalid(format!("expected an AssetVersion, got {version}"));
            return Err(failure.with_remedy("`ftrack publish` makes a new version of files"));
        }
        let location = session.location(&self.sending.location)?;
        for (index, file) in files.iter().enumerate() {
            let name = self.name.clone().unwrap_or_else(|| name_of(file));
            let (options, bar) = bar::transfer(&name, self.sending.connections);
            let mut data = Data::new();
            data.set("name", name.as_str());
            let target = Target::In(location.clone());
            let created = version.create_component_with(file, data, target, options);
            bar.finish_and_clear();
            let created = created.map_err(|error| {
                say_rest(&files[..index], &files[index..]);
                failure(error)
            })?;
            app.print(&format!("{}:{}", created.entity_type(), created.id()))?;
        }
        Ok(())
    }
}

/// A transfer that failed. Where a location cannot be used, it is not the profile that is missing.
pub(super) fn failure(error: ftrack_api::Error) -> Failure {
    match error.kind() {
        ErrorKind::Configuration => Failure::from(error).with_remedy(
            "a plugin in FTRACK_EVENT_PLUGIN_PATH can bind the location; --location names another",
        ),
        _ => error.into(),
    }
}

/// What was done before it ended, if there was more than one thing to do.
fn say_rest(done: &[String], left: &[String]) {
    if done.len() + left.len() > 1 {
        terminal::say(&format!(
            "uploaded {}; not {}",
            terminal::counted(done.len() as u64, "file"),
            left.join(", ")
        ));
    }
}

/// Numbered files as patterns of sequences, and the others as they are.
pub(super) fn sequences(files: &[String]) -> Vec<String> {
    let found = collect(files);
    let mut files: Vec<String> = found.sequences.iter().map(ToString::to_string).collect();
    files.extend(found.rest);
    files
}

pub(super) fn check_file(file: &str) -> Result<()> {
    let missing = |path: &str| {
        let failure = Failure::not_found(format!("there is no file {path}"));
        failure.with_remedy("a sequence is written as \"plate.%04d.exr [1-100]\"")
    };
    match Sequence::is_pattern(file) {
        true => {
            let sequence = Sequence::parse(file)?;
            let absent = sequence.members().find(|path| !Path::new(path).exists());
            absent.map_or(Ok(()), |path| Err(missing(&path)))
        }
        false if Path::new(file).exists() => Ok(()),
        false => Err(missing(file)),
    }
}

/// `plates/sh010.%04d.exr [1-5]` becomes `sh010`.
pub(super) fn name_of(file: &str) -> String {
    let path = match Sequence::is_pattern(file).then(|| Sequence::parse(file)) {
        Some(Ok(sequence)) => sequence.head().trim_end_matches(['.', '_', '-']).to_owned(),
        _ => {
            let stem = Path::new(file).file_stem().unwrap_or_default();
            return stem.to_string_lossy().into_owned();
        }
    };
    let name = Path::new(&path).file_name().unwrap_or_default();
    match name.to_string_lossy() {
        name if name.is_empty() => "main".to_owned(),
        name => name.into_owned(),
    }
}

/// The location that a component is taken from.
pub(crate) fn source(
    session: &Session,
    name: Option<&str>,
    components: &[ftrack_api::Entity],
) -> Result<Vec<ftrack_api::Location>> {
    if let Some(name) = name {
        let location = session.location(name)?;
        return Ok(vec![location; components.len()]);
    }
    let picked = session.pick_locations(components)?;
    let found = picked
        .into_iter()
        .zip(components)
        .map(|(location, component)| {
            location.ok_or_else(|| {
                Failure::not_found(format!(
                    "{component} is in no location that this machine can read"
                ))
            })
        });
    found.collect()
}
