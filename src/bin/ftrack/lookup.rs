//! Criteria that find many entities at once, each by its values of the same attributes.

use std::collections::{BTreeMap, BTreeSet};

use ftrack_api::Value;
use ftrack_api::query::{Criterion, all_of, any_of, field};

/// How many criteria one query has at most: servers refuse more than 2,000.
const MAX_CRITERIA: usize = 1000;
/// How many values one query looks for at most.
const MAX_VALUES: usize = 2000;

/// Filters of which each entity with one of these tuples of values meets one. The values of the
/// attribute that differs most go together into a list after `in`, so that 500 tasks of one shot are
/// two criteria and not a thousand.
pub(crate) fn filters(names: &[String], tuples: &[Vec<Value>]) -> Vec<Criterion> {
    let different = |index: usize| {
        let texts = tuples.iter().map(|tuple| identifying(&tuple[index]));
        texts.collect::<BTreeSet<String>>().len()
    };
    let Some(listed) = (0..names.len()).max_by_key(|&index| different(index)) else {
        return Vec::new();
    };
    // What the other attributes have in common, and the values of the listed one.
    let mut groups: BTreeMap<Vec<String>, Vec<&Vec<Value>>> = BTreeMap::new();
    for tuple in tuples {
        let others = (0..names.len()).filter(|index| *index != listed);
        let key = others.map(|index| identifying(&tuple[index])).collect();
        groups.entry(key).or_default().push(tuple);
    }
    let mut filters = Vec::new();
    let (mut parts, mut criteria, mut values) = (Vec::new(), 0, 0);
    for group in groups.values() {
        for some in group.chunks(MAX_VALUES) {
            let size = names.len() + 1;
            let is_full = criteria + size > MAX_CRITERIA || values + some.len() > MAX_VALUES;
            if is_full && !parts.is_empty() {
                filters.push(any_of(std::mem::take(&mut parts)));
                (criteria, values) = (0, 0);
            }
            criteria += size;
            values += some.len();
            let others = (0..names.len()).filter(|index| *index != listed);
            let others = others.map(|index| equal(&names[index], &some[0][index]));
            let in_list = in_list(
                &names[listed],
                some.iter().map(|tuple| &tuple[listed]).collect(),
            );
            parts.push(all_of(others.chain([in_list])));
        }
    }
    if !parts.is_empty() {
        filters.push(any_of(parts));
    }
    filters
}

/// What tells a value from others. The server compares texts without regard to case.
pub(crate) fn identifying(value: &Value) -> String {
    match value {
        Value::Reference(key) => key.id(),
        Value::Null => "\u{0}".to_owned(),
        Value::Text(text) => text.to_lowercase(),
        // Whole numbers are the same with and without a fraction.
        Value::Integer(number) => (*number as f64).to_string(),
        other => other.to_string(),
    }
}

fn equal(name: &str, value: &Value) -> Criterion {
    match value {
        Value::Null => field(name).is_none(),
        Value::Reference(key) => field(format!("{name}.id")).eq(key.id()),
        value => field(name).eq(value),
    }
}

fn in_list(name: &str, values: Vec<&Value>) -> Criterion {
    let (mut ids, mut others, mut is_null) = (Vec::new(), Vec::new(), false);
    let mut seen = BTreeSet::new();
    for value in values {
        if !seen.insert(identifying(value)) {
            continue;
        }
        match value {
            Value::Null => is_null = true,
            Value::Reference(key) => ids.push(key.id()),
            value => others.push(value),
        }
    }
    let mut any = Vec::new();
    if !ids.is_empty() {
        any.push(field(format!("{name}.id")).is_in(ids));
    }
    if !others.is_empty() {
        any.push(field(name).is_in(others));
    }
    if is_null {
        any.push(field(name).is_none());
    }
    any_of(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(names: &[&str], tuples: &[&[Value]]) -> Vec<String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let tuples: Vec<Vec<Value>> = tuples.iter().map(|tuple| tuple.to_vec()).collect();
        let found = filters(&names, &tuples);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_of_one_attribute_are_one_list() {
        let names = [Value::from("a"), Value::from("b"), Value::from("A")];
        let tuples: Vec<&[Value]> = names.iter().map(std::slice::from_ref).collect();
        assert_eq!(texts(&["name"], &tuples), [r#"name in ("a", "b")"#]);
        assert_eq!(texts(&["name"], &[]), [""; 0]);
    }

    #[test]
    fn what_differs_most_is_listed() {
        let (a, b, c) = (Value::from("a"), Value::from("b"), Value::from("c"));
        let (one, two) = (Value::from("1"), Value::from("2"));
        let found = texts(
            &["parent_id", "name"],
            &[
                &[one.clone(), a.clone()],
                &[two, a],
                &[one.clone(), b],
                &[one.clone(), c],
                &[one, Value::Null],
            ],
        );
        assert_eq!(
            found,
            [
                "parent_id is \"1\" and (name in (\"a\", \"b\", \"c\") or name is none) \
                 or parent_id is \"2\" and name in (\"a\")"
            ]
        );
    }

    #[test]
    fn queries_do_not_grow_without_bounds() {
        let different = |count: usize| -> Vec<Vec<Value>> {
            let numbers = 0..count;
            let texts = numbers.map(|number| Value::from(number.to_string()));
            texts.map(|text| vec![text.clone(), text]).collect()
        };
        let names = ["a".to_owned(), "b".to_owned()];
        assert_eq!(filters(&names, &different(333)).len(), 1);
        assert_eq!(filters(&names, &different(334)).len(), 2);
        let same: Vec<Vec<Value>> = different(4001)
            .into_iter()
            .map(|tuple| vec![Value::from("x"), tuple[1].clone()])
            .collect();
        assert_eq!(filters(&names, &same).len(), 3);
    }
}
