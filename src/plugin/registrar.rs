//! What a plugin registers.

use std::sync::Arc;

use serde_json::Value;

use crate::action::{Action, action_handlers};
use crate::error::{Result, caught};
use crate::event::{Event, Filter, IntoFilter};
use crate::handle::{Session, WeakSession};
use crate::hub::{EventHub, SubscribeOptions, SubscriberId};
use crate::schema::EntityTypeChanges;

/// The handler of an event.
type Callback = Arc<dyn Fn(&Session, &Event) -> anyhow::Result<Option<Value>> + Send + Sync>;

/// A change to an entity type.
pub(super) type Change =
    Box<dyn Fn(&mut EntityTypeChanges<'_>) -> anyhow::Result<()> + Send + Sync>;

/// Collects what a plugin registers. It takes effect when
/// [`Plugin::register`](super::Plugin::register) returns without an error, and not at all otherwise.
///
/// The session is not open yet at that time. Handlers get it when they are called, which is after it
/// was opened.
pub struct Registrar {
    session: WeakSession,
    api_user: String,
    pub(super) subscriptions: Vec<Subscription>,
    pub(super) changes: Vec<(Option<String>, Change)>,
}

pub(super) struct Subscription {
    filter: Filter,
    options: SubscribeOptions,
    callback: Callback,
}

// How much was collected.
debug_fields!(Registrar, |this|
    api_user: this.api_user,
    subscriptions: this.subscriptions.len(),
    changes: this.changes.len(),
);

impl Registrar {
    pub(super) fn new(session: WeakSession, api_user: &str) -> Self {
        Self {
            session,
            api_user: api_user.to_owned(),
            subscriptions: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// A weak handle of the session that is being opened, for code that does not get the session. It
    /// cannot be upgraded before the session is open, and does not keep it open.
    pub fn session(&self) -> WeakSession {
        self.session.clone()
    }

    /// The name of the user that the session belongs to.
    pub fn api_user(&self) -> &str {
        &self.api_user
    }

    /// Calls the handler for every event that matches the filter, as
    /// [`EventHub::subscribe`] does, but with the session.
    ///
    /// ```
    /// # use ftrack_api::plugin::{Arguments, Plugin, Registrar};
    /// # struct Example;
    /// # impl Plugin for Example {
    /// # fn name(&self) -> &str { "example" }
    /// # fn version(&self) -> &str { "1.0" }
    /// fn register(&self, registrar: &mut Registrar, _: &Arguments) -> anyhow::Result<()> {
    ///     registrar.subscribe("topic=studio.task-count", |session, _| {
    ///         Ok(Some(session.query("Task")?.count()?.into()))
    ///     })
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`](crate::ErrorKind::Syntax) if the filter is invalid.
    pub fn subscribe(
        &mut self,
        filter: impl IntoFilter,
        callback: impl Fn(&Session, &Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        self.subscribe_with(filter, SubscribeOptions::new(), callback)
    }

    /// [`subscribe`](Self::subscribe) with metadata, a priority and more. Waiting for the
    /// server's acknowledgement makes no sense here: the hub is not connected yet.
    ///
    /// # Errors
    ///
    /// - Any error of [`subscribe`](Self::subscribe).
    pub fn subscribe_with(
        &mut self,
        filter: impl IntoFilter,
        options: SubscribeOptions,
        callback: impl Fn(&Session, &Event) -> anyhow::Result<Option<Value>> + Send + Sync + 'static,
    ) -> anyhow::Result<()> {
        let filter = filter.into_filter()?;
        self.subscriptions.push(Subscription {
            filter,
            options,
            // Panics become errors here, in the plugin's own library.
            callback: Arc::new(move |session, event| caught(|| callback(session, event))),
        });
        Ok(())
    }

    /// Calls back when the locations of a session are to be configured: when it has been opened,
    /// and after each [`reset`](Session::reset). It is the event
    /// `ftrack.api.session.configure-location`.
    pub fn configure_location(
        &mut self,
        callback: impl Fn(&Session) -> anyhow::Result<()> + Send + Sync + 'static,
    ) {
        self.on(super::CONFIGURE_LOCATION, callback);
    }

    /// Calls back when the session is open and its locations are configured. It is the event
    /// `ftrack.api.session.ready`.
    pub fn ready(
        &mut self,
        callback: impl Fn(&Session) -> anyhow::Result<()> + Send + Sync + 'static,
    ) {
        self.on(super::READY, callback);
    }

    fn on(
        &mut self,
        topic: &str,
        callback: impl Fn(&Session) -> anyhow::Result<()> + Send + Sync + 'static,
    ) {
        let filter = Filter::topic(topic);
        let callback = move |session: &Session, _: &Event| callback(session).map(|()| None);
        let subscribed = self.subscribe(filter, callback);
        debug_assert!(subscribed.is_ok(), "our own topics can be written");
    }

    /// Determines the type of files: the callback returns the type for a path, or `None`; see
    /// [`Session::file_type_from_string`]. It is the event
    /// `ftrack.api.session.get-file-type-from-string`.
    pub fn file_type(&mut self, callback: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
        let filter = Filter::topic(super::FILE_TYPE);
        let subscribed = self.subscribe(filter, move |_, event| {
            let path = event.data()["file_path"].as_str().unwrap_or_default();
            Ok(callback(path).map(Value::from))
        });
        debug_assert!(subscribed.is_ok(), "our own topics can be written");
    }

    /// Offers an action in ftrack's menu, as [`Session::register_action`] does.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`](crate::ErrorKind::Syntax) if the identifier cannot be written in an
    ///   expression.
    pub fn action(&mut self, action: impl Action) -> anyhow::Result<()> {
        for (filter, handler) in action_handlers(action, &self.api_user) {
            self.subscribe(filter, handler)?;
        }
        Ok(())
    }

    /// Changes an entity type before the session uses it; what Python plugins do in
    /// `ftrack.api.session.construct-entity-type`. The change is called once for the type with
    /// this name; methods of your own are added to all entities with a trait that you implement
    /// for [`Entity`](crate::Entity).
    ///
    /// ```
    /// # use ftrack_api::plugin::{Arguments, Plugin, Registrar};
    /// # struct Example;
    /// # impl Plugin for Example {
    /// # fn name(&self) -> &str { "example" }
    /// # fn version(&self) -> &str { "1.0" }
    /// fn register(&self, registrar: &mut Registrar, _: &Arguments) -> anyhow::Result<()> {
    ///     registrar.entity_type("Task", |task| {
    ///         task.add_default_projections(["status.name"])?;
    ///         task.set_read_only("bid")?;
    ///         Ok(())
    ///     });
    ///     Ok(())
    /// }
    /// # }
    /// ```
    pub fn entity_type(
        &mut self,
        name: impl Into<String>,
        change: impl Fn(&mut EntityTypeChanges<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
    ) {
        self.changes.push((
            Some(name.into()),
            Box::new(move |one| caught(|| change(one))),
        ));
    }

    /// [`entity_type`](Self::entity_type) for every type of the server.
    pub fn entity_types(
        &mut self,
        change: impl Fn(&mut EntityTypeChanges<'_>) -> anyhow::Result<()> + Send + Sync + 'static,
    ) {
        self.changes
            .push((None, Box::new(move |one| caught(|| change(one)))));
    }
}

impl Subscription {
    /// Subscribes; errors of the handler carry the plugin's name.
    pub(super) fn subscribe(
        self,
        hub: &EventHub,
        session: WeakSession,
        plugin: &str,
    ) -> Result<SubscriberId> {
        let (plugin, callback) = (plugin.to_owned(), self.callback);
        hub.subscribe_with(self.filter, self.options, move |event| {
            let Some(session) = session.upgrade() else {
                log::debug!(
                    "plugin {plugin}: ignored {}, because the session is not open",
                    event.topic()
                );
                return Ok(None);
            };
            let reply = callback(&session, event);
            reply.map_err(|error| error.context(format!("plugin {plugin}")))
        })
    }
}
