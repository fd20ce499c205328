//! The positions of attributes in a type's list, by name.

use super::NameId;

/// The index of each attribute by its name.
///
/// It is used for every value that is read, so it is a table over all names. A type with few attributes
/// in a schema of many names uses a binary search instead, so that memory is proportional to the
/// schema's text.
pub(super) enum AttributeIndex {
    /// By `NameId`: one more than the index, or zero.
    Table(Box<[u16]>),
    /// Sorted.
    Pairs(Box<[(NameId, u16)]>),
}

/// How many names a table may have for each attribute.
const MAX_NAMES_PER_ATTRIBUTE: usize = 8;
/// The size up to which a table is never too large.
const SMALL_TABLE: usize = 64;

impl AttributeIndex {
    /// An index of the attributes with these names, in order. There are at most 65,535.
    pub(super) fn new(names: impl ExactSizeIterator<Item = NameId>) -> Self {
        let mut pairs: Vec<(NameId, u16)> = names.zip(0..).collect();
        pairs.sort_unstable();
        let size = pairs.last().map_or(0, |(name, _)| usize::from(name.0) + 1);
        if size > SMALL_TABLE && size > pairs.len() * MAX_NAMES_PER_ATTRIBUTE {
            return Self::Pairs(pairs.into());
        }
        let mut table = vec![0; size];
        for (name, index) in pairs {
            table[usize::from(name.0)] = index + 1;
        }
        Self::Table(table.into())
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Table(table) => size_of_val(&**table),
            Self::Pairs(pairs) => size_of_val(&**pairs),
        }
    }

    pub(super) fn get(&self, name: NameId) -> Option<usize> {
        match self {
            Self::Table(table) => usize::from(*table.get(usize::from(name.0))?).checked_sub(1),
            Self::Pairs(pairs) => {
                let found = pairs.binary_search_by_key(&name, |(name, _)| *name).ok()?;
                Some(usize::from(pairs[found].1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_it_was_made_of_and_nothing_else() {
        for names in [
            vec![],
            vec![5],
            vec![3, 1, 2],
            vec![60_000, 2, 30_000],
            (10..500).rev().collect(),
        ] {
            let index = AttributeIndex::new(names.iter().copied().map(NameId));
            for name in 0..u16::MAX {
                let expected = names.iter().position(|one| *one == name);
                assert_eq!(index.get(NameId(name)), expected);
            }
        }
    }
}
