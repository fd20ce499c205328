//! What a session is opened with. The only reader of the environment.

mod network;
mod retry;

use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use regex_lite::Regex;
use ureq::http::HeaderName;
use ureq::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use url::Url;
use uuid::Uuid;

use crate::error::{Error, ErrorKind, Result};

pub use network::Network;
pub(crate) use network::{NetworkConfig, is_socks};
pub use retry::Retry;
pub(crate) use retry::retry_after;

/// The longest time that is waited; clocks cannot say what is much further away.
pub(crate) const LONGEST: Duration = Duration::from_secs(1 << 32);

/// The variables that may hold the API key; the first is the newer one.
pub(crate) const KEY_VARIABLES: [&str; 2] = ["FTRACK_API_KEY", "FTRACK_APIKEY"];

/// An API key: usable in a request, and nowhere else. It cannot be printed.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// Wraps the text of a key.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The text, to hand it to whom the key belongs to.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `text` with the key cut out, for texts that go into errors and logs.
    pub(crate) fn redact(&self, text: &str) -> String {
        text.replace(&self.0, "(api key)")
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(hidden)")
    }
}

/// Where a session keeps the schema between runs.
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
    /// It is fetched, in one request, for every entity that arrived with this one and lacks it
    /// too.
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
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) cookies: Vec<(String, String)>,
    pub(crate) strict_api: bool,
    pub(crate) offline: bool,
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
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) strict_api: bool,
    /// Whether the server is never asked.
    pub(crate) offline: bool,
    /// Tells the changes of one session from those of another.
    pub(crate) client_token: String,
}

/// How long a server may take to answer, unless told otherwise: as in the Python client.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

impl Config {
    /// The server's address without a slash at the end, as in the Python client.
    pub(crate) fn address(&self) -> &str {
        self.server_url.as_str().trim_end_matches('/')
    }

