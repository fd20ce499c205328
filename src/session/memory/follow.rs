//! Following updates: entities that `ftrack.update` events name are invalidated.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Result;
use crate::event::{
    CONNECTED_TOPIC, ChangedEntity, DISCONNECTED_TOPIC, Event, UPDATE_TOPIC, UpdateAction,
};
use crate::handle::{Session, Shared};
use crate::hub::{ScopedSubscription, SubscribeOptions};
use crate::schema::{Attribute, EntityType, Schema, TypeId};
use crate::value::{EntityKey, Value};
use crate::wire::{EntityDelta, root_type};

/// The time limit for the confirmation of the subscription.
const CONFIRMATION_TIMEOUT: Duration = Duration::from_secs(10);

/// Follows the updates of the server until it is dropped. Made by [`Session::follow_updates`].
#[must_use = "bind it: `let _following = …`; `let _ = …` would drop it at once"]
#[derive(Debug)]
pub struct FollowUpdates(Vec<ScopedSubscription>);

impl Session {
    /// Invalidates entities that change on the server, in every cache of the session, so that the next
    /// read fetches them; deleted entities are removed. This lasts until the returned value is dropped.
    ///
    /// The event hub must be connected. Events are handled in its [`wait`](crate::EventHub::wait),
    /// [`poll`](crate::EventHub::poll) or [`next`](crate::EventHub::next), on the thread that calls
    /// them. Uncommitted local values stay. Of this session's own commits, only those values are
    /// invalidated that the server has changed beyond them.
    ///
    /// Values that were loaded before this call may already be stale. Changes are not reported while the
    /// hub is disconnected: when it connects again, everything in memory is invalidated, and entries of
    /// the backing cache count only if they are written later. The same holds if events were not handled
    /// for so long that the hub had to drop some.
    ///
    /// ```
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let open = || ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open();
    /// # let (session, other) = (open()?, open()?);
    /// use std::time::Duration;
    ///
    /// session.event_hub().connect()?;
    /// let _following = session.follow_updates()?;
    /// let task = session.query("select bid from Task")?.first()?.expect("a task");
    ///
    /// let theirs = other.query("select bid from Task")?.first()?.expect("a task");
    /// theirs.set("bid", 7200)?;
    /// other.commit()?;
    ///
    /// while task.get::<f64>("bid")? != 7200.0 {
    ///     session.event_hub().wait(Duration::from_millis(10))?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - Any error of [`EventHub::subscribe_with`](crate::EventHub::subscribe_with) if the hub is
    ///   connected and the server does not confirm the subscription.
    pub fn follow_updates(&self) -> Result<FollowUpdates> {
        let hub = self.event_hub();
        let connected = hub.is_connected();
        let gaps = Arc::new(Gaps {
            is_cut_off: AtomicBool::new(!connected),
            dropped: AtomicU64::new(hub.counts().dropped),
        });
        let mut following = FollowUpdates(Vec::new());
        for topic in [DISCONNECTED_TOPIC, CONNECTED_TOPIC, UPDATE_TOPIC] {
            // Before other handlers of the event, so that they read new values.
            let mut options = SubscribeOptions::new().priority(i32::MIN);
            if topic == UPDATE_TOPIC && connected {
                options = options.acknowledged(CONFIRMATION_TIMEOUT);
            }
            // The session owns the hub, so a handle in it would keep both alive.
            let shared = Arc::downgrade(&self.shared);
            let gaps = gaps.clone();
            let id =
                hub.subscribe_with(format!("topic={topic}").as_str(), options, move |event| {
                    if let Some(shared) = shared.upgrade() {
                        if gaps.is_after_one(event.topic(), shared.event_hub.counts().dropped) {
                            shared.invalidate_after_gap();
                        }
                        if event.topic() == UPDATE_TOPIC {
                            shared.handle_update(event)?;
                        }
                    }
                    Ok(None)
                })?;
            following.0.push(hub.scoped(id));
        }
        Ok(following)
    }
}

/// Detects that events were missed.
struct Gaps {
    is_cut_off: AtomicBool,
    /// How many events the hub had dropped at the last check.
    dropped: AtomicU64,
}

impl Gaps {
    /// Whether events may have been missed before an event with this topic, given how many the hub has
    /// dropped.
    fn is_after_one(&self, topic: &str, dropped: u64) -> bool {
        if topic == DISCONNECTED_TOPIC {
            self.is_cut_off.store(true, Ordering::Relaxed);
        }
        let is_back = topic == CONNECTED_TOPIC && self.is_cut_off.swap(false, Ordering::Relaxed);
        is_back || self.dropped.swap(dropped, Ordering::Relaxed) != dropped
    }
}

impl Shared {
    fn handle_update(&self, event: &Event) -> Result<()> {
        let update = event.update(self.schema.as_ref())?;
        let is_own = self.event_hub.is_own(event);
        for changed in &update.entities {
            // Unknown types are not cached.
            let Some(entity_type) = self.schema.find(&changed.entity_type) else {
                continue;
            };
            let key = key_of(entity_type, &changed.id);
            if !(is_own && self.is_known(entity_type, &key, changed)) {
                self.invalidate_changed(entity_type, &key, changed);
            }
        }
        Ok(())
    }

