//! Actions: what users start from ftrack's action menu, and the forms that ask them questions.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::event::model::Event;
use crate::event::update::Names;
use crate::value::EntityKey;

/// An entry in ftrack's action menu; hand it to `EventHub::register_action`.
///
/// ```
/// use ftrack_api::event::{Action, ActionItem, Form, FormField, Launch, Outcome, Selected};
///
/// struct Rename;
///
/// impl Action for Rename {
///     fn item(&self) -> ActionItem {
///         ActionItem::new("studio.rename", "Rename").variant("shots")
///     }
///
///     fn discover(&self, selection: &[Selected]) -> anyhow::Result<bool> {
///         Ok(selection.len() == 1)
///     }
///
///     fn launch(&self, launch: &Launch) -> anyhow::Result<Outcome> {
///         match launch.value("name").and_then(|name| name.as_str()) {
///             Some(name) => Ok(Outcome::success(format!("renamed to {name}"))),
///             None => Ok(Form::new("Rename").field(FormField::text("name", "New name")).into()),
///         }
///     }
/// }
/// assert_eq!(Rename.item().identifier(), "studio.rename");
/// ```
pub trait Action: Send + Sync + 'static {
    /// How it is shown in the menu, and its identifier.
    fn item(&self) -> ActionItem;

    /// Whether all users see it in their menu, and not only the one as whom the hub is connected:
    /// for actions that run as a service.
    fn for_everybody(&self) -> bool {
        false
    }

    /// Whether it can be started for this selection.
    ///
    /// # Errors
    ///
    /// Any; it is logged and the action is not shown.
    fn discover(&self, selection: &[Selected]) -> anyhow::Result<bool> {
        let _ = selection;
        Ok(true)
    }

    /// Does it. Asking with a [`Form`] starts it again with the answers in
    /// [`values`](Launch::values).
    ///
    /// # Errors
    ///
    /// Any; it is logged and shown to the user as a failure.
    fn launch(&self, launch: &Launch) -> anyhow::Result<Outcome>;
}

/// How an [`Action`] is shown in the menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ActionItem {
    #[serde(rename = "actionIdentifier")]
    identifier: String,
    label: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    icon: Option<String>,
}

impl ActionItem {
    /// An entry with an identifier, unique among all actions of the site, and a label.
    pub fn new(identifier: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            identifier: identifier.into(),
            label: label.into(),
            variant: None,
            description: None,
            icon: None,
        }
    }

    /// Sets the variant: entries with the same label are grouped and told apart by it.
    #[must_use]
    pub fn variant(mut self, variant: impl Into<String>) -> Self {
        self.variant = Some(variant.into());
        self
    }

    /// Sets what is shown as explanation.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets the URL, or the name, of the icon.
    #[must_use]
    pub fn icon(mut self, icon: impl Into<String>) -> Self {
        self.icon = Some(icon.into());
        self
    }

    /// The identifier.
    pub fn identifier(&self) -> &str {
        &self.identifier
    }
}

/// One entity that the user has selected.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Selected {
    /// Its id.
    #[serde(rename = "entityId")]
    pub id: String,
    /// Its type as the web interface names it, such as `task` or `show`.
    #[serde(rename = "entityType", default)]
    pub legacy_type: String,
}

impl Selected {
    /// Its key under today's name of its type, to load it with `session.get`; see
    /// [`Names`]. What is called `task` here may be any kind of `TypedContext`, a shot for example.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// # let server = ftrack_emulator::Emulator::start()?;
    /// # let session = ftrack_api::Session::builder()
    /// #     .server_url(server.url()).api_key(server.api_key()).api_user(server.api_user()).open()?;
    /// # let shot = session.query("Shot")?.first()?.expect("a shot");
    /// # let id = shot.id();
    /// let event = Event::new("ftrack.action.launch").data(serde_json::json!({
    ///     "actionIdentifier": "studio.rename",
    ///     "selection": [{ "entityId": &*id, "entityType": "task" }]
    /// }));
    /// let key = event.selection()?[0].key(session.schema());
    /// let selected = session.get(key.entity_type(), &key)?;
    /// assert_eq!(selected.expect("it is there").entity_type(), "Shot");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn key(&self, names: &(impl Names + ?Sized)) -> EntityKey {
        let known = names.entity_type(&self.legacy_type);
        EntityKey::new(known.as_deref().unwrap_or(&self.legacy_type), &self.id)
    }
}

