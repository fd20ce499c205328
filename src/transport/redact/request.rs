//! The secrets of a request.

use url::Url;

use super::response::{OriginalResponse, is_framing};

/// What `ureq` is not shown of a request.
pub(in crate::transport) struct OriginalRequest {
    /// Names in lower case, and values.
    headers: Vec<(String, String)>,
    query: Option<String>,
    response: OriginalResponse,
}

impl OriginalRequest {
    /// Takes the secrets from a request, and leaves placeholders.
    pub(super) fn replace(url: &mut Url, headers: &mut [(String, String)]) -> Self {
        let query = url.query().map(str::to_owned);
        if let Some(query) = &query {
            url.set_query(Some(&placeholder(query)));
        }
        let hidden = headers.iter_mut().filter(|(name, _)| !is_framing(name));
        let hidden = hidden.map(|(name, value)| {
            let placeholder = placeholder(value);
            (name.clone(), std::mem::replace(value, placeholder))
        });
        Self {
            headers: hidden.collect(),
            query,
            response: OriginalResponse::default(),
        }
    }

    pub(super) fn response(&self) -> OriginalResponse {
        self.response.clone()
    }

    pub(in crate::transport) fn into_response(self) -> OriginalResponse {
        self.response
    }

    /// Puts the secrets back into the head of the request.
    pub(in crate::transport) fn restore(&mut self, head: &mut [u8]) {
        let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") else {
            return;
        };
        let mut from = 0;
        while let Some(length) = head[from..end + 2]
            .windows(2)
            .position(|two| two == b"\r\n")
        {
            let line = &mut head[from..from + length];
            match from {
                0 => self.restore_query(line),
                _ => self.restore_header(line),
            }
            from += length + 2;
        }
    }

    /// In the first line: `GET /component/get?xxx HTTP/1.1`.
    fn restore_query(&self, line: &mut [u8]) {
        if let Some(query) = &self.query
            && let Some(start) = line.iter().position(|byte| *byte == b'?')
            && let Some(place) = line[start + 1..].get_mut(..query.len())
        {
            place.copy_from_slice(query.as_bytes());
        }
    }

    fn restore_header(&mut self, line: &mut [u8]) {
        let Some(colon) = line.windows(2).position(|two| two == b": ") else {
            return;
        };
        let (name, value) = line.split_at_mut(colon);
        let value = &mut value[2..];
        let found = self.headers.iter().position(|(have, secret)| {
            have.as_bytes().eq_ignore_ascii_case(name)
                && secret.len() == value.len()
                && value.iter().all(|byte| *byte == b'x')
        });
        if let Some(found) = found {
            // Removed: the next header of this name has another value.
            value.copy_from_slice(self.headers.remove(found).1.as_bytes());
        }
    }
}

fn placeholder(secret: &str) -> String {
    "x".repeat(secret.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        headers.iter().map(own).collect()
    }

    #[test]
    fn placeholders_in_the_head_are_replaced_and_nothing_else() {
        let mut url = Url::parse("http://a/component/get?id=1&apiKey=s3cret").unwrap();
        let given = [
            ("ftrack-api-key", "s3cret"),
            ("cookie", "a=b"),
            ("cookie", "c=d"),
            ("content-length", "xxx"),
        ];
        let mut headers = pairs(&given);
        let mut secrets = OriginalRequest::replace(&mut url, &mut headers);
        assert_eq!(url.as_str(), "http://a/component/get?xxxxxxxxxxxxxxxxxx");
        let redacted = ["xxxxxx", "xxx", "xxx", "xxx"];
        assert!(headers.iter().map(|(_, value)| value).eq(redacted));
        let mut bytes = "GET /component/get?xxxxxxxxxxxxxxxxxx HTTP/1.1\r\n\
             Ftrack-Api-Key: xxxxxx\r\ncookie: xxx\r\nx: xxx\r\ncookie: xxx\r\n\
             content-length: xxx\r\n\r\ncookie: xxx\r\n"
            .to_owned()
            .into_bytes();
        secrets.restore(&mut bytes);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "GET /component/get?id=1&apiKey=s3cret HTTP/1.1\r\n\
             Ftrack-Api-Key: s3cret\r\ncookie: a=b\r\nx: xxx\r\ncookie: c=d\r\n\
             content-length: xxx\r\n\r\ncookie: xxx\r\n"
        );
    }

    #[test]
    fn anything_but_a_head_is_unchanged() {
        for text in ["", "cookie: xxx", "POST /a?xxx HTTP/1.1\r\ncookie: xxx"] {
            let mut url = Url::parse("http://a/a?b=c").unwrap();
            let mut headers = pairs(&[("cookie", "a=b")]);
            let mut secrets = OriginalRequest::replace(&mut url, &mut headers);
            let mut bytes = text.as_bytes().to_vec();
            secrets.restore(&mut bytes);
            assert_eq!(bytes, text.as_bytes());
        }
    }
}
