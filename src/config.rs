//! Settings of sessions: connections, retries, the schema cache. Only this module reads the environment.

mod direct;
mod headers;
mod network;
mod problems;
mod proxy;
mod redact;
mod retry;
mod server_url;

use std::path::PathBuf;
use std::time::Duration;

use url::Url;
use uuid::Uuid;

use crate::error::Result;

pub(crate) use headers::{check_headers, check_value, cookie_header};
pub use network::Network;
pub(crate) use network::NetworkConfig;
pub(crate) use problems::Problems;
pub(crate) use proxy::is_socks;
pub use redact::ApiKey;
pub(crate) use redact::Redactor;
pub use retry::Retry;
pub(crate) use retry::retry_after;
pub(crate) use server_url::{are_swapped, parse_server_url, shown_user};

/// The longest wait; clocks cannot express times that are much further away.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(1 << 32);

/// The variables that may hold the API key; the first is the newer one.
pub(crate) const KEY_VARIABLES: [&str; 2] = ["FTRACK_API_KEY", "FTRACK_APIKEY"];

/// How long a server may take to respond, unless set: as in the Python client.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// Where a session caches the schema between runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaCache {
    /// In the folder that `FTRACK_API_SCHEMA_CACHE_PATH` names, else in a folder inside the
    /// system's temporary one that only this user can write.
    #[default]
    Auto,
    /// In this folder, as `ftrack_api_schema_cache.json`: the Python client's name and format.
    Dir(PathBuf),
    /// Nowhere: each session fetches the schema.
    Off,
}

/// What happens when an attribute is read that is not loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Populate {
    /// It is fetched, in one request, for every entity that was loaded together with this one and
    /// lacks it too.
    #[default]
    Peers,
    /// It is fetched for this entity only.
    One,
    /// Reading is an error that names the attribute.
    Raise,
    /// It reads as not set.
    Off,
}

/// Everything that a builder collected.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) server_url: Option<String>,
    pub(crate) api_key: Option<ApiKey>,
    pub(crate) api_user: Option<String>,
    pub(crate) schema_cache: SchemaCache,
    pub(crate) populate: Populate,
    pub(crate) timeout: Option<Duration>,
    pub(crate) network: Network,
    pub(crate) retry: Retry,
    pub(crate) read_only: bool,
    /// The connections of a transfer; 0 if it was not set.
    pub(crate) transfer_connections: usize,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) cookies: Vec<(String, String)>,
    pub(crate) strict_api: bool,
    pub(crate) offline: bool,
    /// Problems that setters noticed.
    pub(crate) problems: Problems,
}

impl Settings {
    /// The API key that is set, if it is one.
    pub(crate) fn server_url(
        &self,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Option<String> {
        self.server_url
            .clone()
            .or_else(|| environment("FTRACK_SERVER"))
    }

    pub(crate) fn api_key(&self, environment: &dyn Fn(&str) -> Option<String>) -> Option<ApiKey> {
        let set = self.api_key.clone();
        set.or_else(|| {
            KEY_VARIABLES
                .into_iter()
                .find_map(environment)
                .map(ApiKey::new)
        })
        // A key that was copied may have white space around it.
        .map(|key| ApiKey::new(key.reveal().trim()))
        .filter(|key| !key.reveal().is_empty())
    }
}

/// Settings that are complete and were checked. Not `Debug`: headers and cookies hold secrets.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) server_url: Url,
    pub(crate) api_key: ApiKey,
    pub(crate) api_user: String,
    pub(crate) schema_cache: SchemaCache,
    pub(crate) populate: Populate,
    pub(crate) timeout: Duration,
    pub(crate) network: NetworkConfig,
    pub(crate) retry: Retry,
    pub(crate) read_only: bool,
    pub(crate) transfer_connections: usize,
    /// Those that were added, cookies included.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) strict_api: bool,
    /// Whether no requests are sent.
    pub(crate) offline: bool,
    /// Distinguishes the changes of one session from those of another.
    pub(crate) client_token: String,
    redactor: Redactor,
}

impl Config {
    /// The server's URL without a slash at the end, as in the Python client.
    pub(crate) fn base_url(&self) -> &str {
        self.server_url.as_str().trim_end_matches('/')
    }

    /// Removes the secrets of this session from texts.
    pub(crate) fn redactor(&self) -> &Redactor {
        &self.redactor
    }