    /// Completes `settings` from `environment`, which is [`variable`] outside tests.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`], naming what is missing or cannot be used.
    pub(crate) fn resolve(
        settings: Settings,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self> {
        let server_url = settings
            .server_url
            .or_else(|| environment("FTRACK_SERVER"))
            .ok_or_else(|| missing("server URL", "server_url", "FTRACK_SERVER"))?;
        let server_url = parse_server_url(&server_url)?;
        let api_key = settings
            .api_key
            .or_else(|| KEY_VARIABLES.into_iter().find_map(environment).map(ApiKey))
            .filter(|key| !key.0.trim().is_empty())
            .ok_or_else(|| missing("API key", "api_key", "FTRACK_API_KEY"))?;
        let api_user = settings
            .api_user
            .or_else(|| environment("FTRACK_API_USER"))
            .or_else(|| login_name(environment))
            .filter(|user| !user.trim().is_empty())
            .ok_or_else(|| missing("user name", "api_user", "FTRACK_API_USER"))?;
        check_header("API key", &api_key.0)?;
        check_header("user name", &api_user)?;
        let mut headers = settings.headers;
        if !settings.cookies.is_empty() {
            let pairs = settings
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            headers.push(("cookie".to_owned(), pairs.collect::<Vec<_>>().join("; ")));
        }
        for (name, value) in &headers {
            check_name(name)?;
            check_header(name, value)?;
        }
        let schema_cache = match settings.schema_cache {
            SchemaCache::Auto => environment("FTRACK_API_SCHEMA_CACHE_PATH")
                .map_or(SchemaCache::Auto, |path| SchemaCache::Dir(path.into())),
            given => given,
        };
        Ok(Self {
            server_url,
            api_key,
            api_user,
            schema_cache,
            populate: settings.populate,
            timeout: settings.timeout.unwrap_or(DEFAULT_TIMEOUT).min(LONGEST),
            network: settings.network.resolve(environment)?,
            retry: settings.retry,
            read_only: settings.read_only,
            headers,
            strict_api: settings.strict_api,
            offline: settings.offline,
            // As the official clients make it: a name, and a UUID of this session (WIRE.md).
            client_token: format!("ftrack-api-rust--{}", Uuid::new_v4()),
        })
    }
}

/// Shorter values of headers and cookies stand in too many texts for other reasons.
const SHORTEST_SECRET: usize = 6;

impl Config {
    /// `text` with the key, and the values of added headers and cookies, cut out: for what goes
    /// into errors and logs.
    pub(crate) fn redact(&self, text: &str) -> String {
        let mut text = without_passes(&self.api_key.redact(text));
        for (name, value) in &self.headers {
            let is_cookie = name == "cookie";
            let parts = value.split(if is_cookie { "; " } else { "\0" });
            let secrets = parts.map(|part| match part.split_once('=') {
                Some((_, value)) if is_cookie => value,
                _ => part,
            });
            for secret in secrets.filter(|secret| secret.len() >= SHORTEST_SECRET) {
                text = text.replace(secret, "(secret)");
            }
        }
        text
    }
}

/// `text` without what lets in anybody who has it: signatures, tokens and keys in addresses (where
/// they are percent-encoded), and keys that a server hands out (WIRE.md, Actions: `reset_remote`).
pub(crate) fn without_passes(text: &str) -> String {
    static PASSES: OnceLock<Regex> = OnceLock::new();
    if !["ignature=", "oken=", "api_key", "apiKey="]
        .iter()
        .any(|sign| text.contains(sign))
    {
        return text.to_owned();
    }
    let passes = PASSES.get_or_init(|| {
        // Of the server's own storage, of S3's and Google's, of widgets and of file endpoints.
        let pattern = concat!(
            r#"(?<name>(?i:signature|security-token|[?&]token|apikey)=|"api_key"\s*:\s*")"#,
            r#"[^&"\s\\<]+"#
        );
        Regex::new(pattern).expect("it is a regular expression")
    });
    passes.replace_all(text, "${name}(secret)").into_owned()
}

/// An environment variable, unless it is empty or no text.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The folders that `FTRACK_EVENT_PLUGIN_PATH` names.
pub(crate) fn plugin_paths() -> Vec<PathBuf> {
    let paths = std::env::var_os("FTRACK_EVENT_PLUGIN_PATH").unwrap_or_default();
    std::env::split_paths(&paths).collect()
}

/// Who is logged in: the variables that Python's `getpass` looks at, then the system.
fn login_name(environment: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let variables = ["LOGNAME", "USER", "LNAME", "USERNAME"];
    let known = variables.into_iter().find_map(environment);
    known.or_else(|| whoami::username().ok())
}

/// Reads a server URL. A missing scheme means `https`; slashes at the end do not matter.
pub(crate) fn parse_server_url(text: &str) -> Result<Url> {
    let trimmed = text.trim();
    let with_scheme = if trimmed.contains("://") {
        trimmed.to_owned()
    } else {
        format!("https://{trimmed}")
    };
    let refuse = |why: &str| {
        // The text may hold a password, so it is shown only where it cannot.
        let shown = if text.contains('@') { "" } else { text };
        Error::new(
            ErrorKind::Configuration,
            format!(
                "the server URL {shown:?} cannot be used: {why}. It looks like \
                 https://studio.ftrackapp.com; set FTRACK_SERVER or server_url"
            ),
        )
    };
    let mut url = Url::parse(&with_scheme).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("its scheme is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "it holds a user name; give api_user and api_key instead",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has a query or a fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// # Errors
///
/// [`ErrorKind::Configuration`] for what is no name, and for what says how long a message is.
fn check_name(name: &str) -> Result<()> {
    let why = match HeaderName::from_bytes(name.as_bytes()) {
        Err(_) => "is no name of one",
        Ok(name) if name == CONTENT_LENGTH || name == TRANSFER_ENCODING => {
            "is made for each request"
        }
        Ok(_) => return Ok(()),
    };
    let message = format!("the header {name:?} cannot be added: it {why}");
    Err(Error::new(ErrorKind::Configuration, message))
}

/// Line breaks in a header would let its value add headers of its own.
fn check_header(name: &str, value: &str) -> Result<()> {
    if value
        .bytes()
        .all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte) || byte >= 0x80)
    {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Configuration,
        format!("the {name} has line breaks or control characters in it and cannot be sent"),
    ))
}

