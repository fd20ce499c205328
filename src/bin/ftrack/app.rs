//! What all commands have in common: where they print, and how they connect.

use std::cell::RefCell;
use std::io::{self, BufWriter, Stdout, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use comfy_table::Table;
use ftrack_api::{ApiKey, Session, SessionBuilder};

use crate::arguments::Globals;
use crate::failure::{Failure, Result};
use crate::profiles::Profiles;

pub(crate) struct App {
    globals: Globals,
    out: RefCell<BufWriter<Stdout>>,
}

impl App {
    pub(crate) fn new(globals: Globals) -> Self {
        Self {
            globals,
            out: RefCell::new(BufWriter::with_capacity(64 << 10, io::stdout())),
        }
    }

    /// Where results go. `println!` would panic when the reader of a pipe has left.
    pub(crate) fn out(&self) -> std::cell::RefMut<'_, BufWriter<Stdout>> {
        self.out.borrow_mut()
    }

    /// Prints a line of results.
    pub(crate) fn print(&self, line: &str) -> Result<()> {
        Ok(writeln!(self.out(), "{line}")?)
    }

    /// Prints a table, without the spaces at the end of its lines.
    pub(crate) fn print_table(&self, table: &Table) -> Result<()> {
        let mut lines = table.lines();
        lines.try_for_each(|line| self.print(line.trim_end()))
    }

    /// The file of the profiles.
    pub(crate) fn profiles_path(&self) -> Result<PathBuf> {
        if let Some(path) = &self.globals.profiles {
            return Ok(path.clone());
        }
        let folder = dirs::config_dir().ok_or_else(|| {
            Failure::usage("this user has no configuration folder")
                .with_remedy("name a file of profiles with --profiles or FTRACK_PROFILES")
        })?;
        Ok(folder.join("ftrack").join("profiles.toml"))
    }

    /// The server that the arguments name.
    pub(crate) fn server(&self) -> Option<&str> {
        self.globals.server.as_deref()
    }

    /// The user that the arguments name.
    pub(crate) fn user(&self) -> Option<&str> {
        self.globals.user.as_deref()
    }

    /// Opens a session with a profile.
    pub(crate) fn session_of(&self, profile: &str) -> Result<Session> {
        let profile = Profiles::load(&self.profiles_path()?)?.get(profile)?;
        let builder = Session::builder()
            .server_url(profile.server)
            .api_user(profile.user);
        Ok(builder.api_key(profile.api_key.into_inner()).open()?)
    }

    /// Opens a session.
    pub(crate) fn session(&self) -> Result<Session> {
        Ok(self.builder()?.open()?)
    }

    /// A session that is not open yet, with everything that is known of the server, the user and the
    /// key. What is left out is the SDK's to report.
    pub(crate) fn builder(&self) -> Result<SessionBuilder> {
        let found = credentials(
            &self.globals,
            |name| std::env::var(name).ok().filter(|value| !value.is_empty()),
            || Profiles::load(&self.profiles_path()?),
        )?;
        let is_set = |names: &[&str]| {
            let mut values = names.iter().filter_map(std::env::var_os);
            values.any(|value| !value.is_empty())
        };
        let unset = |what: &str| {
            Failure::usage(format!("no {what} is given")).with_remedy(
                "`ftrack profile add NAME` saves the server, the user and the key; or set \
                 FTRACK_SERVER, FTRACK_API_USER and FTRACK_API_KEY",
            )
        };
        if found.server.is_none() && !is_set(&["FTRACK_SERVER"]) {
            return Err(unset("server"));
        }
        if found.key.is_none() && !is_set(&["FTRACK_API_KEY", "FTRACK_APIKEY"]) {
            return Err(unset("API key"));
        }
        let mut builder = Session::builder();
        if let Some(server) = found.server {
            builder = builder.server_url(server);
        }
        if let Some(user) = found.user {
            builder = builder.api_user(user);
        }
        if let Some(key) = found.key {
            builder = builder.api_key(key);
        }
        if let Some(seconds) = self.globals.timeout {
            builder = builder.timeout(Duration::from_secs(seconds));
        }
        Ok(builder)
    }
}

/// What is not set is left to the SDK, which reads the environment and the login.
#[derive(Default)]
struct Credentials {
    server: Option<String>,
    user: Option<String>,
    key: Option<ApiKey>,
}

