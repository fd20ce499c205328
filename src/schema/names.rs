//! The attribute names of a schema, each once, looked up by text.

use hashbrown::HashTable;
use smol_str::SmolStr;

use super::NameId;

/// Every attribute name of a schema, whatever the entity type.
///
/// Names are looked up for every member of every object of a response, so they are found by their
/// [`Ends`]. Only the schema adds names, so that no other data can cause collisions.
#[derive(Default)]
pub(super) struct Names {
    texts: Vec<SmolStr>,
    ends: Vec<Ends>,
    ids: HashTable<NameId>,
}

impl Names {
    pub(super) fn find(&self, name: &str) -> Option<NameId> {
        let ends = Ends::of(name);
        let is_it = |id: &NameId| {
            let id = usize::from(id.0);
            self.ends[id] == ends && (ends.are_all() || self.texts[id] == name)
        };
        self.ids.find(ends.hash(), is_it).copied()
    }

    pub(super) fn get(&self, id: NameId) -> &SmolStr {
        &self.texts[usize::from(id.0)]
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// Adds a new name; its id is the number of names before it.
    pub(super) fn push(&mut self, name: SmolStr, id: NameId) {
        debug_assert_eq!(usize::from(id.0), self.texts.len());
        self.ends.push(Ends::of(&name));
        self.texts.push(name);
        let ends = &self.ends;
        let hash_of = |id: &NameId| ends[usize::from(id.0)].hash();
        self.ids.insert_unique(hash_of(&id), id, hash_of);
    }
}

/// The length, the beginning and the end of a text: quicker to hash and to compare than all its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ends {
    len: usize,
    first: u64,
    last: u64,
}

impl Ends {
    #[inline]
    pub(crate) fn of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let (first, last) = match bytes {
            [.., _, _, _, _, _, _, _, _] => (
                word::<8>(bytes.first_chunk()),
                word::<8>(bytes.last_chunk()),
            ),
            [.., _, _, _, _] => (
                word::<4>(bytes.first_chunk()),
                word::<4>(bytes.last_chunk()),
            ),
            [first, .., last] => (
                u64::from(*first),
                u64::from(bytes[1]) << 8 | u64::from(*last),
            ),
            [one] => (u64::from(*one), 0),
            [] => (0, 0),
        };
        let len = bytes.len();
        Self { len, first, last }
    }

    /// Whether nothing lies between the beginning and the end.
    #[inline]
    pub(crate) fn are_all(self) -> bool {
        self.len <= 16
    }

    #[inline]
    pub(crate) fn hash(self) -> u64 {
        let mixed = self.first ^ self.last.rotate_left(29) ^ (self.len as u64) << 57;
        let wide = u128::from(mixed) * 0x9e37_79b9_7f4a_7c15;
        (wide as u64) ^ ((wide >> 64) as u64)
    }
}

/// Up to eight bytes as a number.
fn word<const N: usize>(bytes: Option<&[u8; N]>) -> u64 {
    let mut word = [0; 8];
    if let Some(bytes) = bytes {
        word[..N].copy_from_slice(bytes);
    }
    u64::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        let given = [
            "",
            "a",
            "b",
            "name",
            "status_id",
            "custom_attribute_links",
            "custom_xyz_links",
            "sixteen_bytes_xy",
            "seventeen_bytes_x",
        ];
        let mut names = Names::default();
        for (id, name) in (0..).map(NameId).zip(given) {
            assert_eq!(names.find(name), None);
            names.push(name.into(), id);
        }
        for (id, name) in (0..).map(NameId).zip(given) {
            assert_eq!(names.find(name), Some(id));
            assert_eq!(names.get(id), name);
        }
        assert_eq!(names.len(), given.len());
        assert_eq!(names.find("custom_uvw_links"), None);
    }

    #[test]
    fn texts_that_differ_in_a_byte_differ_in_their_ends_unless_they_are_long() {
        for length in 0..40 {
            let text = "a".repeat(length);
            assert_eq!(Ends::of(&text).are_all(), length <= 16);
            for place in 0..length {
                let mut other = text.clone();
                other.replace_range(place..=place, "b");
                let is_seen = Ends::of(&other) != Ends::of(&text);
                let is_between = place >= 8 && place + 8 < length;
                assert_eq!(is_seen, !is_between, "{place} of {length}");
            }
            assert!(Ends::of(&text) != Ends::of(&format!("{text}a")));
        }
    }
}