    /// Completes `settings` from `environment`, which is [`variable`] outside tests.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Configuration`](crate::ErrorKind::Configuration): the message names
    ///   everything that is missing or cannot be used.
    pub(crate) fn resolve(
        settings: Settings,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let api_key = settings.api_key(environment);
        let server_url = settings.server_url(environment);
        let mut problems = settings.problems;
        let api_user = settings
            .api_user
            .or_else(|| environment("FTRACK_API_USER"))
            .or_else(|| login_name(environment))
            .map(|user| user.trim().to_owned())
            .filter(|user| !user.is_empty());
        let server_url = match (server_url, &api_key) {
            (url, Some(key)) if problems.note_swapped(url.as_deref(), key) => None,
            (Some(url), _) => problems.note(parse_server_url(&url)),
            (None, _) => problems.note(Err(missing("server URL", "server_url", "FTRACK_SERVER"))),
        };
        match &api_key {
            Some(key) => problems.note(check_value("API key", key.reveal())),
            None => problems.note(Err(missing("API key", "api_key", "FTRACK_API_KEY"))),
        };
        match &api_user {
            Some(user) => problems.note(check_value("user name", user)),
            None => problems.note(Err(missing("user name", "api_user", "FTRACK_API_USER"))),
        };
        let mut headers = settings.headers;
        headers.extend(cookie_header(&settings.cookies));
        check_headers(&headers, &mut problems);
        let client_token = take_client_token(&mut headers);
        let network = settings.network.resolve(environment, &mut problems);
        let api_key = api_key.unwrap_or_else(|| ApiKey::new(""));
        let redactor = Redactor::new(&api_key, &headers);
        problems.check(|text| redactor.redact(text))?;
        Ok(Self {
            server_url: server_url.expect("a missing one is a problem"),
            api_key,
            api_user: api_user.expect("a missing one is a problem"),
            schema_cache: match settings.schema_cache {
                SchemaCache::Auto => environment("FTRACK_API_SCHEMA_CACHE_PATH")
                    .map_or(SchemaCache::Auto, |path| SchemaCache::Dir(path.into())),
                set => set,
            },
            populate: settings.populate,
            timeout: settings.timeout.unwrap_or(DEFAULT_TIMEOUT).min(MAX_WAIT),
            network,
            retry: settings.retry,
            read_only: settings.read_only,
            transfer_connections: settings.transfer_connections.max(1),
            headers,
            strict_api: settings.strict_api,
            offline: settings.offline,
            // As the official clients make it: a name, and a UUID of this session.
            client_token: client_token
                .unwrap_or_else(|| format!("ftrack-api-rust--{}", Uuid::new_v4())),
            redactor,
        })
    }
}

/// A client token that was given as a header takes the place of ours: twice in a request it would be
/// read by some servers only.
fn take_client_token(headers: &mut Vec<(String, String)>) -> Option<String> {
    let is_token = |name: &str| name.eq_ignore_ascii_case("ftrack-clienttoken");
    let given = headers.iter().rposition(|(name, _)| is_token(name))?;
    let (_, token) = headers.swap_remove(given);
    headers.retain(|(name, _)| !is_token(name));
    Some(token)
}

/// An environment variable, unless it is empty or not UTF-8.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The folders that `FTRACK_EVENT_PLUGIN_PATH` names.
pub(crate) fn plugin_paths() -> Vec<PathBuf> {
    let paths = std::env::var_os("FTRACK_EVENT_PLUGIN_PATH").unwrap_or_default();
    std::env::split_paths(&paths).collect()
}

/// Who is logged in: the variables that Python's `getpass` reads, then the system.
fn login_name(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let variables = ["LOGNAME", "USER", "LNAME", "USERNAME"];
    let known = variables.into_iter().find_map(environment);
    known.or_else(|| whoami::username().ok())
}

