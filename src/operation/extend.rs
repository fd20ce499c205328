//! Changes to collections: from added and removed members to the whole list that a server takes.

use std::collections::HashMap;

use super::Operation;
use crate::value::{EntityKey, Value};

/// The members of a collection without `removed` and with `added`, in order and without
/// duplicates. `identity` says which are the same: of an [`EntityKey`] its key alone, because one
/// entity may be named by several types.
pub(crate) fn apply<T: Clone, I: PartialEq>(
    members: &[T],
    added: &[T],
    removed: &[T],
    identity: impl Fn(&T) -> &I,
) -> Vec<T> {
    let has = |some: &[T], one: &T| some.iter().any(|other| identity(other) == identity(one));
    let remaining = members.iter().filter(|member| !has(removed, member));
    let mut result: Vec<T> = remaining.cloned().collect();
    for member in added {
        if !has(&result, member) {
            result.push(member.clone());
        }
    }
    result
}

/// Replaces every `Extend` by an update with the whole list.
///
/// `members` returns the members that a collection has on the server. It is not called for
/// collections of entities that `operations` create, nor for collections that they set earlier. Of
/// several changes to one collection only the last becomes an update, because it includes the
/// others. Those stay in the list, so that each operation keeps its index, but are not sent.
pub(crate) fn resolve(
    operations: &[Operation],
    mut members: impl FnMut(&EntityKey, &str) -> Vec<EntityKey>,
) -> Vec<Operation> {
    // For each collection, the last operation that extends it.
    let extends = operations.iter().enumerate();
    let last: HashMap<_, usize> = extends
        .filter_map(|(index, operation)| Some((operation.extended()?, index)))
        .collect();
    let mut lists: HashMap<(&EntityKey, &str), Vec<EntityKey>> = HashMap::new();
    let mut created = std::collections::HashSet::new();
    let mut resolved = Vec::with_capacity(operations.len());
    for (index, operation) in operations.iter().enumerate() {
        match operation {
            Operation::Create { entity, .. } => {
                created.insert(entity);
            }
            Operation::Update {
                entity,
                attribute_name,
                new_value: Value::Collection(list),
                ..
            } => {
                lists.insert((entity, attribute_name), list.clone());
            }
            Operation::Extend {
                entity,
                attribute_name,
                added,
                removed,
            } => {
                let name = attribute_name.as_str();
                let list = lists.entry((entity, name)).or_insert_with(|| {
                    if created.contains(entity) {
                        Vec::new()
                    } else {
                        members(entity, name)
                    }
                });
                *list = apply(list, added, removed, EntityKey::key);
                if last.get(&(entity, name)) == Some(&index) {
                    resolved.push(Operation::Update {
                        entity: entity.clone(),
                        attribute_name: name.to_owned(),
                        old_value: None,
                        new_value: Value::Collection(list.clone()),
                    });
                    continue;
                }
            }
            Operation::Update { .. } | Operation::Delete { .. } => {}
        }
        resolved.push(operation.clone());
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> EntityKey {
        EntityKey::new("Note", id)
    }

    fn extend(added: &[&str], removed: &[&str]) -> Operation {
        Operation::Extend {
            entity: EntityKey::new("Task", "t"),
            attribute_name: "notes".into(),
            added: added.iter().map(|id| key(id)).collect(),
            removed: removed.iter().map(|id| key(id)).collect(),
        }
    }

    fn shown(operations: &[Operation]) -> Vec<String> {
        let resolved = resolve(operations, |_, _| vec![key("x"), key("y")]);
        resolved.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_last_change_holds_them_all() {
        assert_eq!(
            shown(&[extend(&["a"], &[]), extend(&["b", "x"], &["y"])]),
            [
                "extend Task(t): notes + Note(a)",
                "update Task(t): notes = [Note(x), Note(a), Note(b)]"
            ]
        );
    }

    #[test]
    fn collections_of_new_entities_begin_empty() {
        let create = Operation::Create {
            entity: EntityKey::new("Task", "t"),
            entity_data: crate::Data::new(),
        };
        assert_eq!(
            shown(&[create, extend(&["a"], &[])]),
            ["create Task(t)", "update Task(t): notes = [Note(a)]"]
        );
    }

    #[test]
    fn a_list_that_was_set_is_the_base_of_what_follows() {
        let set = Operation::Update {
            entity: EntityKey::new("Task", "t"),
            attribute_name: "notes".into(),
            old_value: None,
            new_value: vec![key("z")].into(),
        };
        let shown = shown(&[extend(&["a"], &[]), set, extend(&["b"], &[])]);
        assert_eq!(
            shown,
            [
                "extend Task(t): notes + Note(a)",
                "update Task(t): notes = [Note(z)]",
                "update Task(t): notes = [Note(z), Note(b)]"
            ]
        );
    }
}
