//! What a plugin library was built of and with; read from its file before any of its code runs.

use std::io::{self, Read};

use memchr::memmem;

/// Six facts, each `name value`, with `;` between them; written by the build script.
const FACTS: &str = env!("FTRACK_API_IDENTITY");

/// What the search looks for. The last byte is the version of this form.
const MAGIC: [u8; 16] = *b"\x7fftrack plugin\x01\n";

const TEXT_BYTES: usize = 496;

/// The identity in a library. This form never changes.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    magic: [u8; 16],
    /// Text, padded with zeros.
    text: [u8; TEXT_BYTES],
}

impl Identity {
    /// The identity of the library or program that this is compiled into.
    pub(super) const OWN: Self = Self {
        magic: MAGIC,
        text: padded(FACTS.as_bytes()),
    };

    fn facts(&self) -> String {
        let text = String::from_utf8_lossy(&self.text);
        text.trim_end_matches('\0').to_owned()
    }

    /// Checks that the library is of the same build as this program.
    ///
    /// # Errors
    ///
    /// - The differences, if there are any.
    pub(super) fn check(&self) -> Result<(), String> {
        if self == &Self::OWN {
            return Ok(());
        }
        Err(differences(&self.facts(), FACTS))
    }
}

const fn padded(text: &[u8]) -> [u8; TEXT_BYTES] {
    assert!(text.len() < TEXT_BYTES, "the identity fits");
    let mut padded = [0; TEXT_BYTES];
    let mut at = 0;
    while at < text.len() {
        padded[at] = text[at];
        at += 1;
    }
    padded
}

fn differences(theirs: &str, ours: &str) -> String {
    let fact = |facts: &str, name: &str| {
        let mut values = facts.split(';').filter_map(|fact| fact.split_once(' '));
        let found = values.find(|(known, _)| *known == name);
        found.map_or_else(|| "unknown".to_owned(), |(_, value)| value.to_owned())
    };
    let names = ["crate", "compiler", "target", "profile", "features"];
    let mut differing: Vec<String> = names
        .iter()
        .map(|name| (name, fact(theirs, name), fact(ours, name)))
        .filter(|(_, theirs, ours)| theirs != ours)
        .map(|(name, theirs, ours)| format!("{name} {theirs:?}, and this program {ours:?}"))
        .collect();
    if differing.is_empty() {
        let (theirs, ours) = (fact(theirs, "interface"), fact(ours, "interface"));
        differing.push(format!(
            "ftrack-api's source in state {theirs}, and this program in state {ours}"
        ));
    }
    format!(
        "it was built with {}; build it again as this program was",
        differing.join("; with ")
    )
}

/// The identities in a library's file.
///
/// # Errors
///
/// - If it cannot be read.
pub(super) fn find(mut file: impl Read) -> io::Result<Vec<Identity>> {
    const READ_BYTES: usize = 1 << 20;
    const IDENTITY_BYTES: usize = MAGIC.len() + TEXT_BYTES;
    let finder = memmem::Finder::new(&MAGIC);
    let mut found = Vec::new();
    let mut window: Vec<u8> = Vec::with_capacity(READ_BYTES + IDENTITY_BYTES);
    loop {
        let read = file
            .by_ref()
            .take(READ_BYTES as u64)
            .read_to_end(&mut window)?;
        for at in finder.find_iter(&window) {
            let text = window.get(at + MAGIC.len()..at + IDENTITY_BYTES);
            let Some(text) = text.and_then(|text| text.first_chunk::<TEXT_BYTES>()) else {
                continue;
            };
            // The constant of this module, which every library contains, is followed by something else.
            if text.starts_with(b"crate ") {
                let (magic, text) = (MAGIC, *text);
                found.push(Identity { magic, text });
            }
        }
        if read == 0 {
            return Ok(found);
        }
        // An identity that begins at the end of this piece continues in the next one. One that was
        // found is not found again.
        let keep = window.len().min(IDENTITY_BYTES - 1);
        window.drain(..window.len() - keep);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn bytes() -> Vec<u8> {
        let Identity { magic, text } = Identity::OWN;
        [&magic[..], &text[..]].concat()
    }

    #[test]
    fn is_found_wherever_it_stands() {
        for before in [
            0,
            7,
            (1 << 20) - 600,
            (1 << 20) - 511,
            (1 << 20) - 3,
            1 << 20,
            3 << 20,
        ] {
            let mut file = vec![b'\x7f'; before];
            file.extend(bytes());
            file.extend([0; 100]);
            let found = find(file.as_slice()).unwrap();
            assert_eq!(found.len(), 1, "{before}");
            assert_eq!(found[0].check(), Ok(()));
        }
    }

    #[test]
    fn other_files_have_none() {
        for file in [
            &b""[..],
            b"text",
            &MAGIC,
            &[MAGIC.as_slice(), b"crate 1"].concat(),
        ] {
            assert!(find(file).unwrap().is_empty());
        }
    }

    #[test]
    fn a_mismatch_names_both_sides() {
        let facts = FACTS.replace("compiler rustc 1.", "compiler rustc 2.");
        let text = padded(facts.as_bytes());
        let error = Identity { magic: MAGIC, text }.check().unwrap_err();
        let ours = FACTS.split(';').nth(1).unwrap();
        assert!(
            error.contains("rustc 2.") && error.contains(&ours["compiler ".len()..]),
            "{error}"
        );
        assert!(!error.contains("target"), "{error}");
        let error = differences("crate 0;interface 1", "crate 0;interface 2");
        assert!(
            error.contains("state 1") && error.contains("state 2"),
            "{error}"
        );
        assert!(differences("", FACTS).contains("unknown"));
    }
}