fn missing(what: &str, argument: &str, variable: &str) -> String {
    format!("no {what} is set: set {variable}, or call {argument}(…) on the builder")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn resolve(settings: Settings, variables: &[(&str, &str)]) -> Result<Config> {
        Config::resolve(settings, &|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    const COMPLETE: &[(&str, &str)] = &[
        ("FTRACK_SERVER", "https://a.ftrackapp.com/"),
        ("FTRACK_API_KEY", "key"),
        ("FTRACK_API_USER", "ada"),
        ("LOGNAME", "login"),
    ];

    #[test]
    fn arguments_come_before_the_environment() {
        let settings = Settings {
            api_user: Some("bob".into()),
            ..Settings::default()
        };
        let config = resolve(settings, COMPLETE).unwrap();
        assert_eq!(config.api_user, "bob");
        assert_eq!(config.server_url.as_str(), "https://a.ftrackapp.com/");
    }

    #[test]
    fn old_key_variable_and_login_name() {
        let variables = [
            ("FTRACK_SERVER", "a"),
            ("FTRACK_APIKEY", "old"),
            ("USER", "login"),
        ];
        let config = resolve(Settings::default(), &variables).unwrap();
        assert_eq!(
            (config.api_key.reveal(), config.api_user.as_str()),
            ("old", "login")
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for missing in ["FTRACK_SERVER", "FTRACK_API_KEY"] {
            let rest = COMPLETE.iter().filter(|(name, _)| *name != missing);
            let rest: Vec<_> = rest.copied().collect();
            let error = resolve(Settings::default(), &rest).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(missing), "{error}");
        }
    }

    #[test]
    fn a_client_token_that_is_given_as_a_header_is_the_only_one() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let settings = Settings {
            headers: vec![
                header("ftrack-Clienttoken", "first"),
                header("x-studio", "yes"),
                header("FTRACK-CLIENTTOKEN", "mine--1"),
            ],
            ..Settings::default()
        };
        let config = resolve(settings, COMPLETE).unwrap();
        assert_eq!(config.client_token, "mine--1");
        assert_eq!(config.headers, [header("x-studio", "yes")]);
    }

    #[test]
    fn headers_cannot_be_smuggled() {
        let settings = Settings {
            headers: vec![("x-studio".into(), "a\r\nftrack-user: root".into())],
            ..Settings::default()
        };
        let error = resolve(settings, COMPLETE).err().unwrap();
        assert!(error.to_string().contains("x-studio"), "{error}");
    }

    #[test]
    fn headers_that_cannot_be_sent_are_named() {
        for name in [
            "",
            "x studio",
            "größe",
            "content-length",
            "transfer-encoding",
        ] {
            let settings = Settings {
                headers: vec![(name.into(), "1".into())],
                ..Settings::default()
            };
            let error = resolve(settings, COMPLETE).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }

    #[test]
    fn all_problems_are_reported_at_once_and_without_secrets() {
        let settings = Settings {
            server_url: Some("https://ada:s3cret-key@studio.example/s3cret-key".into()),
            api_key: Some(ApiKey::new("s3cret-key")),
            headers: vec![("x y".into(), "1".into()), ("z".into(), "\n".into())],
            cookies: vec![("a".into(), "c00kie-value\r".into())],
            network: Network::new().proxy("ftp://me:s3cret-key@proxy"),
            ..Settings::default()
        };
        let error = resolve(settings, &[("LOGNAME", " \t ")]).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Configuration);
        let text = format!("{error}\n{error:?}\n{error:#?}");
        for part in [
            "6 settings",
            "https://(user)@studio.example",
            "user name",
            "\"x y\"",
            "\"z\"",
            "\"cookie\"",
            "the proxy",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            !text.contains("s3cret") && !text.contains("c00kie"),
            "{text}"
        );
    }

    #[test]
    fn swapped_url_and_key_are_recognised_and_not_shown() {
        for url in [
            "https://studio.example",
            "studio.ftrackapp.com/",
            "ftrack.studio.lan",
            "localhost:8080",
        ] {
            let settings = Settings {
                server_url: Some("s3cret-key".into()),
                api_key: Some(ApiKey::new(url)),
                api_user: Some("ada".into()),
                ..Settings::default()
            };
            let error = resolve(settings, &[]).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Configuration);
            let text = format!("{error:#?}");
            assert!(
                text.contains("swapped") && !text.contains("s3cret"),
                "{text}"
            );
        }
    }

    #[test]
    fn user_names_are_trimmed() {
        let settings = Settings {
            api_user: Some(" ada\t".into()),
            ..Settings::default()
        };
        assert_eq!(resolve(settings, COMPLETE).unwrap().api_user, "ada");
    }
}
