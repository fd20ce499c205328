//! Whether the response to a commit confirms it: a reply of the right kind for each action, about the
//! entity that was sent. A response that does not leaves the commit in doubt.

use crate::error::{Error, ErrorKind, Result};
use crate::operation::{OperationKind, Payload};
use crate::schema::Schema;
use crate::value::EntityKey;

use super::batch::{Batch, Reply, ReplyData, Row};
use super::entry::root_type;

/// # Errors
///
/// - [`ErrorKind::BadResponse`] with the first reply that does not confirm its payload.
pub(crate) fn check_commit(schema: &Schema, payloads: &[Payload<'_>], batch: &Batch) -> Result<()> {
    let (got, sent) = (batch.replies.len(), payloads.len());
    if got != sent {
        let message = format!("the server gave {got} replies to {sent} actions");
        return Err(Error::new(ErrorKind::BadResponse, message));
    }
    for (payload, reply) in payloads.iter().zip(&batch.replies) {
        check(schema, payload, reply, &batch.rows.rows).map_err(|why| {
            let verb = payload.kind.verb();
            let message = format!(
                "the server did not confirm the {verb} of {}: {why}",
                payload.entity
            );
            Error::new(ErrorKind::BadResponse, message)
        })?;
    }
    Ok(())
}

fn check(
    schema: &Schema,
    payload: &Payload<'_>,
    reply: &Reply,
    rows: &[Row],
) -> Result<(), String> {
    let expected = payload.kind.verb();
    if let Some(action) = reply.action.as_ref().filter(|action| *action != expected) {
        return Err(format!("its reply is that to a {action:?}"));
    }
    match (payload.kind, reply.data) {
        (OperationKind::Delete, ReplyData::Bool(true)) => Ok(()),
        (OperationKind::Create | OperationKind::Update, ReplyData::Entity) => {
            let row = &rows[reply.roots[0] as usize];
            match is_about(schema, row, payload.entity) {
                true => Ok(()),
                false => {
                    let name = schema.by_id(row.entity_type).name();
                    let other = EntityKey::from_key(name, row.key.clone());
                    Err(format!("its reply is about {other}"))
                }
            }
        }
        (_, data) => Err(format!("its reply contains {data}")),
    }
}

/// Servers may give a more concrete type than the one that was sent, and spell keys as they have stored
/// them: their databases compare texts without regard to case, so `K` and `k` may be one row's key.
fn is_about(schema: &Schema, row: &Row, entity: &EntityKey) -> bool {
    let Some(sent) = schema.find(entity.entity_type()) else {
        return false;
    };
    let found = root_type(schema, row.entity_type).id();
    let (found_key, sent_key) = (row.key.parts(), entity.key().parts());
    found == root_type(schema, sent.id()).id()
        && found_key.len() == sent_key.len()
        && found_key.iter().zip(sent_key).all(|(found, sent)| {
            found == sent || found.to_text().to_lowercase() == sent.to_text().to_lowercase()
        })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use super::*;
    use crate::operation::{Operation, optimise};
    use crate::schema::tests::schema;
    use crate::wire::decode;

    fn operations() -> Vec<Operation> {
        vec![
            Operation::Create {
                entity: EntityKey::new("Task", "a"),
                entity_data: crate::data! { "name": "anim" },
            },
            Operation::Update {
                entity: EntityKey::new("Context", "B"),
                attribute_name: "name".into(),
                old_value: None,
                new_value: "fx".into(),
            },
            Operation::Delete {
                entity: EntityKey::new("Status", "c"),
            },
        ]
    }

    fn confirms(replies: &[&str]) -> Result<()> {
        let (schema, operations) = (schema(), operations());
        let body = format!("[{}]", replies.join(","));
        let batch = decode(&schema, &body.as_bytes().into())?;
        check_commit(&schema, &optimise(&operations), &batch)
    }

    const CREATE: &str = r#"{"action":"create","data":{"id":"a","__entity_type__":"Task"}}"#;
    const UPDATE: &str = r#"{"action":"update","data":{"__entity_type__":"Task","id":"b"}}"#;
    const DELETE: &str = r#"{"action":"delete","data":true}"#;

    #[test]
    fn a_reply_for_each_action() {
        confirms(&[CREATE, UPDATE, DELETE]).unwrap();
        for replies in [
            &[][..],
            &[CREATE],
            &[CREATE, UPDATE],
            &[CREATE, DELETE, UPDATE],
            &[UPDATE, CREATE, DELETE],
            &[CREATE, UPDATE, DELETE, DELETE],
        ] {
            let error = confirms(replies).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BadResponse, "{replies:?}");
        }
    }

    /// Whether `reply` confirms the update of an entity of this type and key.
    fn confirms_update(entity: EntityKey, reply: &str) -> bool {
        let operation = Operation::Update {
            entity,
            attribute_name: "value".into(),
            old_value: None,
            new_value: "v".into(),
        };
        let schema = schema();
        let body = format!(r#"[{{"action":"update","data":{reply}}}]"#);
        let batch = decode(&schema, &body.as_bytes().into()).unwrap();
        check_commit(&schema, &optimise(&[operation]), &batch).is_ok()
    }

    #[test]
    fn all_parts_of_a_key_must_agree() {
        for (parts, is_confirmed) in [
            (["a", "ä"], true),
            (["A", "ä"], true),
            (["a", "Ä"], true),
            (["a", "c"], false),
            (["c", "ä"], false),
        ] {
            let reply = r#"{"__entity_type__":"Metadata","parent_id":"a","key":"ä"}"#;
            let sent = EntityKey::composite("Metadata", parts);
            assert_eq!(confirms_update(sent, reply), is_confirmed, "{parts:?}");
        }
        let task = r#"{"__entity_type__":"Task","id":"a"}"#;
        for (sent, is_confirmed) in [
            (EntityKey::new("Task", "a"), true),
            (EntityKey::composite("Task", ["a", "b"]), false),
            (EntityKey::new("Nonesuch", "a"), false),
        ] {
            assert_eq!(confirms_update(sent.clone(), task), is_confirmed, "{sent}");
        }
    }

    #[test]
    fn what_a_reply_must_contain() {
        for (create, is_confirmed) in [
            (CREATE, true),
            // Servers may add members and leave out the action.
            (
                r#"{"data":{"__entity_type__":"Task","id":"a","name":"A","x":1},"metadata":{}}"#,
                true,
            ),
            (
                r#"{"action":"create","exception":null,"data":{"__entity_type__":"Task","id":"a"}}"#,
                true,
            ),
            ("{}", false),
            ("[]", false),
            ("true", false),
            (r#"{"data":null}"#, false),
            (r#"{"data":true}"#, false),
            (r#"{"data":[]}"#, false),
            (r#"{"data":[{"__entity_type__":"Task","id":"a"}]}"#, false),
            (r#"{"data":{"__entity_type__":"Task","id":"b"}}"#, false),
            (r#"{"data":{"__entity_type__":"Status","id":"a"}}"#, false),
            (r#"{"data":{"__entity_type__":"Task"}}"#, false),
            (r#"{"data":{"id":"a"}}"#, false),
            (
                r#"{"action":"update","data":{"__entity_type__":"Task","id":"a"}}"#,
                false,
            ),
            (
                r#"{"exception":"E","data":{"__entity_type__":"Task","id":"a"}}"#,
                false,
            ),
        ] {
            let outcome = confirms(&[create, UPDATE, DELETE]);
            assert_eq!(outcome.is_ok(), is_confirmed, "{create}: {outcome:?}");
        }
        for delete in [
            r#"{"action":"delete","data":false}"#,
            r#"{"action":"delete"}"#,
            r#"{"action":"delete","data":{"__entity_type__":"Status","id":"c"}}"#,
        ] {
            confirms(&[CREATE, UPDATE, delete]).unwrap_err();
        }
    }
}
