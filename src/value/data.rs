//! Attribute values by name: what creates and updates take.

use std::fmt;

use super::Value;

/// Attribute values by name, in the order in which they were set; made by [`data!`](crate::data).
///
/// ```
/// use ftrack_api::{Data, Value, data};
///
/// let mut shot = data! { "name": "sh010", "bid": 2.5 };
/// shot.set("description", "A crane shot.");
/// assert_eq!(shot.get("name"), Some(&Value::from("sh010")));
/// assert!(!shot.contains("status"));
///
/// let same: Data = [("name", "sh010"), ("description", "A crane shot.")].into_iter().collect();
/// shot.extend(same);
/// assert_eq!(shot.len(), 3);
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct Data(Vec<(String, Value)>);

impl Data {
    /// No values yet.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The value of an attribute, if it is given.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value)
    }

    /// Sets the value of an attribute; one that is given already keeps its position.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name, value)),
        }
    }

    /// Removes the value of an attribute and returns it.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let index = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(index).1)
    }

    /// Whether an attribute is given.
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// How many attributes are given.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no attribute is given.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names and values, in order.
    pub fn iter(&self) -> DataIter<'_> {
        self.into_iter()
    }

    /// The names, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn with_capacity(values: usize) -> Self {
        Self(Vec::with_capacity(values))
    }

    /// Adds a value under a name that is not given yet.
    pub(crate) fn push_new(&mut self, name: String, value: Value) {
        debug_assert!(!self.contains(&name), "{name} is given twice");
        self.0.push((name, value));
    }

    /// Keeps the values for which `keep` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }
}

/// The names and values of a [`Data`], in order.
#[derive(Clone, Debug)]
pub struct DataIter<'a>(std::slice::Iter<'a, (String, Value)>);

impl<'a> Iterator for DataIter<'a> {
    type Item = (&'a str, &'a Value);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(name, value)| (name.as_str(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for DataIter<'_> {}

impl<'a> IntoIterator for &'a Data {
    type Item = (&'a str, &'a Value);
    type IntoIter = DataIter<'a>;

    fn into_iter(self) -> DataIter<'a> {
        DataIter(self.0.iter())
    }
}

impl IntoIterator for Data {
    type Item = (String, Value);
    type IntoIter = std::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Of values with the same name, the last one counts.
impl<N: Into<String>, V: Into<Value>> Extend<(N, V)> for Data {
    fn extend<I: IntoIterator<Item = (N, V)>>(&mut self, values: I) {
        for (name, value) in values {
            self.set(name, value);
        }
    }
}

/// Of values with the same name, the last one counts.
impl<N: Into<String>, V: Into<Value>> FromIterator<(N, V)> for Data {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(values: I) -> Self {
        let values = values.into_iter();
        let mut data = Self::with_capacity(values.size_hint().0);
        data.extend(values);
        data
    }
}

/// As a map of names to values.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (name, value) in self {
            map.entry(&name, &format_args!("{value:?}"));
        }
        map.finish()
    }
}

/// Builds a [`Data`] from names and anything that is a [`Value`].
///
/// ```
/// use ftrack_api::{data, Value};
///
/// let shot = data! { "name": "sh010", "description": None::<String>, "bid": 2.5 };
/// assert_eq!(shot.get("name"), Some(&Value::from("sh010")));
/// assert_eq!(shot.get("description"), Some(&Value::Null));
/// assert!(data! {}.is_empty());
/// ```
#[macro_export]
macro_rules! data {
    ($($name:literal : $value:expr),* $(,)?) => {
        <$crate::Data as ::std::iter::FromIterator<(&str, $crate::Value)>>::from_iter([
            $(($name, $crate::Value::from($value))),*
        ])
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_value_of_a_name_counts_and_keeps_the_first_position() {
        let mut data = data! { "name": "a", "bid": 1, "name": "b" };
        assert_eq!(data, data! { "name": "b", "bid": 1 });
        data.set("bid", 2);
        data.extend([("type", "x")]);
        assert_eq!(data.names().collect::<Vec<_>>(), ["name", "bid", "type"]);
        assert_eq!(data.remove("bid"), Some(Value::from(2)));
        assert_eq!(data.remove("bid"), None);
        assert_eq!(data.iter().len(), 2);
        assert_eq!(
            format!("{data:?}"),
            r#"{"name": Text("b"), "type": Text("x")}"#
        );
    }
}