/// The content of an `ftrack.action.launch` event.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Launch {
    /// Which action is to run.
    #[serde(rename = "actionIdentifier")]
    pub identifier: String,
    /// What the user has selected.
    #[serde(default)]
    pub selection: Vec<Selected>,
    /// The answers to a [`Form`]; empty at first.
    #[serde(default)]
    pub values: Map<String, Value>,
    /// The name of the user who starts it.
    #[serde(skip)]
    pub username: Option<String>,
    /// Anything else that came along, such as the label or the application.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl Launch {
    /// The answer to one field of a [`Form`].
    pub fn value(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }
}

impl Event {
    /// What the user has selected, in an `ftrack.action.discover` or `.launch`.
    ///
    /// # Errors
    ///
    /// `BadResponse` if the data has another shape.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// let event = Event::new("ftrack.action.discover").data(serde_json::json!({
    ///     "selection": [{ "entityId": "7a", "entityType": "task" }]
    /// }));
    /// assert_eq!(event.selection()?[0].id, "7a");
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn selection(&self) -> Result<Vec<Selected>> {
        #[derive(Deserialize)]
        struct Discover {
            #[serde(default)]
            selection: Vec<Selected>,
        }
        Ok(self.data_as::<Discover>()?.selection)
    }

    /// The content of an `ftrack.action.launch`.
    ///
    /// # Errors
    ///
    /// `BadResponse` if the data has another shape.
    ///
    /// ```
    /// use ftrack_api::Event;
    /// let event = Event::new("ftrack.action.launch").data(serde_json::json!({
    ///     "actionIdentifier": "studio.rename", "values": { "name": "sh020" }
    /// }));
    /// assert_eq!(event.launch()?.value("name").unwrap(), "sh020");
    /// # Ok::<(), ftrack_api::Error>(())
    /// ```
    pub fn launch(&self) -> Result<Launch> {
        let launch: Launch = self.data_as()?;
        Ok(Launch {
            username: self.username().map(str::to_owned),
            ..launch
        })
    }
}

/// What an action answers.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Outcome {
    /// It is done, or failed; the message is shown to the user.
    Message {
        /// Whether it worked.
        success: bool,
        /// What the user sees.
        message: String,
    },
    /// The user is asked for more.
    Form(Form),
}

impl Outcome {
    /// It worked.
    pub fn success(message: impl Into<String>) -> Self {
        Self::Message {
            success: true,
            message: message.into(),
        }
    }

    /// It did not.
    pub fn failure(message: impl Into<String>) -> Self {
        Self::Message {
            success: false,
            message: message.into(),
        }
    }

    /// As it is sent to the server.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Message { success, message } => json!({"success": success, "message": message}),
            Self::Form(form) => {
                let items: Vec<_> = form.fields.iter().map(|field| &field.json).collect();
                let mut answer = json!({
                    "success": true, "message": "", "type": "form", "title": form.title,
                    "items": items,
                });
                if let Some(label) = &form.button {
                    answer["submit_button_label"] = label.as_str().into();
                }
                answer
            }
        }
    }
}

impl From<Form> for Outcome {
    fn from(form: Form) -> Self {
        Self::Form(form)
    }
}

/// Questions to the user.
#[derive(Clone, Debug, PartialEq)]
pub struct Form {
    title: String,
    button: Option<String>,
    fields: Vec<FormField>,
}

impl Form {
    /// A form with a title and no fields.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            button: None,
            fields: Vec::new(),
        }
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, field: FormField) -> Self {
        self.fields.push(field);
        self
    }

    /// Sets the text of the button.
    #[must_use]
    pub fn button(mut self, label: impl Into<String>) -> Self {
        self.button = Some(label.into());
        self
    }
}

