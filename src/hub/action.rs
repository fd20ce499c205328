//! Registering actions: an `Action` becomes two subscriptions.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::error::Result;
use crate::event::{Action, Event, Expression, Outcome};
use crate::hub::{EventHub, ScopedSubscription};

/// An action that can be started from ftrack's menu until this is dropped.
#[derive(Debug)]
#[must_use = "the action disappears when this is dropped"]
pub struct ActionRegistration {
    discover: ScopedSubscription,
    launch: ScopedSubscription,
}

impl ActionRegistration {
    /// Keeps the action for as long as the hub lives.
    pub fn keep(self) {
        self.discover.keep();
        self.launch.keep();
    }
}

impl EventHub {
    /// Offers an action in the menu of the user as whom the hub is connected, or
    /// [of everybody](Action::for_everybody).
    ///
    /// Something must wait for events, as for any handler.
    ///
    /// # Errors
    ///
    /// `Syntax` if the identifier or the user name cannot be written in an expression.
    pub fn register_action(&self, action: impl Action) -> Result<ActionRegistration> {
        let [discover, launch] = action_handlers(action, &self.inner.config.api_user);
        Ok(ActionRegistration {
            discover: self.subscribe_scoped(discover.0, discover.1)?,
            launch: self.subscribe_scoped(launch.0, launch.1)?,
        })
    }
}

type Handler = Box<dyn Fn(&Event) -> anyhow::Result<Option<Value>> + Send + Sync>;

/// What an action subscribes to, to be seen and to be started by this user or by everybody.
pub(crate) fn action_handlers(action: impl Action, user: &str) -> [(Expression, Handler); 2] {
    let action = Arc::new(action);
    let item = action.item();
    let of_user = |topic: Expression| match action.for_everybody() {
        true => topic,
        false => topic.and(Expression::equal("source.user.username", user)),
    };
    let identifier = Expression::equal("data.actionIdentifier", item.identifier());
    let discover = of_user(Expression::topic("ftrack.action.discover"));
    let launch = of_user(Expression::topic("ftrack.action.launch").and(identifier));
    let offered = Arc::clone(&action);
    let on_discover: Handler = Box::new(move |event| {
        let wanted = offered.discover(&event.selection()?)?;
        Ok(wanted.then(|| json!({"items": [offered.item()]})))
    });
    let on_launch: Handler = Box::new(move |event| {
        let outcome = action.launch(&event.launch()?).unwrap_or_else(|error| {
            log::error!("action {}: {error:#}", action.item().identifier());
            Outcome::failure(format!("{error:#}"))
        });
        Ok(Some(outcome.to_json()))
    });
    [(discover, on_discover), (launch, on_launch)]
}
