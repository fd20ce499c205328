//! Keeps secrets out of the log of `ureq`: at trace level it prints every byte that it sends.
//!
//! `ureq` is given fillers of the same length for the values of headers and for the query of the
//! address, which holds the key or a signature. The last connector of its chain, which hands bytes
//! to the socket or to TLS, puts the real ones in; [`veil`](super::veil) is for the way back.

use std::fmt;
use std::sync::Weak;

use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, NextTimeout, ShutdownHandle, Transport,
};
use url::Url;

use super::call::Call;
use super::veil::{Kept, Veil};

/// Whether `ureq` must see the value of a header: how long a message is, and what follows it.
pub(super) fn is_framing(name: &str) -> bool {
    let names = [
        "connection",
        "content-length",
        "expect",
        "transfer-encoding",
    ];
    names
        .iter()
        .any(|framing| framing.eq_ignore_ascii_case(name))
}

/// What `ureq` is not shown of a request.
pub(super) struct Secrets {
    /// Names, in lower case, and values.
    headers: Vec<(String, String)>,
    query: Option<String>,
    /// Takes the answer, where `ureq` is not shown that either.
    answer: Option<Kept>,
}

impl Secrets {
    /// Takes from a request what is not shown, and leaves fillers.
    pub(super) fn seal(
        url: &mut Url,
        headers: &mut [(String, String)],
        answer: Option<Kept>,
    ) -> Self {
        let query = url.query().map(str::to_owned);
        if let Some(query) = &query {
            url.set_query(Some(&filler(query)));
        }
        let hidden = headers.iter_mut().filter(|(name, _)| !is_framing(name));
        let hidden = hidden.map(|(name, value)| {
            let filler = filler(value);
            (name.clone(), std::mem::replace(value, filler))
        });
        Self {
            headers: hidden.collect(),
            query,
            answer,
        }
    }

    /// Puts them into the head of a request.
    fn unseal(&mut self, head: &mut [u8]) {
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
                0 => self.unseal_address(line),
                _ => self.unseal_header(line),
            }
            from += length + 2;
        }
    }

    /// The first line: `GET /component/get?xxx HTTP/1.1`.
    fn unseal_address(&self, line: &mut [u8]) {
        if let Some(query) = &self.query
            && let Some(start) = line.iter().position(|byte| *byte == b'?')
            && let Some(place) = line[start + 1..].get_mut(..query.len())
        {
            place.copy_from_slice(query.as_bytes());
        }
    }

    fn unseal_header(&mut self, line: &mut [u8]) {
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
            // Taken out: the next header of this name has another value.
            value.copy_from_slice(self.headers.remove(found).1.as_bytes());
        }
    }
}

fn filler(secret: &str) -> String {
    "x".repeat(secret.len())
}

/// Whether these bytes begin a request to a server; that to a proxy is a `CONNECT`.
fn is_head(output: &[u8]) -> bool {
    let methods = [b"GET ".as_slice(), b"POST ", b"PUT "];
    methods.iter().any(|method| output.starts_with(method))
}

/// The last of the connectors.
#[derive(Debug)]
pub(super) struct Unsealing;

impl<In: Transport> Connector<In> for Unsealing {
    type Out = Unsealed<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        Ok(chained.map(|inner| Unsealed {
            inner,
            socket: Call::current().and_then(|call| call.socket()),
            sizes: (
                details.config.input_buffer_size(),
                details.config.output_buffer_size(),
            ),
            veil: None,
        }))
    }
}

/// A connection that puts the secrets in on their way out, and tells its call of itself.
pub(super) struct Unsealed<In> {
    inner: In,
    socket: Option<Weak<dyn ShutdownHandle>>,
    /// Of the buffers for what comes in and what goes out.
    sizes: (usize, usize),
    /// Covers the answer that is coming in.
    veil: Option<Veil>,
}

impl<In: fmt::Debug> fmt::Debug for Unsealed<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unsealed").field(&self.inner).finish()
    }
}

impl<In: Transport> Transport for Unsealed<In> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        match &mut self.veil {
            Some(veil) => veil.buffers(),
            None => self.inner.buffers(),
        }
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let output = &mut self.inner.buffers().output()[..amount];
        if let Some(veil) = &mut self.veil {
            output.copy_from_slice(&veil.buffers().output()[..amount]);
        }
        if is_head(output)
            && let Some(call) = Call::current()
        {
            if let Some(socket) = &self.socket {
                call.attach(socket)?;
            }
            call.set_sent(true);
            // Those of a call are taken by its first bytes, which are the head.
            if let Some(mut secrets) = call.take_secrets() {
                secrets.unseal(output);
                self.veil = secrets.answer.map(|kept| Veil::new(kept, self.sizes));
            }
        }
        self.inner.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let progress = self.inner.await_input(timeout)?;
        if let Some(veil) = &mut self.veil {
            let buffers = self.inner.buffers();
            let count = buffers.input().len();
            veil.cover(buffers.input())?;
            buffers.input_consume(count);
        }
        Ok(progress)
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

    fn pairs(headers: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        headers.iter().map(own).collect()
    }

    #[test]
    fn fillers_in_the_head_are_replaced_and_nothing_else() {
        let mut url = Url::parse("http://a/component/get?id=1&apiKey=s3cret").unwrap();
        let given = [
            ("ftrack-api-key", "s3cret"),
            ("cookie", "a=b"),
            ("cookie", "c=d"),
            ("content-length", "xxx"),
        ];
        let mut headers = pairs(&given);
        let mut secrets = Secrets::seal(&mut url, &mut headers, None);
        assert_eq!(url.as_str(), "http://a/component/get?xxxxxxxxxxxxxxxxxx");
        let sealed = ["xxxxxx", "xxx", "xxx", "xxx"];
        assert!(headers.iter().map(|(_, value)| value).eq(sealed));
        let mut bytes = "GET /component/get?xxxxxxxxxxxxxxxxxx HTTP/1.1\r\n\
             Ftrack-Api-Key: xxxxxx\r\ncookie: xxx\r\nx: xxx\r\ncookie: xxx\r\n\
             content-length: xxx\r\n\r\ncookie: xxx\r\n"
            .to_owned()
            .into_bytes();
        secrets.unseal(&mut bytes);
        assert_eq!(
            String::from_utf8(bytes).unwrap(),
            "GET /component/get?id=1&apiKey=s3cret HTTP/1.1\r\n\
             Ftrack-Api-Key: s3cret\r\ncookie: a=b\r\nx: xxx\r\ncookie: c=d\r\n\
             content-length: xxx\r\n\r\ncookie: xxx\r\n"
        );
    }

    #[test]
    fn what_is_no_head_stays_as_it_is() {
        for text in ["", "cookie: xxx", "POST /a?xxx HTTP/1.1\r\ncookie: xxx"] {
            let mut url = Url::parse("http://a/a?b=c").unwrap();
            let mut headers = pairs(&[("cookie", "a=b")]);
            let mut secrets = Secrets::seal(&mut url, &mut headers, None);
            let mut bytes = text.as_bytes().to_vec();
            secrets.unseal(&mut bytes);
            assert_eq!(bytes, text.as_bytes());
        }
    }
}
