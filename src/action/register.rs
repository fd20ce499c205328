//! Registering actions: an action becomes two subscriptions.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Action, Outcome};
use crate::error::{Error, Result};
use crate::event::{Event, Filter};
use crate::handle::Session;
use crate::hub::{ScopedSubscription, SubscribeOptions};

/// Offers an action until it is dropped; see [`Session::register_action`].
#[derive(Debug)]
#[must_use = "bind it: `let _registration = …`; `let _ = …` would drop it at once"]
pub struct ActionRegistration {
    discover: ScopedSubscription,
    launch: ScopedSubscription,
}

impl ActionRegistration {
    /// Offers the action for as long as the session is open.
    pub fn keep(self) {
        self.discover.keep();
        self.launch.keep();
    }
}

impl Session {
    /// Offers an action in the menu of the session's user, or
    /// [of everybody](Action::for_everybody), until the returned value is dropped.
    ///
    /// The event hub must be connected, and something must wait for events, as for any
    /// subscription. The action does not keep the session open.
    ///
    /// ```
    /// # use ftrack_api::action::{Action, ActionItem, Launch, Outcome};
    /// # use ftrack_api::Session;
    /// # struct Greet;
    /// # impl Action for Greet {
    /// #     fn item(&self) -> ActionItem { ActionItem::new("studio.greet", "Greet") }
    /// #     fn launch(&self, _: &Session, _: &Launch) -> anyhow::Result<Outcome> {
    /// #         Ok(Outcome::success("hello"))
    /// #     }
    /// # }
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use std::time::Duration;
    ///
    /// session.event_hub().connect()?;
    /// let _registration = session.register_action(Greet)?;
    /// session.event_hub().wait(Duration::from_millis(20))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Syntax`](crate::ErrorKind::Syntax) if the identifier or the user's name
    ///   cannot be written in an event filter: nothing is registered.
    pub fn register_action(&self, action: impl Action) -> Result<ActionRegistration> {
        let [discover, launch] = action_handlers(action, self.api_user());
        let subscribe = |(filter, handler): (Filter, Handler)| {
            let id = self.subscribe_with(filter, SubscribeOptions::new(), handler)?;
            Ok::<_, Error>(self.event_hub().scoped(id))
        };
        Ok(ActionRegistration {
            discover: subscribe(discover)?,
            launch: subscribe(launch)?,
        })
    }
}

type Handler = Box<dyn Fn(&Session, &Event) -> anyhow::Result<Option<Value>> + Send + Sync>;

/// The subscriptions that offer an action to this user, or to everybody, and run it.
pub(crate) fn action_handlers(action: impl Action, user: &str) -> [(Filter, Handler); 2] {
    let action = Arc::new(action);
    let item = action.item();
    let of_user = |topic: Filter| match action.for_everybody() {
        true => topic,
        false => topic.and(Filter::equal("source.user.username", user)),
    };
    let identifier = Filter::equal("data.actionIdentifier", item.identifier());
    let discover = of_user(Filter::topic("ftrack.action.discover"));
    let launch = of_user(Filter::topic("ftrack.action.launch").and(identifier));
    let offered = Arc::clone(&action);
    let on_discover: Handler = Box::new(move |session, event| {
        let is_offered = offered.discover(session, &event.selection()?)?;
        Ok(is_offered.then(|| json!({"items": [offered.item()]})))
    });
    let on_launch: Handler = Box::new(move |session, event| {
        let launched = action.launch(session, &event.launch()?);
        let outcome = launched.unwrap_or_else(|error| {
            log::error!("action {}: {error:#}", action.item().identifier());
            Outcome::failure(format!("{error:#}"))
        });
        Ok(Some(outcome.to_json()))
    });
    [(discover, on_discover), (launch, on_launch)]
}