/// Arguments come before the environment, and that before the profiles, unless one is asked for by
/// name. A key never goes to another server than the one it was given for.
fn credentials(
    globals: &Globals,
    variable: impl Fn(&str) -> Option<String>,
    profiles: impl FnOnce() -> Result<Profiles>,
) -> Result<Credentials> {
    let server = globals.server.clone();
    let user = globals.user.clone();
    let variable_server = variable("FTRACK_SERVER");
    let key_in_environment = variable("FTRACK_API_KEY").or_else(|| variable("FTRACK_APIKEY"));
    let (name, profile) = match &globals.profile {
        Some(name) => {
            let profile = profiles()?.get(name)?;
            if server
                .as_deref()
                .is_some_and(|server| !profile.is_for(server))
            {
                let message = format!("the profile {name:?} is for {}", profile.server);
                return Err(Failure::usage(message).with_remedy("leave out --server or --profile"));
            }
            (name.clone(), profile)
        }
        None => {
            let is_for_variables = match (&server, &variable_server) {
                (Some(server), Some(other)) => crate::profiles::same_server(server, other),
                _ => true,
            };
            if key_in_environment.is_some() && is_for_variables {
                return Ok(Credentials {
                    server,
                    user,
                    key: None,
                });
            }
            let wanted = server.as_deref().or(variable_server.as_deref());
            match profiles()?.find(wanted)? {
                Some(found) => found,
                None if key_in_environment.is_some() => {
                    let message = format!(
                        "FTRACK_API_KEY is for FTRACK_SERVER, and there is no profile for {}",
                        server.as_deref().unwrap_or_default()
                    );
                    return Err(Failure::usage(message)
                        .with_remedy("`ftrack profile add` saves the key of another server"));
                }
                None => {
                    return Ok(Credentials {
                        server,
                        user,
                        key: None,
                    });
                }
            }
        }
    };
    log::debug!("using the profile {name:?}");
    let user = user.or_else(|| match globals.profile {
        Some(_) => None,
        None => variable("FTRACK_API_USER"),
    });
    Ok(Credentials {
        server: Some(profile.server),
        user: user.or(Some(profile.user)),
        key: Some(profile.api_key.into_inner()),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const PROFILES: &str = r#"
        default = "a"
        [profiles.a]
        server = "https://a.example"
        user = "ada"
        api_key = "key-a"
        [profiles.b]
        server = "https://b.example/"
        user = "bob"
        api_key = "key-b"
    "#;

    fn find(
        arguments: (Option<&str>, Option<&str>, Option<&str>),
        variables: &[(&str, &str)],
    ) -> Result<(Option<String>, Option<String>, Option<String>)> {
        let (profile, server, user) = arguments;
        let globals = Globals {
            profile: profile.map(Into::into),
            server: server.map(Into::into),
            user: user.map(Into::into),
            ..Globals::default()
        };
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let found = credentials(&globals, variable, || Profiles::parse(PROFILES))?;
        let key = found.key.map(|key| key.reveal().to_owned());
        Ok((found.server, found.user, key))
    }

    fn all(
        server: &str,
        user: &str,
        key: &str,
    ) -> (Option<String>, Option<String>, Option<String>) {
        (Some(server.into()), Some(user.into()), Some(key.into()))
    }

    #[test]
    fn the_default_profile_serves_if_nothing_else_is_said() {
        let found = find((None, None, None), &[]).unwrap();
        assert_eq!(found, all("https://a.example", "ada", "key-a"));
    }

    #[test]
    fn the_environment_comes_before_profiles() {
        let variables = [("FTRACK_SERVER", "https://c"), ("FTRACK_API_KEY", "key-c")];
        let found = find((None, None, Some("eve")), &variables).unwrap();
        assert_eq!(found, (None, Some("eve".into()), None));
    }

    #[test]
    fn a_profile_that_is_asked_for_comes_before_the_environment() {
        let variables = [
            ("FTRACK_SERVER", "https://c"),
            ("FTRACK_API_KEY", "key-c"),
            ("FTRACK_API_USER", "eve"),
        ];
        let found = find((Some("b"), None, None), &variables).unwrap();
        assert_eq!(found, all("https://b.example/", "bob", "key-b"));
        let unknown = find((Some("c"), None, None), &variables).unwrap_err();
        assert!(unknown.to_string().contains("a, b"), "{unknown}");
    }

    #[test]
    fn a_key_goes_to_its_own_server_only() {
        let found = find((None, Some("https://b.example"), None), &[]).unwrap();
        assert_eq!(found, all("https://b.example/", "bob", "key-b"));
        let variables = [("FTRACK_SERVER", "https://c"), ("FTRACK_API_KEY", "key-c")];
        let found = find((None, Some("b.example"), None), &variables).unwrap();
        assert_eq!(found, all("https://b.example/", "bob", "key-b"));
        assert!(find((None, Some("https://d"), None), &variables).is_err());
        assert!(find((Some("a"), Some("https://d"), None), &[]).is_err());
        let found = find((None, Some("https://d"), None), &[]).unwrap();
        assert_eq!(found, (Some("https://d".into()), None, None));
    }
}
