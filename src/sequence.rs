//! Patterns of file sequences: `plate.%04d.exr [1-5, 7]`.
//!
//! A pattern stands for files whose names differ by a number. Nothing here accesses a disk, and
//! memory use depends on the text of a pattern only: a billion members are counted, and listed one
//! at a time.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Result};

/// The largest padding of a pattern, in digits.
const MAX_PADDING: usize = 64;

/// A parsed pattern.
///
/// ```
/// use ftrack_api::sequence::Sequence;
///
/// let plates = Sequence::parse("plates/sh010.%04d.exr [1-3, 7]")?;
/// assert_eq!((plates.padding(), plates.len()), (4, 4));
/// let files: Vec<String> = plates.members().collect();
/// assert_eq!(files[0], "plates/sh010.0001.exr");
/// assert_eq!(files[3], "plates/sh010.0007.exr");
/// assert_eq!(plates.to_string(), "plates/sh010.%04d.exr [1-3, 7]");
/// # Ok::<(), ftrack_api::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sequence {
    head: String,
    tail: String,
    padding: usize,
    /// In ascending order, with gaps between them.
    ranges: Vec<RangeInclusive<u64>>,
}

/// File sequences among paths, and the rest; [`collect`] finds them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// The sequences, in the order of their first members.
    pub sequences: Vec<Sequence>,
    /// The paths that belong to no sequence, in their order.
    pub rest: Vec<String>,
}

/// Finds the file sequences among paths, such as those of a folder. Accesses no disk.
///
/// Paths of one folder whose names differ by one number are a sequence if there are at least two.
/// Numbers with leading zeros set the padding: `a.0999` and `a.1000` are one sequence, `a.1` and
/// `a.01` are not. A path belongs to one sequence only: of several numbers in a name, the one
/// counts that gives the longest sequence, or else the last one. Frames may be missing; see
/// [`Sequence::missing`].
///
/// ```
/// use ftrack_api::sequence;
///
/// let found = sequence::collect([
///     "v2/plate.0998.exr", "v2/plate.1000.exr", "v2/plate.0999.exr", "v2/notes.txt",
///     "v2/mask_1.exr", "v2/mask_3.exr",
/// ]);
/// let patterns: Vec<String> = found.sequences.iter().map(|one| one.to_string()).collect();
/// assert_eq!(patterns, ["v2/plate.%04d.exr [998-1000]", "v2/mask_%d.exr [1, 3]"]);
/// assert_eq!(found.sequences[1].missing().to_string(), "v2/mask_%d.exr [2]");
/// assert_eq!(found.rest, ["v2/notes.txt"]);
/// ```
pub fn collect<P: AsRef<str>>(paths: impl IntoIterator<Item = P>) -> Collected {
    let mut seen = HashSet::new();
    let paths: Vec<String> = paths
        .into_iter()
        .map(|path| path.as_ref().to_owned())
        .filter(|path| seen.insert(path.clone()))
        .collect();
    let mut groups = groups(&paths);
    groups.sort_by_key(|group| {
        (
            Reverse(group.members.len()),
            group.from_end,
            group.members[0].1,
        )
    });
    let mut taken = vec![false; paths.len()];
    let mut found = Vec::new();
    for group in groups {
        let free = group.members.iter().filter(|(_, path)| !taken[*path]);
        let free: Vec<(u64, usize)> = free.copied().collect();
        if free.len() < 2 {
            continue;
        }
        let first = free.iter().map(|(_, path)| *path).min().unwrap_or(0);
        free.iter().for_each(|(_, path)| taken[*path] = true);
        let ranges = free.iter().map(|(number, _)| *number..=*number).collect();
        let sequence = Sequence {
            head: group.head.to_owned(),
            tail: group.tail.to_owned(),
            padding: group.padding,
            ranges: merged(ranges),
        };
        found.push((first, sequence));
    }
    found.sort_by_key(|(first, _)| *first);
    let rest = paths.iter().zip(&taken).filter(|(_, taken)| !**taken);
    Collected {
        sequences: found.into_iter().map(|(_, sequence)| sequence).collect(),
        rest: rest.map(|(path, _)| path.clone()).collect(),
    }
}