fn missing(what: &str, argument: &str, variable: &str) -> Error {
    Error::new(
        ErrorKind::Configuration,
        format!("no {what} is given: set {variable}, or call {argument}(…) on the builder"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn server_urls() {
        for (given, expected) in [
            ("https://a.ftrackapp.com", Ok("https://a.ftrackapp.com/")),
            ("https://a.ftrackapp.com///", Ok("https://a.ftrackapp.com/")),
            (" a.ftrackapp.com ", Ok("https://a.ftrackapp.com/")),
            ("localhost:8080", Ok("https://localhost:8080/")),
            (
                "http://localhost:8080/sub/",
                Ok("http://localhost:8080/sub"),
            ),
            ("http://[::1]:5000", Ok("http://[::1]:5000/")),
            ("[::1]:5000", Ok("https://[::1]:5000/")),
            ("ftp://a.b", Err("neither http nor https")),
            ("http://", Err("empty host")),
            ("http://a:b@c", Err("user name")),
            ("http://a?b=c", Err("query")),
            ("http://a:99999", Err("port")),
            ("http://[::1", Err("IPv6")),
            ("", Err("empty host")),
        ] {
            match (parse_server_url(given), expected) {
                (Ok(url), Ok(expected)) => assert_eq!(url.as_str(), expected),
                (Err(error), Err(says)) => assert!(error.to_string().contains(says), "{error}"),
                (Ok(found), Err(_)) => panic!("{given} was taken as {found}"),
                (Err(error), Ok(_)) => panic!("{given}: {error}"),
            }
        }
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
    fn keys_cannot_be_printed() {
        assert_eq!(format!("{:?}", ApiKey::new("s3")), "ApiKey(hidden)");
        assert_eq!(ApiKey::new("s3").redact("a s3 b"), "a (api key) b");
    }

    #[test]
    fn secrets_are_cut_out_of_texts() {
        let settings = Settings {
            headers: vec![("x-studio".into(), "token=abc==".into())],
            cookies: vec![
                ("a".into(), "1".into()),
                ("session".into(), "s3cr3t=".into()),
            ],
            ..Settings::default()
        };
        let config = resolve(settings, COMPLETE).unwrap();
        assert_eq!(
            config.redact("1 key, token=abc== and session=s3cr3t="),
            "1 (api key), (secret) and session=(secret)"
        );
        assert_eq!(
            config
                .redact(r#"{"url": "https://a/b?X-Amz-Signature=0f&c=d", "u": "/?signature=a/B"}"#),
            r#"{"url": "https://a/b?X-Amz-Signature=(secret)&c=d", "u": "/?signature=(secret)"}"#
        );
    }

    #[test]
    fn what_a_server_hands_out_is_kept_back() {
        for (text, shown) in [
            (
                r#"{"data": {"api_key": "n3w"}}"#,
                r#"{"data": {"api_key": "(secret)"}}"#,
            ),
            // As it begins when the connection broke.
            (r#"{"api_key":"n3"#, r#"{"api_key":"(secret)"#),
            (
                "http://a/widget?theme=dark&token=1.a",
                "http://a/widget?theme=dark&token=(secret)",
            ),
            (
                "<p>GET /component/get?id=1&apiKey=a%2Bb%3D HTTP/1.1",
                "<p>GET /component/get?id=1&apiKey=(secret) HTTP/1.1",
            ),
            (
                r#"{"broken=": "api_key_set"}"#,
                r#"{"broken=": "api_key_set"}"#,
            ),
        ] {
            assert_eq!(without_passes(text), shown);
        }
    }
}
