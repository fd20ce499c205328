//! A cache of parsed attribute paths.

use hashbrown::HashTable;

use crate::schema::{Ends, NameId, Schema};

/// The most paths that are cached; one more clears the cache. Programs read few paths, unless they
/// generate them.
const MAX_PATHS: u16 = 1000;

/// The number of slots in the guess table; a power of two.
const GUESS_COUNT: usize = 512;

/// Paths of more names are not cached.
const MAX_NAMES: usize = 6;

/// Finds the names of a path by its text: programs read the same paths again and again.
pub(super) struct Paths {
    known: Vec<Steps>,
    /// By some bits of the hash, the place in `known` of the path that was read last. Mostly right,
    /// and cheaper than the index: without guesses, reading a loaded value takes 6 to 8 % longer
    /// (`value` and `texts` of `benches/paths.rs`).
    guesses: [u16; GUESS_COUNT],
    /// Places in `known` by the hash of the path.
    index: HashTable<u16>,
}

struct Steps {
    path: Box<str>,
    ends: Ends,
    count: u8,
    names: [NameId; MAX_NAMES],
}

impl Default for Paths {
    fn default() -> Self {
        Self {
            known: Vec::new(),
            guesses: [0; GUESS_COUNT],
            index: HashTable::new(),
        }
    }
}

impl Paths {
    /// The names of `path`; `None` if the schema does not have one of them, or there are too many.
    #[inline]
    pub(super) fn names(&mut self, schema: &Schema, path: &str) -> Option<&[NameId]> {
        let ends = Ends::of(path);
        let guess = usize::from(self.guesses[guess_of(ends.hash())]);
        let is_it = |steps: &Steps| steps.is(path, ends);
        let place = match self.known.get(guess).is_some_and(is_it) {
            true => guess,
            false => self.find(schema, path, ends)?,
        };
        let steps = &self.known[place];
        Some(&steps.names[..usize::from(steps.count)])
    }

    fn find(&mut self, schema: &Schema, path: &str, ends: Ends) -> Option<usize> {
        let hash = ends.hash();
        let is_it = |place: &u16| self.known[usize::from(*place)].is(path, ends);
        let place = match self.index.find(hash, is_it) {
            Some(place) => usize::from(*place),
            None => self.add(Steps::new(schema, path)?),
        };
        // At most `MAX_PATHS`.
        self.guesses[guess_of(hash)] = place as u16;
        Some(place)
    }

    #[cold]
    fn add(&mut self, steps: Steps) -> usize {
        if self.known.len() >= usize::from(MAX_PATHS) {
            self.known.clear();
            self.index.clear();
        }
        let place = self.known.len();
        let hash = steps.ends.hash();
        self.known.push(steps);
        let known = &self.known;
        let hash_of = |place: &u16| known[usize::from(*place)].ends.hash();
        // At most `MAX_PATHS`.
        self.index.insert_unique(hash, place as u16, hash_of);
        place
    }
}

/// Where the guess for a hash stands. The index uses its first and last bits.
#[inline]
fn guess_of(hash: u64) -> usize {
    (hash >> 32) as usize % GUESS_COUNT
}

impl Steps {
    #[inline]
    fn is(&self, path: &str, ends: Ends) -> bool {
        self.ends == ends && (ends.are_all() || *self.path == *path)
    }

    fn new(schema: &Schema, path: &str) -> Option<Self> {
        let mut steps = Self {
            path: path.into(),
            ends: Ends::of(path),
            count: 0,
            names: [NameId(0); MAX_NAMES],
        };
        for name in path.split('.') {
            *steps.names.get_mut(usize::from(steps.count))? = schema.name_id(name)?;
            steps.count += 1;
        }
        Some(steps)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::schema::tests::schema;

    #[test]
    fn a_path_leads_to_its_names() {
        let schema = schema();
        let mut paths = Paths::default();
        let id = |name| schema.name_id(name).unwrap();
        for _ in 0..2 {
            let found = paths.names(&schema, "status.state.short").unwrap();
            assert_eq!(found, ["status", "state", "short"].map(id));
            assert_eq!(paths.names(&schema, "name").unwrap(), [id("name")]);
            for unknown in ["", "status.", "nonsense", "status.nonsense"] {
                assert_eq!(paths.names(&schema, unknown), None, "{unknown}");
            }
            let long = ["parent"; MAX_NAMES + 1].join(".");
            assert_eq!(paths.names(&schema, &long), None);
            assert!(paths.names(&schema, &long[7..]).is_some());
        }
    }

    #[test]
    fn many_paths_are_not_all_kept() {
        let schema = schema();
        let mut paths = Paths::default();
        let names: Vec<_> = schema
            .entity_types()
            .iter()
            .flat_map(crate::schema::EntityType::attributes)
            .collect();
        for first in &names {
            for second in &names {
                let path = format!("{}.{}", first.name(), second.name());
                let expected = [first.id(), second.id()];
                assert_eq!(paths.names(&schema, &path).unwrap(), expected, "{path}");
                assert!(paths.known.len() <= usize::from(MAX_PATHS));
            }
        }
    }
}