/// Paths that differ by one number.
struct Group<'a> {
    head: &'a str,
    tail: &'a str,
    padding: usize,
    /// How many numbers follow this one in the names.
    from_end: usize,
    /// Numbers, and indexes of paths.
    members: Vec<(u64, usize)>,
}

fn groups(paths: &[String]) -> Vec<Group<'_>> {
    let mut indexes: HashMap<(&str, &str, usize), usize> = HashMap::new();
    let mut groups: Vec<Group<'_>> = Vec::new();
    // Numbers with leading zeros first: they say which paddings there are.
    for is_padded in [true, false] {
        for (index, path) in paths.iter().enumerate() {
            for (from_end, (start, end)) in numbers(path).into_iter().rev().enumerate() {
                let (head, digits, tail) = (&path[..start], &path[start..end], &path[end..]);
                let Some(number) = digits.parse().ok().filter(|number| *number < u64::MAX) else {
                    continue;
                };
                if (digits.len() > 1 && digits.starts_with('0')) != is_padded
                    || digits.len() > MAX_PADDING
                    || tail.contains('%')
                {
                    continue;
                }
                let padded = indexes.get(&(head, tail, digits.len())).copied();
                let group = padded.unwrap_or_else(|| {
                    let padding = if is_padded { digits.len() } else { 0 };
                    *indexes.entry((head, tail, padding)).or_insert_with(|| {
                        groups.push(Group {
                            head,
                            tail,
                            padding,
                            from_end,
                            members: Vec::new(),
                        });
                        groups.len() - 1
                    })
                });
                groups[group].members.push((number, index));
            }
        }
    }
    groups
}

/// Where the numbers in the file name of a path begin and end.
fn numbers(path: &str) -> Vec<(usize, usize)> {
    let name = path.rfind(['/', '\\']).map_or(0, |separator| separator + 1);
    let mut found: Vec<(usize, usize)> = Vec::new();
    for (position, byte) in path.bytes().enumerate().skip(name) {
        match found.last_mut() {
            _ if !byte.is_ascii_digit() => {}
            Some((_, end)) if *end == position => *end += 1,
            _ => found.push((position, position + 1)),
        }
    }
    found
}

