//! Staying fresh: what `ftrack.update` events name is fetched again.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use serde_json::Value as Json;

use crate::error::Result;
use crate::event::{ChangedEntity, Event, UpdateAction};
use crate::handle::{Session, Shared};
use crate::hub::{EventHub, SubscribeOptions, SubscriberId};
use crate::schema::{AttributeKind, EntityType, Schema, TypeId};
use crate::value::EntityKey;
use crate::wire::{Known, family};

/// Follows the server's updates, until it is dropped. Made by [`Session::follow_updates`].
#[must_use = "the session stops to follow when this is dropped"]
#[derive(Debug)]
pub struct FollowUpdates {
    hub: EventHub,
    subscribers: Vec<SubscriberId>,
}

impl Session {
    /// Marks what others change as stale in every cache of the session, so that the next read
    /// fetches it; what they delete leaves. It does so while the returned value lives.
    ///
    /// The event hub must be connected for it, and the events are taken in by its
    /// [`wait`](crate::EventHub::wait), [`poll`](crate::EventHub::poll) or
    /// [`next`](crate::EventHub::next), on the thread that calls these. What was set here and is
    /// not committed stays. Changes of this session itself are known already.
    ///
    /// What is changed while the hub is not connected is not told afterwards: when it connects
    /// again, everything in memory is stale, and what lies in the cache below counts only if it
    /// was put there later.
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
    /// As for [`EventHub::subscribe`](crate::EventHub::subscribe).
    pub fn follow_updates(&self) -> Result<FollowUpdates> {
        let hub = self.event_hub();
        let mut following = FollowUpdates {
            hub: hub.clone(),
            subscribers: Vec::new(),
        };
        // First of all, so that other handlers of the event read what is fresh.
        let first = || SubscribeOptions::new().priority(i32::MIN);
        let updates = self.taking_in(Shared::take_in_update);
        let id = hub.subscribe_with("topic=ftrack.update", first().ignore_own(), updates)?;
        following.subscribers.push(id);
        let was_lost = Arc::new(AtomicBool::new(false));
        let lost = was_lost.clone();
        let id = hub.subscribe_with("topic=ftrack.meta.disconnected", first(), move |_| {
            lost.store(true, Ordering::Relaxed);
            Ok(None)
        })?;
        following.subscribers.push(id);
        let back = self.taking_in(move |shared, _| {
            if was_lost.swap(false, Ordering::Relaxed) {
                shared.take_in_gap();
            }
            Ok(())
        });
        let id = hub.subscribe_with("topic=ftrack.meta.connected", first(), back)?;
        following.subscribers.push(id);
        Ok(following)
    }

    /// A handler that does nothing once the session is gone. The hub belongs to the session, so a
    /// handle in it would keep both alive.
    fn taking_in(
        &self,
        take_in: impl Fn(&Shared, &Event) -> Result<()> + Send + Sync + 'static,
    ) -> impl Fn(&Event) -> anyhow::Result<Option<Json>> + Send + Sync + 'static {
        let shared: Weak<Shared> = Arc::downgrade(&self.shared);
        move |event| {
            if let Some(shared) = shared.upgrade() {
                take_in(&shared, event)?;
            }
            Ok(None)
        }
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
        for changed in &update.entities {
            // What the schema does not have is not cached.
            if let Some(entity_type) = self.schema.find(&changed.entity_type) {
                self.take_in(entity_type, changed);
            }
        }
        Ok(())
    }

    fn take_in(&self, entity_type: &EntityType, changed: &ChangedEntity) {
        let schema = &self.schema;
        let key = key_of(entity_type, &changed.id);
        let owners = owners_of(schema, entity_type, changed);
        let mut store = self.store.lock();
        match changed.action {
            UpdateAction::Remove => store.deleted_elsewhere(&key),
            _ => store.forget_values(&key),
        }
        for owner in &owners {
            store.forget_members(owner, entity_type.name());
        }
        drop(store);
        if self.lower.get().is_none() {
            return;
        }
        self.remove_from_cache(&[(entity_type.id(), key.key().clone())]);
        let owners = owners.iter().filter_map(|owner| {
            let owner_type = schema.find(owner.entity_type())?.id();
            let mut known = Known::new(owner_type, owner.key().clone());
            known.moved.push(entity_type.id());
            Some(known)
        });
        self.write_to_cache(&owners.collect::<Vec<_>>());
    }

    /// Nothing is told of what happened while there was no connection.
    fn take_in_gap(&self) {
        self.store.lock().forget_all();
        if let Some(lower) = self.lower.get() {
            lower.distrust();
        }
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
            ids.extend(both.into_iter().filter_map(Json::as_str));
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
    holding.map(|one| family(schema, one.id()).id()).collect()
}
