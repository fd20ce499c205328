//! `ftrack publish`: a version with its files and everything that belongs to it.

use console::style;
use ftrack_api::studio::{Publish as Request, PublishFile, PublishPlan, Published};
use ftrack_api::uuid::Uuid;
use ftrack_api::{Entity, Session};

use crate::app::App;
use crate::bar;
use crate::change::Consent;
use crate::commands::upload::{self, Sending};
use crate::failure::{Code, Failure, Result};
use crate::locate;
use crate::terminal;

/// Publish files as a new version of an asset, and print the key of the version
///
/// A sequence is given as "plate.%04d.exr [1-100]", or by its files with --sequence. A publish that was
/// interrupted goes on where it ended when the command is repeated with the same --key, on any machine:
/// there is never a second version.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack publish still.png --to test/ep01/sq010/sh0010 --asset plate --dry-run
  ftrack publish \"dust.%02d.txt [1-2]\" --to test/ep01/sq010/sh0010 --key \"farm job 4711\" --yes
  ftrack publish main=still.png --to test/ep01 --thumbnail still.png --comment Regraded. --yes")]
pub(crate) struct Publish {
    /// The files, or patterns of sequences; NAME=FILE names the component
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
    /// The shot, asset build or task, as a path, TYPE:ID or ID
    #[arg(long, value_name = "PLACE")]
    to: String,
    /// The asset, which is created if there is none; else it has the name of the first file
    #[arg(long, value_name = "NAME")]
    asset: Option<String>,
    /// The type of the asset
    #[arg(long = "type", value_name = "NAME")]
    asset_type: Option<String>,
    /// The task that the version was made in, if --to is none
    #[arg(long)]
    task: Option<String>,
    /// A key, such as the id of a farm job: what is published under one key is one version
    #[arg(long)]
    key: Option<String>,
    /// The image that is uploaded as the thumbnail
    #[arg(long, value_name = "FILE")]
    thumbnail: Option<String>,
    /// The movie or image that the server encodes for the web player
    #[arg(long, value_name = "FILE")]
    review: Option<String>,
    /// The name of the version's status
    #[arg(long, value_name = "NAME")]
    status: Option<String>,
    /// The comment of the version
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// A note on the version
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// A user to notify of the note; may be given several times
    #[arg(long, value_name = "USER", requires = "note")]
    recipient: Vec<String>,
    /// A version that this one was made of, as TYPE:ID or ID; may be given several times
    #[arg(long, value_name = "VERSION")]
    uses: Vec<String>,
    #[command(flatten)]
    sending: Sending,
    #[command(flatten)]
    consent: Consent,
}

