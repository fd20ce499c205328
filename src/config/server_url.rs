//! The URL of a server.

use url::Url;
use uuid::Uuid;

/// Reads a server URL. A missing scheme means `https`; slashes at the end do not matter.
///
/// # Errors
///
/// - Why it cannot be used. Whatever may be a secret is left out: user, password and query.
pub(crate) fn parse_server_url(text: &str) -> Result<Url, String> {
    let trimmed = text.trim();
    let with_scheme = if trimmed.contains("://") {
        trimmed.to_owned()
    } else {
        format!("https://{trimmed}")
    };
    let refuse = |why: &str| {
        let shown = without_secrets(text);
        format!(
            "the server URL {shown:?} cannot be used: {why}. It looks like \
             https://studio.ftrackapp.com; set FTRACK_SERVER or server_url"
        )
    };
    let mut url = Url::parse(&with_scheme).map_err(|error| refuse(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(refuse("its scheme is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse(
            "it contains a user name; set api_user and api_key instead",
        ));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it has a query or a fragment"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// `https://(user)@studio.example/?(query)`.
fn without_secrets(text: &str) -> String {
    let (scheme, rest) = match text.find("://") {
        Some(end) => text.split_at(end + 3),
        None => ("", text),
    };
    // A password may hold `?`, `#` and, outside the path, `@`.
    let before = |signs: &[char]| &rest[..rest.find(signs).unwrap_or(rest.len())];
    let at = before(&['/']).rfind('@');
    let at = at.or_else(|| before(&['?', '#']).rfind('@'));
    let (user, address) = match at {
        Some(at) => ("(user)@", &rest[at + 1..]),
        None => ("", rest),
    };
    let (host, query) = match address.find(['?', '#']) {
        Some(start) => (&address[..start], "?(query)"),
        None => (address, ""),
    };
    format!("{scheme}{user}{host}{query}")
}

/// Whether the server URL and the API key took each other's place. Then neither may be shown. A URL
/// with its scheme is one, whatever the key looks like.
pub(crate) fn are_swapped(server_url: Option<&str>, key: &str) -> bool {
    let is_bare = |url: &&str| !url.contains("://");
    is_url(key)
        || server_url
            .filter(is_bare)
            .is_some_and(|url| looks_like_key(url) || (is_host(key) && !is_host(url)))
}

fn is_url(text: &str) -> bool {
    text.contains("://") || text.trim_end_matches('/').ends_with(".ftrackapp.com")
}

/// Whether this is the name of a host, as keys never are: `localhost`, or one with dots or a port.
fn is_host(text: &str) -> bool {
    let address = text.trim().split('/').next().unwrap_or_default();
    let (host, port) = match address.rsplit_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (address, None),
    };
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '[' | ']');
    !host.is_empty()
        && host.chars().all(is_name)
        && match port {
            Some(port) => port.parse::<u16>().is_ok(),
            None => host == "localhost" || host.contains('.'),
        }
}

/// Whether this has the form of the server's API keys: a UUID, or base64.
fn looks_like_key(text: &str) -> bool {
    const MIN_BYTES: usize = 32;
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '-' | '_');
    let text = text.trim();
    Uuid::try_parse(text).is_ok() || (text.len() >= MIN_BYTES && text.chars().all(is_base64))
}

/// A user name for people to read. What looks like a key may be one, if the two are swapped.
pub(crate) fn shown_user(user: &str) -> &str {
    match looks_like_key(user) {
        true => "(not shown: it looks like an API key, so user and key may be swapped)",
        false => user,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
                (Err(error), Err(part)) => assert!(error.contains(part), "{error}"),
                (Ok(found), Err(_)) => panic!("{given} was taken as {found}"),
                (Err(error), Ok(_)) => panic!("{given}: {error}"),
            }
        }
    }

    #[test]
    fn a_swapped_url_and_key_are_told_from_a_plain_host() {
        let (uuid, base64) = (
            "7545384e-a653-11e1-a82c-f23c91df25eb",
            "MDBmOTVjZDgtZGIxZS00NDI0LWI1MWYtOTQxZTNkYTY4M2Ex+/==",
        );
        for (url, key) in [
            (Some("my-key"), "ftrack.studio.lan"),
            (Some("my-key"), "ftrack.studio.lan/"),
            (Some("my-key"), "localhost:8080"),
            (Some("my-key"), "localhost"),
            (Some("my-key"), "10.0.0.7:80/sub"),
            (Some("my-key"), "[::1]:8080"),
            (Some("a/b+c=="), "studio.lan"),
            (Some(uuid), "ftrack"),
            (Some(base64), "ftrack"),
            (Some("my-key"), "https://ftrack"),
            (None, "studio.ftrackapp.com"),
        ] {
            assert!(are_swapped(url, key), "{url:?} {key:?}");
        }
        for (url, key) in [
            (Some("ftrack"), "my-key"),
            (Some("ftrack"), uuid),
            (Some("ftrack"), base64),
            (Some("localhost"), "my-key"),
            (Some("localhost"), "a.b"),
            (Some("localhost:8080"), base64),
            (Some("ftrack.studio.lan"), "a.b"),
            (Some("[::1]:5000"), "a:1"),
            // A test server, and a key that was made up for it.
            (Some("http://ftrack"), "test.key"),
            (Some("ftrack"), "a:b"),
            (None, "a.b"),
        ] {
            assert!(!are_swapped(url, key), "{url:?} {key:?}");
        }
        for user in [
            "ada",
            "ada@studio.example",
            "a.very.long.name.of.somebody.else",
        ] {
            assert_eq!(shown_user(user), user);
        }
        assert!(!shown_user(uuid).contains("7545"));
        assert!(!shown_user(base64).contains("MDB"));
    }

    #[test]
    fn errors_name_the_server_and_no_secret() {
        for (given, shown) in [
            (
                "https://ada@studio.example",
                "https://(user)@studio.example",
            ),
            (
                "https://ada:s3@cret@studio.example/x",
                "https://(user)@studio.example/x",
            ),
            ("ada:s3cret@studio.example", "(user)@studio.example"),
            (
                "https://ada:s3#cret@studio.example",
                "https://(user)@studio.example",
            ),
            (
                "https://ada:s3?cr@et@studio.example/x?s3=1",
                "https://(user)@studio.example/x?(query)",
            ),
            (
                "https://ada:s3/cret@studio.example",
                "https://(user)@studio.example",
            ),
            ("studio.example?apiKey=s3cret", "studio.example?(query)"),
            (
                "http://studio.example/#s3cret",
                "http://studio.example/?(query)",
            ),
            (
                "http://studio.example:x/?a=s3cret@b",
                "http://studio.example:x/?(query)",
            ),
        ] {
            let error = parse_server_url(given).unwrap_err();
            assert!(error.contains(&format!("{shown:?}")), "{error}");
            assert!(!error.contains("s3"), "{error}");
        }
    }
}
