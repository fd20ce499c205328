//! The commands, one in each file.

mod assign;
mod cache;
mod completions;
mod components;
mod create;
#[cfg(any(feature = "file-cache", feature = "redis"))]
mod dead_letters;
mod delete;
mod doctor;
mod download;
mod events;
mod export;
mod get;
mod import;
mod man;
mod note;
mod profile;
mod publish;
mod query;
#[cfg(any(feature = "file-cache", feature = "redis"))]
mod relay;
mod schema;
mod set;
mod status;
#[cfg(any(feature = "file-cache", feature = "redis"))]
mod stream_status;
mod timer;
mod tree;
mod upload;
mod watch;
mod whoami;
#[cfg(any(feature = "file-cache", feature = "redis"))]
mod work;

use clap::Subcommand;

use crate::app::App;
use crate::failure::Result;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Query(query::Query),
    Watch(watch::Watch),
    Get(get::Get),
    Set(set::Set),
    Create(create::Create),
    Delete(delete::Delete),
    Import(import::Import),
    Export(export::Export),
    Tree(tree::Tree),
    Note(note::Note),
    Assign(assign::Assign),
    Status(status::Status),
    Timer(timer::Timer),
    Publish(Box<publish::Publish>),
    Upload(upload::Upload),
    Download(download::Download),
    Components(components::Components),
    Events(events::Events),
    Schema(schema::Schema),
    Whoami(whoami::Whoami),
    Doctor(doctor::Doctor),
    Profile(profile::Profile),
    Cache(cache::Cache),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        match self {
            Self::Query(command) => command.run(app),
            Self::Watch(command) => command.run(app),
            Self::Get(command) => command.run(app),
            Self::Set(command) => command.run(app),
            Self::Create(command) => command.run(app),
            Self::Delete(command) => command.run(app),
            Self::Import(command) => command.run(app),
            Self::Export(command) => command.run(app),
            Self::Tree(command) => command.run(app),
            Self::Note(command) => command.run(app),
            Self::Assign(command) => command.run(app),
            Self::Status(command) => command.run(app),
            Self::Timer(command) => command.run(app),
            Self::Publish(command) => command.run(app),
            Self::Upload(command) => command.run(app),
            Self::Download(command) => command.run(app),
            Self::Components(command) => command.run(app),
            Self::Events(command) => command.run(app),
            Self::Schema(command) => command.run(app),
            Self::Whoami(command) => command.run(app),
            Self::Doctor(command) => command.run(app),
            Self::Profile(command) => command.run(app),
            Self::Cache(command) => command.run(app),
            Self::Completions(command) => command.run(app),
            Self::Man(command) => command.run(app),
        }
    }
}
