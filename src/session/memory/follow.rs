//! Staying fresh: what `ftrack.update` events name is fetched again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::error::Result;
use crate::event::{ChangedEntity, Event, UpdateAction};
use crate::handle::{Session, Shared};
use crate::hub::{EventHub, SubscribeOptions, SubscriberId};
use crate::schema::{Attribute, AttributeKind, EntityType, Schema, TypeId};
use crate::value::{EntityKey, Value};
use crate::wire::{EntityDelta, root_type};

/// How long the server may take to confirm the subscription.
const PATIENCE: Duration = Duration::from_secs(10);

/// Follows the server's updates, until it is dropped. Made by [`Session::follow_updates`].
#[must_use = "the session stops to follow when this is dropped"]
#[derive(Debug)]
pub struct FollowUpdates {
    hub: EventHub,
    subscribers: Vec<SubscriberId>,
}

impl Session {
    /// Marks what changes on the server as stale in every cache of the session, so that the next
    /// read fetches it; what is deleted leaves. It does so while the returned value lives.
    ///
    /// The event hub must be connected for it, and the events are taken in by its
    /// [`wait`](crate::EventHub::wait), [`poll`](crate::EventHub::poll) or
    /// [`next`](crate::EventHub::next), on the thread that calls these. What was set here and is
    /// not committed stays. Of what this session itself commits only that is stale which the
    /// server has changed beyond it.
    ///
    /// What was known before this is called is as old as it is. What changes while the hub is not
    /// connected is not told afterwards: when it connects again, everything in memory is stale,
    /// and what lies in the cache below counts only if it was put there later. So it is when
    /// nobody took in events for so long that the hub had to drop some.
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
    /// If the hub is connected and the server does not confirm the subscription: as for
    /// [`EventHub::subscribe_with`](crate::EventHub::subscribe_with).
    pub fn follow_updates(&self) -> Result<FollowUpdates> {
        let hub = self.event_hub();
        let connected = hub.is_connected();
        let gaps = Arc::new(Gaps {
            is_cut_off: AtomicBool::new(!connected),
            dropped: AtomicU64::new(hub.counts().dropped),
        });
        let mut following = FollowUpdates {
            hub: hub.clone(),
            subscribers: Vec::new(),
        };
        for topic in [DISCONNECTED, CONNECTED, UPDATE] {
            // First of all, so that other handlers of the event read what is fresh.
            let mut options = SubscribeOptions::new().priority(i32::MIN);
            if topic == UPDATE && connected {
                options = options.acknowledged(PATIENCE);
            }
            // The hub belongs to the session, so a handle in it would keep both alive.
            let shared = Arc::downgrade(&self.shared);
            let gaps = gaps.clone();
            let id =
                hub.subscribe_with(format!("topic={topic}").as_str(), options, move |event| {
                    if let Some(shared) = shared.upgrade() {
                        if gaps.is_after_one(event.topic(), shared.event_hub.counts().dropped) {
                            shared.take_in_gap();
                        }
                        if event.topic() == UPDATE {
                            shared.take_in_update(event)?;
                        }
                    }
                    Ok(None)
                })?;
            following.subscribers.push(id);
        }
        Ok(following)
    }
}

const UPDATE: &str = "ftrack.update";
const CONNECTED: &str = "ftrack.meta.connected";
const DISCONNECTED: &str = "ftrack.meta.disconnected";

/// Where events may be missing.
struct Gaps {
    is_cut_off: AtomicBool,
    /// How many events the hub had dropped when it was last looked at.
    dropped: AtomicU64,
}

impl Gaps {
    /// Whether something may have been missed before an event with this topic, when the hub has
    /// dropped so many.
    fn is_after_one(&self, topic: &str, dropped: u64) -> bool {
        if topic == DISCONNECTED {
            self.is_cut_off.store(true, Ordering::Relaxed);
        }
        let is_back = topic == CONNECTED && self.is_cut_off.swap(false, Ordering::Relaxed);
        is_back || self.dropped.swap(dropped, Ordering::Relaxed) != dropped
    }
}

impl Drop for FollowUpdates {
    fn drop(&mut self) {
        for id in &self.subscribers {
            // Somebody may have unsubscribed it already.
            let _ = self.hub.unsubscribe(id);
        }
    }
}