/// One field of a [`Form`].
#[derive(Clone, Debug, PartialEq)]
pub struct FormField {
    json: Map<String, Value>,
}

impl FormField {
    /// A text that is shown and cannot be changed.
    pub fn label(text: impl Into<String>) -> Self {
        Self::make("label", [("value", text.into().into())])
    }

    /// A line of text.
    pub fn text(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::named("text", name, label)
    }

    /// Several lines of text.
    pub fn textarea(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::named("textarea", name, label)
    }

    /// A number.
    pub fn number(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::named("number", name, label)
    }

    /// A date.
    pub fn date(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::named("date", name, label)
    }

    /// A check box.
    pub fn boolean(name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::named("boolean", name, label)
    }

    /// A choice; every option has a label and a value.
    ///
    /// ```
    /// use ftrack_api::event::FormField;
    /// let field = FormField::enumerator("size", "Size", [("Small", 1), ("Large", 2)]);
    /// assert_eq!(field.as_json()["data"][1]["value"], 2);
    /// ```
    pub fn enumerator<L: Into<String>, V: Into<Value>>(
        name: impl Into<String>,
        label: impl Into<String>,
        options: impl IntoIterator<Item = (L, V)>,
    ) -> Self {
        let option = |(label, value): (L, V)| json!({"label": label.into(), "value": value.into()});
        let options: Vec<_> = options.into_iter().map(option).collect();
        let mut field = Self::named("enumerator", name, label);
        field.json.insert("data".into(), options.into());
        field
    }

    /// A value that comes back without being shown.
    pub fn hidden(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::make(
            "hidden",
            [("name", name.into().into()), ("value", value.into())],
        )
    }

    /// Sets what the field holds at first.
    #[must_use]
    pub fn value(mut self, value: impl Into<Value>) -> Self {
        self.json.insert("value".into(), value.into());
        self
    }

    /// The field as it is sent, for anything this type does not know.
    pub fn as_json(&self) -> &Map<String, Value> {
        &self.json
    }

    fn named(kind: &str, name: impl Into<String>, label: impl Into<String>) -> Self {
        Self::make(
            kind,
            [("name", name.into().into()), ("label", label.into().into())],
        )
    }

    fn make<const N: usize>(kind: &str, entries: [(&str, Value); N]) -> Self {
        let mut json = Map::from_iter([("type".to_string(), Value::from(kind))]);
        json.extend(entries.map(|(key, value)| (key.to_string(), value)));
        Self { json }
    }
}

impl From<Map<String, Value>> for FormField {
    /// A field of a kind that this library does not know.
    fn from(json: Map<String, Value>) -> Self {
        Self { json }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_form_on_the_wire() {
        let form = Form::new("Title")
            .field(FormField::label("Hello"))
            .field(FormField::number("n", "Number").value(3))
            .field(FormField::hidden("h", "x"))
            .button("Go");
        assert_eq!(
            Outcome::from(form).to_json(),
            json!({
                "success": true, "message": "", "type": "form", "title": "Title",
                "submit_button_label": "Go",
                "items": [
                    {"type": "label", "value": "Hello"},
                    {"type": "number", "name": "n", "label": "Number", "value": 3},
                    {"type": "hidden", "name": "h", "value": "x"}
                ]
            })
        );
    }

    #[test]
    fn a_launch_keeps_what_it_does_not_know() {
        let event = Event::new("ftrack.action.launch").data(json!({
            "actionIdentifier": "a", "selection": [{"entityId": "1", "entityType": "task"}],
            "label": "L"
        }));
        let launch = event.launch().unwrap();
        assert_eq!(launch.selection[0].legacy_type, "task");
        assert_eq!(launch.more["label"], "L");
        assert!(Event::new("ftrack.action.launch").launch().is_err());
        assert!(
            Event::new("ftrack.action.discover")
                .selection()
                .unwrap()
                .is_empty()
        );
    }
}
