//! The attribute names of a schema, each once, looked up by text.

use hashbrown::HashTable;
use smol_str::SmolStr;

use super::NameId;

/// Every attribute name of a schema, whatever the entity type.
///
/// Names are looked up for every member of every object of a response and for every read of an
/// attribute, so the hash reads three words of a name rather than all bytes. Names that agree in
/// those are compared. Only the schema adds names, so that no other data can cause collisions.
#[derive(Default)]
pub(super) struct Names {
    texts: Vec<SmolStr>,
    ids: HashTable<NameId>,
}

impl Names {
    pub(super) fn find(&self, name: &str) -> Option<NameId> {
        let is_it = |id: &NameId| self.texts[usize::from(id.0)] == name;
        self.ids.find(quick_hash(name), is_it).copied()
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
        let code = quick_hash(&name);
        self.texts.push(name);
        let texts = &self.texts;
        let hash_of = |id: &NameId| quick_hash(&texts[usize::from(id.0)]);
        self.ids.insert_unique(code, id, hash_of);
    }
}

/// Mixes the length, the beginning and the end.
pub(crate) fn quick_hash(name: &str) -> u64 {
    let bytes = name.as_bytes();
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
    let mixed = first ^ last.rotate_left(29) ^ (bytes.len() as u64) << 57;
    let wide = u128::from(mixed) * 0x9e37_79b9_7f4a_7c15;
    (wide as u64) ^ ((wide >> 64) as u64)
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
}