impl Publish {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        // What is wrong with the files is said before a server is asked.
        let files = self.components()?;
        for file in self.thumbnail.iter().chain(&self.review) {
            upload::check_file(file)?;
        }
        let session = app.session()?;
        let place = locate::entity(&session, &self.to)?;
        let first = files.first().map_or("", |(name, _)| name);
        let asset = self.asset.clone().unwrap_or_else(|| first.to_owned());
        // Even without one of the user's, so that it can go on after an interruption.
        let key = self.key.clone();
        let key = key.unwrap_or_else(|| Uuid::new_v4().to_string());
        let (options, bar) = bar::transfer(&asset, self.sending.connections);
        let request = self.request(&session, &place, &asset, &files)?;
        let request = request.key(&key).transfer(options);
        let plan = session.plan_publish(&request)?;
        let is_done = plan.steps().iter().all(|step| step.is_done);
        if self.consent.dry_run {
            return app.print(show(&plan).trim_end());
        }
        if is_done {
            terminal::say("everything was published before");
        } else {
            terminal::say_plan(&show(&plan));
            if !self.consent.yes {
                terminal::confirm("Publish this?")?;
            }
        }
        let published = plan.run();
        bar.finish_and_clear();
        let published = match published {
            Ok(published) => published,
            Err(error) => {
                let failure = Failure::from(error);
                self.say_how_to_go_on(&failure, &key);
                return Err(failure);
            }
        };
        say_published(&published, &asset)?;
        app.print(&format!("AssetVersion:{}", published.version.id()))
    }

    /// The components, by name.
    fn components(&self) -> Result<Vec<(String, String)>> {
        let given = self.files.iter().map(|text| match text.split_once('=') {
            Some((name, file)) if is_name(name) && !std::path::Path::new(text).exists() => {
                (Some(name.to_owned()), file.to_owned())
            }
            _ => (None, text.clone()),
        });
        let mut given: Vec<(Option<String>, String)> = given.collect();
        if self.sending.sequence {
            let (named, plain): (Vec<_>, Vec<_>) =
                given.into_iter().partition(|(name, _)| name.is_some());
            let plain: Vec<String> = plain.into_iter().map(|(_, file)| file).collect();
            let sequences = upload::sequences(&plain).into_iter();
            given = sequences.map(|file| (None, file)).chain(named).collect();
        }
        let named = given
            .into_iter()
            .map(|(name, file)| (name.unwrap_or_else(|| upload::name_of(&file)), file));
        let all: Vec<(String, String)> = named.collect();
        for (index, (name, file)) in all.iter().enumerate() {
            upload::check_file(file)?;
            if all[..index].iter().any(|(other, _)| other == name) {
                let failure = Failure::usage(format!("two files are called {name:?}"));
                return Err(failure.with_remedy("name them apart, such as left=a/plate.exr"));
            }
        }
        Ok(all)
    }

    fn request(
        &self,
        session: &Session,
        place: &Entity,
        asset: &str,
        files: &[(String, String)],
    ) -> Result<Request> {
        let task = match &self.task {
            Some(text) => Some(locate::entity(session, text)?),
            None if place.entity_type() == "Task" => Some(place.clone()),
            None => None,
        };
        // Tasks have no assets: those of a shot's task are the shot's.
        let parent = match place.entity_type() {
            "Task" => place.get::<Entity>("parent")?,
            _ => place.clone(),
        };
        let mut request =
            Request::new(&parent, asset).location(session.location(&self.sending.location)?);
        if let Some(name) = &self.asset_type {
            request = request.asset_type(name);
        }
        if let Some(task) = &task {
            request = request.task(task);
        }
        for (name, file) in files {
            request = request.component(PublishFile::new(name, file));
        }
        if let Some(file) = &self.thumbnail {
            request = request.thumbnail(file);
        }
        if let Some(file) = &self.review {
            request = request.review(file);
        }
        if let Some(name) = &self.status {
            request = request.status(name);
        }
        if let Some(text) = &self.comment {
            request = request.comment(text);
        }
        if let Some(text) = &self.note {
            let users = self
                .recipient
                .iter()
                .map(|name| locate::user(session, name));
            request = request.note(text, &users.collect::<Result<Vec<_>>>()?);
        }
        let uses = self.uses.iter().map(|text| locate::entity(session, text));
        Ok(request.uses(&uses.collect::<Result<Vec<_>>>()?))
    }

    /// What can be done about a publish that ended early. Nothing was done of one that was refused.
    fn say_how_to_go_on(&self, failure: &Failure, key: &str) {
        let is_early = matches!(
            failure.code(),
            Code::Cancelled | Code::Unreachable | Code::Server | Code::File | Code::Failed
        );
        if !is_early {
            return;
        }
        terminal::say(&match self.key {
            Some(_) => "the same command goes on where this one has ended".to_owned(),
            None => format!("the same command with --key {key} goes on where this one has ended"),
        });
    }
}

/// Whether this can be the name of a component, and not the beginning of a path.
fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(['/', '\\', '%', '.'])
}

/// A line for each step.
fn show(plan: &PublishPlan<'_>) -> String {
    let steps = plan.steps().into_iter().map(|step| {
        let text = terminal::printable(&step.to_string());
        match step.is_done {
            true => format!("{}\n", style(text).dim()),
            false => format!("{text}\n"),
        }
    });
    steps.collect()
}

fn say_published(published: &Published, asset: &str) -> Result<()> {
    let version: i64 = published.version.get("version")?;
    let files = match published.components.len() {
        1 => "1 component".to_owned(),
        count => format!("{count} components"),
    };
    let encoding = match published.job {
        Some(_) => ", and the review is being encoded",
        None => "",
    };
    terminal::say(&format!("{asset} v{version:03} has {files}{encoding}"));
    Ok(())
}
