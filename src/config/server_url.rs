//! The URL of a server.

use url::Url;

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

/// Whether this is a URL of a server rather than a key.
pub(crate) fn looks_like_url(text: &str) -> bool {
    text.contains("://") || text.trim_end_matches('/').ends_with(".ftrackapp.com")
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
