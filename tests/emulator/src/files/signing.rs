//! URLs that stand for a permission: signed, and valid for a while.

use std::time::{Duration, SystemTime};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::Uuid;

const SIGNATURE: &str = "&signature=";

/// Signs URLs and recognises its own.
pub(super) struct Signer {
    key: [u8; 32],
}

impl Signer {
    /// A signer of its own; what others have signed is nothing to it.
    pub(super) fn random() -> Self {
        let mut key = [0; 32];
        key[..16].copy_from_slice(Uuid::new_v4().as_bytes());
        key[16..].copy_from_slice(Uuid::new_v4().as_bytes());
        Self { key }
    }

    /// `path?query&expires=…&signature=…`, allowing `method` for `lifetime` from `now` on.
    ///
    /// Path and query must not need escaping: what is signed is the text as it is sent.
    pub(super) fn sign(
        &self,
        method: &str,
        path: &str,
        query: &str,
        now: SystemTime,
        lifetime: Duration,
    ) -> String {
        let expires = seconds(now) + lifetime.as_secs();
        let query = format!("{query}&expires={expires}");
        let query = query.trim_start_matches('&');
        let mac = self.mac(method, path, query).finalize().into_bytes();
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{path}?{query}{SIGNATURE}{hex}")
    }

    /// Whether this signer signed exactly this, and it is still valid.
    ///
    /// # Errors
    ///
    /// A sentence for the client.
    pub(super) fn verify(
        &self,
        method: &str,
        path: &str,
        query: &str,
        now: SystemTime,
    ) -> Result<(), &'static str> {
        const FORGED: &str = "The signature of this URL is missing or wrong.";
        let (signed, signature) = query.rsplit_once(SIGNATURE).ok_or(FORGED)?;
        let signature = unhex(signature).ok_or(FORGED)?;
        // Compares in constant time.
        let mac = self.mac(method, path, signed);
        mac.verify_slice(&signature).map_err(|_| FORGED)?;
        let expires = parameter(signed, "expires").and_then(|text| text.parse::<u64>().ok());
        if seconds(now) > expires.ok_or(FORGED)? {
            return Err("This URL has expired, ask for a new one.");
        }
        Ok(())
    }

    fn mac(&self, method: &str, path: &str, query: &str) -> Hmac<Sha256> {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.key).expect("any length of key will do for HMAC");
        // No method or path holds a line end, so that no two requests look alike.
        mac.update(format!("{method}\n{path}\n{query}").as_bytes());
        mac
    }
}

/// The value of a parameter in a query that needs no unescaping.
pub(super) fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !digits || text.len() != 64 {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_signed_is_valid_and_only_for_a_while() {
        let (signer, now) = (Signer::random(), SystemTime::now());
        let minute = Duration::from_secs(60);
        let url = signer.sign("PUT", "/a/b", "part=1", now, minute);
        let (path, query) = url.split_once('?').unwrap();
        assert_eq!(signer.verify("PUT", path, query, now), Ok(()));
        assert_eq!(signer.verify("PUT", path, query, now + minute), Ok(()));
        let late = now + minute + Duration::from_secs(2);
        assert!(signer.verify("PUT", path, query, late).is_err());

        let extended = query.replace("expires=", "expires=9");
        let other = query.replace("part=1", "part=2");
        let cut = &query[..query.len() - 2];
        let again = format!("{query}&signature={}", "0".repeat(64));
        for forged in [
            &extended,
            &other,
            cut,
            &again,
            "",
            "signature=",
            "&signature=é",
        ] {
            assert!(signer.verify("PUT", path, forged, now).is_err(), "{forged}");
        }
        assert!(signer.verify("GET", path, query, now).is_err());
        assert!(signer.verify("PUT", "/a/c", query, now).is_err());
        assert!(Signer::random().verify("PUT", path, query, now).is_err());

        let bare = signer.sign("GET", "/a", "", now, minute);
        assert!(bare.starts_with("/a?expires="));
    }
}
