//! `ftrack profile`: servers, users and keys that are kept for later.

use clap::Subcommand;
use ftrack_api::{ApiKey, Session};

use crate::app::App;
use crate::failure::{Failure, Result};
use crate::output;
use crate::profiles::{Profile as Saved, Profiles, Secret};
use crate::terminal;

/// Keep servers, users and keys for later
///
/// Profiles are in a file of your configuration folder that only you can read. `ftrack --profile NAME …`
/// uses one; the default one is used where neither arguments nor the environment name a server.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack profile list

To add one, `ftrack profile add studio` asks for the server, the user and the key. The key is not
shown while it is typed, and can come from a pipe: `pass ftrack | ftrack profile add studio --server
https://studio.ftrackapp.com --user ada`.")]
pub(crate) struct Profile {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add a profile, or replace one of the same name
    Add {
        /// Its name
        #[arg(default_value = "default")]
        name: String,
        /// Save it without trying to connect
        #[arg(long)]
        no_check: bool,
    },
    /// List the profiles; the default one has a star
    List,
    /// Use a profile by default
    Use {
        /// Its name
        name: String,
    },
    /// Remove a profile with its key
    Remove {
        /// Its name
        name: String,
    },
}

impl Profile {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let path = app.profiles_path()?;
        let mut profiles = Profiles::load(&path)?;
        match self.action {
            Action::List => return list(app, &profiles),
            Action::Add { name, no_check } => {
                let profile = asked_for(app, !no_check)?;
                profiles.profiles.insert(name.clone(), profile);
                profiles.default.get_or_insert_with(|| name.clone());
                profiles.save(&path)?;
                terminal::say(&format!("saved the profile {name:?} in {}", path.display()));
            }
            Action::Use { name } => {
                profiles.get(&name)?;
                terminal::say(&format!("the default is now the profile {name:?}"));
                profiles.default = Some(name);
                profiles.save(&path)?;
            }
            Action::Remove { name } => {
                profiles.get(&name)?;
                profiles.profiles.remove(&name);
                if profiles.default.as_ref() == Some(&name) {
                    profiles.default = None;
                }
                profiles.save(&path)?;
                terminal::say(&format!("removed the profile {name:?}"));
            }
        }
        Ok(())
    }
}

fn list(app: &App, profiles: &Profiles) -> Result<()> {
    if profiles.profiles.is_empty() {
        terminal::say("there are no profiles; `ftrack profile add` makes one");
        return Ok(());
    }
    let mut table = output::table();
    for (name, profile) in &profiles.profiles {
        let star = if profiles.default.as_ref() == Some(name) {
            "*"
        } else {
            " "
        };
        let cells = [star, name, &profile.server, &profile.user].map(terminal::printable);
        table.add_row(cells);
    }
    app.print_table(&table)
}

/// Asks for what the arguments do not say, and tries to connect with it.
fn asked_for(app: &App, is_checked: bool) -> Result<Saved> {
    let given = |what: &str, value: String| match value.is_empty() {
        true => Err(Failure::usage(format!(
            "the {what} is empty; nothing was saved"
        ))),
        false => Ok(value),
    };
    let ask = |known: Option<&str>, option: &str, what: &str, question: &str| {
        let value = match known {
            Some(known) => known.to_owned(),
            None if terminal::can_ask() => terminal::ask(question)?,
            None => {
                return Err(
                    Failure::usage(format!("there is no terminal to ask for the {what}"))
                        .with_remedy(format!(
                            "give it with --{option}; the key is read from standard input"
                        )),
                );
            }
        };
        given(what, value)
    };
    let server = ask(app.server(), "server", "server URL", "Server URL: ")?;
    let user = ask(app.user(), "user", "user name", "User name: ")?;
    let key = given("API key", terminal::ask_secret("API key (not shown): ")?)?;
    let key = ApiKey::new(key);
    if is_checked {
        let builder = Session::builder().server_url(&server).api_user(&user);
        let session = builder.api_key(key.clone()).open()?;
        session.user()?;
    }
    Ok(Saved {
        server,
        user,
        api_key: Secret::new(key),
    })
}