impl Sequence {
    /// Parses a pattern: a path that contains `%d` or `%04d`, a space, and numbers and ranges in
    /// brackets. Numbers may be in any order and repeated. If there are several `%d`, the last one
    /// is the number.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`] if it is not a pattern, a number is invalid or has more than 19
    ///   digits, a range is descending, or the padding is more than 64 digits.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = Parts::of(text).ok_or_else(|| {
            let why = "it needs a `%d` or `%04d` and must end with numbers in brackets";
            invalid(text, &format!("{why}, such as `plate.%04d.exr [1-5, 7]`"))
        })?;
        let padding = match parts.padding {
            "" => 0,
            digits => digits
                .parse()
                .ok()
                .filter(|padding| *padding <= MAX_PADDING)
                .ok_or_else(|| invalid(text, "its padding is more than 64 digits"))?,
        };
        let mut ranges = Vec::new();
        if !parts.ranges.is_empty() {
            for part in parts.ranges.split(',') {
                ranges.push(range(part).map_err(|why| invalid(text, &why))?);
            }
        }
        Ok(Self {
            head: parts.head.to_owned(),
            tail: parts.tail.to_owned(),
            padding,
            ranges: merged(ranges),
        })
    }

    /// Whether a text has the form of a pattern, even if its numbers are invalid. If not, it is the
    /// path of a single file.
    ///
    /// ```
    /// use ftrack_api::sequence::Sequence;
    ///
    /// assert!(Sequence::is_pattern("a.%04d.exr [1-5]"));
    /// assert!(!Sequence::is_pattern("a.0001.exr"));
    /// ```
    pub fn is_pattern(text: &str) -> bool {
        Parts::of(text).is_some()
    }

    /// The text before the number.
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The text after the number.
    pub fn tail(&self) -> &str {
        &self.tail
    }

    /// The minimum number of digits; 0 for numbers without padding.
    pub fn padding(&self) -> usize {
        self.padding
    }

    /// The numbers as ascending ranges with gaps between them.
    pub fn ranges(&self) -> &[RangeInclusive<u64>] {
        &self.ranges
    }

    /// The number of members.
    pub fn len(&self) -> u64 {
        let lengths = self
            .ranges
            .iter()
            .map(|range| range.end() - range.start() + 1);
        lengths.sum()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The numbers in ascending order.
    pub fn indexes(&self) -> impl Iterator<Item = u64> + '_ {
        self.ranges.iter().cloned().flatten()
    }

    /// The sequence of the numbers between the first and the last that are missing; it may be
    /// empty.
    pub fn missing(&self) -> Self {
        let gaps = self.ranges.windows(2);
        let gaps = gaps.map(|pair| pair[0].end() + 1..=pair[1].start() - 1);
        Self {
            ranges: gaps.collect(),
            ..self.clone()
        }
    }

    /// The paths of the members, in the order of their numbers. There can be very many: check
    /// [`len`](Self::len) first.
    pub fn members(&self) -> impl Iterator<Item = String> + '_ {
        self.indexes().map(|index| {
            let number = self.number(index);
            format!("{}{number}{}", self.head, self.tail)
        })
    }

    /// A number as it appears in the path of a member: `0007`.
    pub fn number(&self, index: u64) -> String {
        format!("{index:0width$}", width = self.padding)
    }

    /// The pattern without its numbers: `plate.%04d.exr`.
    pub fn pattern(&self) -> String {
        match self.padding {
            0 => format!("{}%d{}", self.head, self.tail),
            padding => format!("{}%0{padding}d{}", self.head, self.tail),
        }
    }
}

impl FromStr for Sequence {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} [", self.pattern())?;
        for (position, range) in self.ranges.iter().enumerate() {
            if position > 0 {
                f.write_str(", ")?;
            }
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{start}")?,
                (start, end) => write!(f, "{start}-{end}")?,
            }
        }
        f.write_str("]")
    }
}

/// The parts of a pattern.
struct Parts<'a> {
    head: &'a str,
    padding: &'a str,
    tail: &'a str,
    ranges: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        if text.contains(['\n', '\r']) {
            return None;
        }
        let (path, ranges) = text.strip_suffix(']')?.rsplit_once(" [")?;
        let fits = |byte: u8| byte.is_ascii_digit() || matches!(byte, b' ' | b',' | b'-');
        if !ranges.bytes().all(fits) {
            return None;
        }
        // The last `%` that is followed by digits and a `d`.
        path.rmatch_indices('%').find_map(|(start, _)| {
            let after = &path[start + 1..];
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let tail = after[digits..].strip_prefix('d')?;
            Some(Self {
                head: &path[..start],
                padding: &after[..digits],
                tail,
                ranges,
            })
        })
    }
}

/// `7` or `1-5`.
fn range(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| {
        let number = text.trim().parse::<u64>().ok();
        // Excludes the maximum so that the number of members fits the same type.
        number
            .filter(|number| *number < u64::MAX)
            .ok_or_else(|| format!("{:?} is not a number", text.trim()))
    };
    let (start, end) = match text.split_once('-') {
        None => (number(text)?, number(text)?),
        Some((start, end)) => (number(start)?, number(end)?),
    };
    if start > end {
        return Err(format!("the range {start}-{end} is descending"));
    }
    Ok(start..=end)
}

