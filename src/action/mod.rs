//! Actions: what users launch from ftrack's action menu, and the forms and widgets that actions
//! show them.

mod form;
mod item;
mod register;
mod selection;

use serde_json::{Value, json};

use crate::handle::Session;

pub use form::{Form, FormField};
pub use item::ActionItem;
pub use register::ActionRegistration;
pub(crate) use register::action_handlers;
pub use selection::{Launch, Selected, Selection};

/// An entry in ftrack's action menu; register it with
/// [`Session::register_action`](crate::Session::register_action).
///
/// The session is given to each call. An action that stored one would keep it open.
///
/// ```
/// use ftrack_api::Session;
/// use ftrack_api::action::{Action, ActionItem, Form, FormField, Launch, Outcome, Selection};
///
/// struct Rename;
///
/// impl Action for Rename {
///     fn item(&self) -> ActionItem {
///         ActionItem::new("studio.rename", "Rename").variant("shots")
///     }
///
///     fn discover(&self, session: &Session, selection: &Selection) -> anyhow::Result<bool> {
///         let entities = selection.entities(session)?;
///         Ok(entities.len() == 1 && entities[0].entity_type() == "Shot")
///     }
///
///     fn launch(&self, session: &Session, launch: &Launch) -> anyhow::Result<Outcome> {
///         let Some(name) = launch.value("name").and_then(|name| name.as_str()) else {
///             return Ok(Form::new("Rename").field(FormField::text("name", "New name")).into());
///         };
///         for shot in launch.entities(session)? {
///             shot.set("name", name)?;
///         }
///         session.commit()?;
///         Ok(Outcome::success(format!("renamed to {name}")))
///     }
/// }
/// assert_eq!(Rename.item().identifier(), "studio.rename");
/// ```
pub trait Action: Send + Sync + 'static {
    /// How it is shown in the menu, and its identifier.
    fn item(&self) -> ActionItem;

    /// Whether all users see it in their menu, not only the session's own user: for actions that
    /// run as a service.
    fn for_everybody(&self) -> bool {
        false
    }

    /// Whether it is offered for this selection.
    ///
    /// # Errors
    ///
    /// - Any error: it is logged, and the action is not offered.
    fn discover(&self, session: &Session, selection: &Selection) -> anyhow::Result<bool> {
        let _ = (session, selection);
        Ok(true)
    }

    /// Runs it. If it returns a [`Form`], it is launched again with the user's answers in
    /// [`values`](Launch::values).
    ///
    /// # Errors
    ///
    /// - Any error: it is logged, and shown to the user as a failure.
    fn launch(&self, session: &Session, launch: &Launch) -> anyhow::Result<Outcome>;
}

/// The result of an action, for the user who launched it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It succeeded or failed; the message is shown.
    Message {
        /// Whether it succeeded.
        success: bool,
        /// What the user sees.
        message: String,
    },
    /// The user is asked for more.
    Form(Form),
    /// A web page is shown in the web interface.
    Widget {
        /// The page.
        url: String,
        /// The title of the window.
        title: String,
    },
}

impl Outcome {
    /// It succeeded.
    pub fn success(message: impl Into<String>) -> Self {
        Self::Message {
            success: true,
            message: message.into(),
        }
    }

    /// It failed.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::Message {
            success: false,
            message: message.into(),
        }
    }

    /// Shows a web page, such as one of
    /// [`Session::get_widget_url`](crate::Session::get_widget_url).
    ///
    /// ```
    /// use ftrack_api::action::Outcome;
    /// let page = Outcome::widget("https://farm.example.com/jobs", "Render jobs");
    /// assert!(matches!(page, Outcome::Widget { .. }));
    /// ```
    pub fn widget(url: impl Into<String>, title: impl Into<String>) -> Self {
        Self::Widget {
            url: url.into(),
            title: title.into(),
        }
    }

    /// As it is sent to the server.
    fn to_json(&self) -> Value {
        match self {
            Self::Message { success, message } => json!({"success": success, "message": message}),
            Self::Form(form) => form.to_json(),
            Self::Widget { url, title } => {
                json!({"success": true, "message": "", "type": "widget", "url": url, "title": title})
            }
        }
    }
}

impl From<Form> for Outcome {
    fn from(form: Form) -> Self {
        Self::Form(form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_widget_on_the_wire() {
        let sent = Outcome::widget("https://x", "T").to_json();
        assert_eq!(
            (&sent["type"], &sent["url"], &sent["title"]),
            (&json!("widget"), &json!("https://x"), &json!("T"))
        );
    }
}