    /// Whether the session has the new values already. It has those that it committed, but not those
    /// that the server derived from them.
    fn is_known(&self, entity_type: &EntityType, key: &EntityKey, changed: &ChangedEntity) -> bool {
        let store = self.store.lock();
        let Some(place) = store.find_key(key) else {
            return false;
        };
        match changed.action {
            UpdateAction::Add => true,
            UpdateAction::Update | UpdateAction::Move => changed.changes.iter().all(|change| {
                // An unknown attribute is a custom one, which has a row of its own.
                let Ok(attribute) = entity_type.attribute(&change.attribute) else {
                    return true;
                };
                let counterpart = entity_type.counterpart(attribute);
                let names = [Some(attribute.name()), counterpart.map(Attribute::name)];
                let mut known = names.into_iter().flatten();
                known.any(|name| {
                    let value = store.remote(place, name);
                    value.is_some_and(|value| is_same(&value, &change.new))
                })
            }),
            UpdateAction::Remove | UpdateAction::Other(_) => false,
        }
    }

    fn invalidate_changed(
        &self,
        entity_type: &EntityType,
        key: &EntityKey,
        changed: &ChangedEntity,
    ) {
        let schema = &self.schema;
        let owners = owners_of(schema, entity_type, changed);
        let mut store = self.store.lock();
        match changed.action {
            UpdateAction::Remove => store.deleted_elsewhere(key),
            _ => store.invalidate(key),
        }
        for owner in &owners {
            store.invalidate_collections_of_key(owner, entity_type.name());
        }
        drop(store);
        if self.backing.get().is_none() {
            return;
        }
        self.remove_from_cache(&[(entity_type.id(), key.key().clone())]);
        let owners = owners.iter().filter_map(|owner| {
            let owner_type = schema.find(owner.entity_type())?.id();
            let mut known = EntityDelta::new(owner_type, owner.key().clone());
            known.changed_types.push(entity_type.id());
            Some(known)
        });
        self.write_to_cache(&owners.collect::<Vec<_>>());
    }

    /// Invalidates everything, because changes may not have been reported.
    fn invalidate_after_gap(&self) {
        self.store.lock().invalidate_all();
        if let Some(backing) = self.backing.get() {
            backing.invalidate_all();
        }
    }
}

/// Whether an event gives this value. Where that cannot be told, it counts as another one, which
/// costs a request.
fn is_same(value: &Value, event: &Value) -> bool {
    match (value, event) {
        (Value::Reference(key), Value::Text(id)) => key.parts().eq([id.as_str()]),
        (Value::Integer(known), Value::Number(given)) => *known as f64 == *given,
        (Value::Number(known), Value::Integer(given)) => *known == *given as f64,
        _ => value == event,
    }
}

/// The key in an event; the values of a composite key are separated by commas.
fn key_of(entity_type: &EntityType, id: &str) -> EntityKey {
    match entity_type.primary_key().len() {
        1 => EntityKey::new(entity_type.name(), id),
        _ => EntityKey::composite(entity_type.name(), id.split(',')),
    }
}

/// The owners of collections that may have gained or lost the entity: everything that its changed keys
/// and its parent refer to, as every type that has such a collection. Events do not contain the type of
/// an id.
fn owners_of(schema: &Schema, member: &EntityType, changed: &ChangedEntity) -> Vec<EntityKey> {
    let mut ids: BTreeSet<&str> = BTreeSet::new();
    for change in &changed.changes {
        if change.attribute.ends_with("id") {
            let both = [&change.old, &change.new];
            ids.extend(both.into_iter().filter_map(|value| match value {
                Value::Text(id) => Some(id.as_str()),
                _ => None,
            }));
        }
    }
    if !matches!(changed.action, UpdateAction::Update) {
        let parent = changed
            .parents
            .iter()
            .find(|parent| parent.id != changed.id);
        ids.extend(parent.map(|parent| parent.id.as_str()));
    }
    let families = root_types_with(schema, member);
    let owners = ids.iter().flat_map(|id| {
        let families = families.iter();
        families.map(move |family| EntityKey::new(schema.by_id(*family).name(), id))
    });
    owners.collect()
}

/// The root types of types with a collection that may contain the entity.
fn root_types_with(schema: &Schema, member: &EntityType) -> BTreeSet<TypeId> {
    let holds = |entity_type: &&EntityType| {
        let mut attributes = entity_type.attributes().iter();
        attributes.any(|attribute| {
            let target = attribute.members();
            target.is_some_and(|target| schema.is_kind_of(member.name(), target))
        })
    };
    let holding = schema.entity_types().iter().filter(holds);
    holding
        .map(|one| root_type(schema, one.id()).id())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_may_be_missed_after_a_disconnection_and_when_some_were_dropped() {
        let gaps = Gaps {
            is_cut_off: AtomicBool::new(false),
            dropped: AtomicU64::new(3),
        };
        let steps = [
            // The first connection.
            (CONNECTED_TOPIC, 3, false),
            (UPDATE_TOPIC, 3, false),
            (DISCONNECTED_TOPIC, 3, false),
            (CONNECTED_TOPIC, 3, true),
            (CONNECTED_TOPIC, 3, false),
            (UPDATE_TOPIC, 70, true),
            (UPDATE_TOPIC, 70, false),
            // Both announcements may be among them.
            (UPDATE_TOPIC, 71, true),
        ];
        for (number, (topic, dropped, expected)) in steps.into_iter().enumerate() {
            assert_eq!(gaps.is_after_one(topic, dropped), expected, "{number}");
        }
    }
}