/// Sorts ranges and joins those that touch or overlap.
fn merged(mut ranges: Vec<RangeInclusive<u64>>) -> Vec<RangeInclusive<u64>> {
    ranges.sort_by_key(|range| *range.start());
    let mut merged: Vec<RangeInclusive<u64>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if *range.start() <= last.end() + 1 => {
                *last = *last.start()..=*last.end().max(range.end());
            }
            _ => merged.push(range),
        }
    }
    merged
}

fn invalid(text: &str, why: &str) -> Error {
    // A very long path would fill the screen.
    let shown: String = text.chars().take(200).collect();
    let message = format!("{shown:?} is not a pattern of a file sequence: {why}");
    Error::new(ErrorKind::Syntax, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Results of the package that the Python client uses.
    #[test]
    fn patterns() {
        for (text, head, padding, tail, canonical, members) in [
            (
                "/p/f.%04d.ext [1-5, 7, 8, 10-20]",
                "/p/f.",
                4,
                ".ext",
                "/p/f.%04d.ext [1-5, 7-8, 10-20]",
                18,
            ),
            ("f.%d.exr [3]", "f.", 0, ".exr", "f.%d.exr [3]", 1),
            ("f%4d [1,2,3]", "f", 4, "", "f%04d [1-3]", 3),
            ("f%0d [1]", "f", 0, "", "f%d [1]", 1),
            ("%d []", "", 0, "", "%d []", 0),
            (
                "f.%04d.exr [ 5 , 1 - 3 ,2 ]",
                "f.",
                4,
                ".exr",
                "f.%04d.exr [1-3, 5]",
                4,
            ),
            (
                "a.%02d.b.%03d.exr [1]",
                "a.%02d.b.",
                3,
                ".exr",
                "a.%02d.b.%03d.exr [1]",
                1,
            ),
            ("f.%04d.x [1] [2]", "f.", 4, ".x [1]", "f.%04d.x [1] [2]", 1),
            ("100% %d %x [0-0]", "100% ", 0, " %x", "100% %d %x [0]", 1),
            ("é%02d漢 [9-11]", "é", 2, "漢", "é%02d漢 [9-11]", 3),
        ] {
            let found = Sequence::parse(text).unwrap();
            assert_eq!(
                (found.head(), found.padding(), found.tail()),
                (head, padding, tail),
                "{text}"
            );
            assert_eq!(found.to_string(), canonical);
            assert_eq!(
                (found.len(), found.members().count()),
                (members, members as usize)
            );
        }
    }

    #[test]
    fn sequences_among_paths() {
        for (paths, patterns, rest) in [
            (vec![], vec![], vec![]),
            (vec!["a.1.exr"], vec![], vec!["a.1.exr"]),
            (vec!["a.1", "a.1"], vec![], vec!["a.1"]),
            (vec!["a.2", "a.1", "b"], vec!["a.%d [1-2]"], vec!["b"]),
            (
                vec!["a.0999", "a.1000", "a.01"],
                vec!["a.%04d [999-1000]"],
                vec!["a.01"],
            ),
            (
                vec!["a.01", "a.02", "a.1", "a.2"],
                vec!["a.%02d [1-2]", "a.%d [1-2]"],
                vec![],
            ),
            // The version and the extension have numbers as well.
            (
                vec![
                    "s_v1.0001.mp4",
                    "s_v1.0002.mp4",
                    "s_v2.0001.mp4",
                    "s_v2.0002.mp4",
                ],
                vec!["s_v1.%04d.mp4 [1-2]", "s_v2.%04d.mp4 [1-2]"],
                vec![],
            ),
            (
                vec!["v1.7.exr", "v2.7.exr", "v3.7.exr", "v1.8.exr"],
                vec!["v%d.7.exr [1-3]"],
                vec!["v1.8.exr"],
            ),
            (
                vec!["sh010/a.exr", "sh020/a.exr"],
                vec![],
                vec!["sh010/a.exr", "sh020/a.exr"],
            ),
            (
                vec!["c:\\x1\\é1.exr", "c:\\x1\\é2.exr"],
                vec!["c:\\x1\\é%d.exr [1-2]"],
                vec![],
            ),
            (vec!["a1%d", "a2%d"], vec![], vec!["a1%d", "a2%d"]),
            (vec!["0", "00", "000"], vec![], vec!["0", "00", "000"]),
        ] {
            let found = collect(&paths);
            let texts: Vec<String> = found.sequences.iter().map(ToString::to_string).collect();
            assert_eq!(
                (texts, found.rest),
                (
                    patterns.iter().map(ToString::to_string).collect(),
                    rest.iter().map(ToString::to_string).collect()
                ),
                "{paths:?}"
            );
        }
    }

    #[test]
    fn invalid_patterns() {
        for (text, is_pattern) in [
            ("", false),
            ("f.exr", false),
            ("f.0001.exr [1-5]", false),
            ("f.%04d.exr", false),
            ("f.%04d.exr[1-5]", false),
            ("f.%04x.exr [1-5]", false),
            ("f.%04d.exr [1-x]", false),
            ("f.%04d\n.exr [1]", false),
            ("f.%04d.exr [1-5] ", false),
            ("f.%04d.exr [1,]", true),
            ("f.%04d.exr [-5]", true),
            ("f.%04d.exr [1-2-3]", true),
            ("f.%04d.exr [5-1]", true),
            ("f.%04d.exr [1 2]", true),
            ("f.%04d.exr [ ]", true),
            ("f.%04d.exr [18446744073709551615]", true),
            ("f.%04d.exr [99999999999999999999]", true),
            ("f.%065d.exr [1]", true),
            ("f.%099999999999999999999d.exr [1]", true),
        ] {
            assert_eq!(
                Sequence::parse(text).unwrap_err().kind(),
                ErrorKind::Syntax,
                "{text}"
            );
            assert_eq!(Sequence::is_pattern(text), is_pattern, "{text}");
        }
    }

    #[test]
    fn huge_patterns_need_no_memory() {
        let huge = Sequence::parse("f.%064d.exr [0-18446744073709551614]").unwrap();
        assert_eq!(huge.len(), u64::MAX);
        assert_eq!(huge.members().nth(3).unwrap().len(), 64 + 6);
        let many = format!("f.%d [{}]", vec!["0-9999999999999"; 10_000].join(","));
        assert_eq!(Sequence::parse(&many).unwrap().ranges().len(), 1);
    }

    proptest! {
        #[test]
        fn each_path_is_collected_once(names in proptest::collection::vec("[ab%]{0,1}[0-2]{0,3}[.]?[01]{0,2}", 0..12)) {
            let found = collect(&names);
            let mut back: Vec<String> = found.rest.clone();
            for sequence in &found.sequences {
                prop_assert!(sequence.len() > 1);
                prop_assert_eq!(&Sequence::parse(&sequence.to_string()).unwrap(), sequence);
                back.extend(sequence.members());
            }
            back.sort();
            let names: std::collections::BTreeSet<String> = names.into_iter().collect();
            prop_assert_eq!(back, names.into_iter().collect::<Vec<_>>());
        }


        #[test]
        fn any_text_parses_or_is_an_error(text in r"[a%0-9d \[\],\-é]{0,40}") {
            if let Ok(read) = Sequence::parse(&text) {
                prop_assert_eq!(&Sequence::parse(&read.to_string()).unwrap(), &read);
                prop_assert!(read.members().take(5).all(|path| path.starts_with(read.head())));
            }
        }

        #[test]
        fn numbers_are_sorted(numbers in proptest::collection::vec(0u64..50, 1..20)) {
            let list: Vec<String> = numbers.iter().map(ToString::to_string).collect();
            let read = Sequence::parse(&format!("f.%02d.x [{}]", list.join(", "))).unwrap();
            let expected: Vec<u64> = std::collections::BTreeSet::from_iter(numbers).into_iter().collect();
            prop_assert_eq!(read.indexes().collect::<Vec<_>>(), expected);
        }
    }
}