impl Shared {
    fn take_in_update(&self, event: &Event) -> Result<()> {
        let update = event.update(self.schema.as_ref())?;
        let is_own = self.event_hub.is_own(event);
        for changed in &update.entities {
            // What the schema does not have is not cached.
            let Some(entity_type) = self.schema.find(&changed.entity_type) else {
                continue;
            };
            let key = key_of(entity_type, &changed.id);
            if !(is_own && self.is_known(entity_type, &key, changed)) {
                self.take_in(entity_type, &key, changed);
            }
        }
        Ok(())
    }

    /// Whether the session knows of a change already, as it does of its own, but not of what the
    /// server does in their wake.
    fn is_known(&self, entity_type: &EntityType, key: &EntityKey, changed: &ChangedEntity) -> bool {
        let store = self.store.lock();
        let Some(place) = store.find_key(key) else {
            return false;
        };
        match changed.action {
            UpdateAction::Add => true,
            UpdateAction::Update | UpdateAction::Move => changed.changes.iter().all(|change| {
                // An attribute that the schema does not have is a custom one, with a row of its own.
                let Ok(attribute) = entity_type.attribute(&change.attribute) else {
                    return true;
                };
                let counterpart = self.schema.counterpart(entity_type, attribute);
                let names = [Some(attribute.name()), counterpart.map(Attribute::name)];
                let mut known = names.into_iter().flatten();
                known.any(|name| {
                    let value = store.remote(place, name);
                    value.is_some_and(|value| says(&value, &change.new))
                })
            }),
            UpdateAction::Remove | UpdateAction::Other(_) => false,
        }
    }

    fn take_in(&self, entity_type: &EntityType, key: &EntityKey, changed: &ChangedEntity) {
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

    /// Nothing is told of what happened while there was no connection.
    fn take_in_gap(&self) {
        self.store.lock().invalidate_all();
        if let Some(backing) = self.backing.get() {
            backing.invalidate_all();
        }
    }
}

/// Whether an event gives this value. Where that cannot be told, it counts as another one, which
/// costs a request.
fn says(value: &Value, event: &Value) -> bool {
    match (value, event) {
        (Value::Reference(key), Value::Text(id)) => key.parts().eq([id.as_str()]),
        (Value::Integer(known), Value::Number(given)) => *known as f64 == *given,
        (Value::Number(known), Value::Integer(given)) => *known == *given as f64,
        _ => value == event,
    }
}

/// The key that an event names; the values of keys with several stand with commas between.
fn key_of(entity_type: &EntityType, id: &str) -> EntityKey {
    match entity_type.primary_key().len() {
        1 => EntityKey::new(entity_type.name(), id),
        _ => EntityKey::composite(entity_type.name(), id.split(',')),
    }
}

/// Whose collections may have gained or lost the entity: everything that its changed keys and its
/// place below others refer to, of every type that has such a collection. Events do not say of
/// which type an id is.
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
    let families = families_with(schema, member);
    let owners = ids.iter().flat_map(|id| {
        let families = families.iter();
        families.map(move |family| EntityKey::new(schema.by_id(*family).name(), id))
    });
    owners.collect()
}

/// The families of the types that have a collection in which the entity may be.
fn families_with(schema: &Schema, member: &EntityType) -> BTreeSet<TypeId> {
    let holds = |entity_type: &&EntityType| {
        let mut attributes = entity_type.attributes().iter();
        attributes.any(|attribute| match attribute.kind() {
            AttributeKind::Collection(target) | AttributeKind::Mapped(target) => {
                schema.is_kind_of(member.name(), target)
            }
            _ => false,
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
    fn something_may_be_missed_after_a_loss_and_among_dropped_events() {
        let gaps = Gaps {
            is_cut_off: AtomicBool::new(false),
            dropped: AtomicU64::new(3),
        };
        let steps = [
            // The connection that was there from the beginning.
            (CONNECTED, 3, false),
            (UPDATE, 3, false),
            (DISCONNECTED, 3, false),
            (CONNECTED, 3, true),
            (CONNECTED, 3, false),
            (UPDATE, 70, true),
            (UPDATE, 70, false),
            // Both announcements may be among them.
            (UPDATE, 71, true),
        ];
        for (number, (topic, dropped, expected)) in steps.into_iter().enumerate() {
            assert_eq!(gaps.is_after_one(topic, dropped), expected, "{number}");
        }
    }
}
