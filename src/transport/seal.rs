//! Keeps secrets out of `ureq`'s log: it prints the bytes of every request at trace level.
//!
//! `ureq` is given a filler of the same length for the value of each secret header. The last
//! connector of its chain, which hands bytes to the socket or to TLS, puts the real value in.

use std::fmt;
use std::sync::{Arc, Weak};

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, ShutdownHandle, Transport,
};
use url::{Url, form_urlencoded};

use super::call::Call;

/// How the key goes into the address of a file (SERVER.md F).
const KEY_PARAMETER: &str = "apiKey=";

/// Names, in lower case, and values of the headers that nobody may see.
#[derive(Clone)]
pub(super) struct Secrets(Arc<[(String, String)]>);

impl Secrets {
    pub(super) fn new(headers: &[(String, String)]) -> Self {
        Self(headers.into())
    }

    /// What `ureq` is given as the value of a header.
    pub(super) fn sealed(&self, name: &str, value: &str) -> String {
        let secret = self.0.iter().any(|(n, v)| n == name && v == value);
        if secret {
            "x".repeat(value.len())
        } else {
            value.to_owned()
        }
    }

    /// What `ureq` is given as an address: the key in it is a filler.
    pub(super) fn sealed_url(&self, url: &Url) -> String {
        match self.key_parameter() {
            Some(key) => url.as_str().replace(&key, &filled(&key)),
            None => url.as_str().to_owned(),
        }
    }

    /// `apiKey=…`, as it stands in addresses.
    fn key_parameter(&self) -> Option<String> {
        let (_, key) = self.0.iter().find(|(name, _)| name == "ftrack-api-key")?;
        let encoded: String = form_urlencoded::byte_serialize(key.as_bytes()).collect();
        Some(format!("{KEY_PARAMETER}{encoded}"))
    }

    /// The first line of a request: `GET /component/get?…&apiKey=xxx HTTP/1.1`.
    fn unseal_address(&self, line: &mut [u8]) {
        let Some(key) = self.key_parameter() else {
            return;
        };
        let filler = filled(&key);
        let found = line
            .windows(filler.len())
            .position(|part| part == filler.as_bytes());
        let Some(start) = found else {
            return;
        };
        let end = start + filler.len();
        // A longer run of the same letter is somebody else's.
        if line.get(end) != Some(&b'x') {
            line[start..end].copy_from_slice(key.as_bytes());
        }
    }

    /// Puts the real values into the head of a request, if `output` begins with one.
    fn unseal(&self, output: &mut [u8]) {
        let Some(end) = output.windows(4).position(|four| four == b"\r\n\r\n") else {
            return;
        };
        if !is_head(output) {
            return;
        }
        if let Some(length) = output.windows(2).position(|two| two == b"\r\n") {
            self.unseal_address(&mut output[..length]);
        }
        let mut from = 0;
        while let Some(length) = output[from..end + 2]
            .windows(2)
            .position(|two| two == b"\r\n")
        {
            self.unseal_line(&mut output[from..from + length]);
            from += length + 2;
        }
    }

    fn unseal_line(&self, line: &mut [u8]) {
        let Some(colon) = line.windows(2).position(|two| two == b": ") else {
            return;
        };
        let (name, value) = line.split_at_mut(colon);
        let value = &mut value[2..];
        let matches = |secret: &&(String, String)| {
            secret.0.as_bytes().eq_ignore_ascii_case(name)
                && secret.1.len() == value.len()
                && value.iter().all(|byte| *byte == b'x')
        };
        if let Some((_, secret)) = self.0.iter().find(matches) {
            value.copy_from_slice(secret.as_bytes());
        }
    }
}

/// Whether these bytes begin a request to a server; that to a proxy is a `CONNECT`.
fn is_head(output: &[u8]) -> bool {
    let methods = [b"GET ".as_slice(), b"POST ", b"PUT "];
    methods.iter().any(|method| output.starts_with(method))
}

/// `apiKey=xxx`, of the same length.
fn filled(key_parameter: &str) -> String {
    let length = key_parameter.len() - KEY_PARAMETER.len();
    format!("{KEY_PARAMETER}{}", "x".repeat(length))
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(hidden)")
    }
}

impl<In: Transport> Connector<In> for Secrets {
    type Out = Unsealed<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Unsealed {
            inner,
            secrets: self.clone(),
            socket: Call::current().and_then(|call| call.socket()),
        }))
    }
}

/// A connection that puts the secrets in on their way out, and tells its call of itself.
pub(super) struct Unsealed<In> {
    inner: In,
    secrets: Secrets,
    socket: Option<Weak<dyn ShutdownHandle>>,
}

impl<In: fmt::Debug> fmt::Debug for Unsealed<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unsealed").field(&self.inner).finish()
    }
}

impl<In: Transport> Transport for Unsealed<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = &mut self.inner.buffers().output()[..amount];
        self.secrets.unseal(output);
        if is_head(output)
            && let Some(call) = Call::current()
        {
            if let Some(socket) = &self.socket {
                call.attach(socket)?;
            }
            call.set_sent(true);
        }
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        self.inner.is_open()
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fillers_in_the_head_are_replaced() {
        let secret = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let secrets = Secrets::new(&[secret("ftrack-api-key", "s3cret"), secret("cookie", "a=b")]);
        assert_eq!(secrets.sealed("ftrack-api-key", "s3cret"), "xxxxxx");
        assert_eq!(secrets.sealed("accept", "s3cret"), "s3cret");
        for (sealed, unsealed) in [
            (
                "POST /api HTTP/1.1\r\nFtrack-Api-Key: xxxxxx\r\ncookie: xxx\r\nx: xxx\r\n\r\ncookie: xxx\r\n",
                "POST /api HTTP/1.1\r\nFtrack-Api-Key: s3cret\r\ncookie: a=b\r\nx: xxx\r\n\r\ncookie: xxx\r\n",
            ),
            (
                "GET /component/get?id=1&apiKey=xxxxxx HTTP/1.1\r\n\r\n",
                "GET /component/get?id=1&apiKey=s3cret HTTP/1.1\r\n\r\n",
            ),
            (
                "GET /component/get?apiKey=xxxxxxx HTTP/1.1\r\n\r\n",
                "GET /component/get?apiKey=xxxxxxx HTTP/1.1\r\n\r\n",
            ),
            ("cookie: xxx\r\n\r\n", "cookie: xxx\r\n\r\n"),
            (
                "POST /api HTTP/1.1\r\ncookie: xxx",
                "POST /api HTTP/1.1\r\ncookie: xxx",
            ),
            ("", ""),
        ] {
            let mut bytes = sealed.as_bytes().to_vec();
            secrets.unseal(&mut bytes);
            assert_eq!(String::from_utf8(bytes).unwrap(), unsealed);
        }
        let address = Url::parse("http://a/component/get?id=s3cret&apiKey=s3cret").unwrap();
        assert_eq!(
            secrets.sealed_url(&address),
            "http://a/component/get?id=s3cret&apiKey=xxxxxx"
        );
    }
}
