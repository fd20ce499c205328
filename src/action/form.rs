//! Forms: questions to the user who launched an action.

use serde_json::{Map, Value, json};

/// Questions to the user who launched an action. The answers arrive with the next launch, in
/// [`Launch::values`](super::Launch::values).
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

impl Form {
    /// As it is sent to the server.
    pub(super) fn to_json(&self) -> Value {
        let items: Vec<_> = self.fields.iter().map(|field| &field.json).collect();
        let mut form = json!({
            "success": true, "message": "", "type": "form", "title": self.title, "items": items,
        });
        if let Some(label) = &self.button {
            form["submit_button_label"] = label.as_str().into();
        }
        form
    }
}

impl FormField {
    /// Text that is shown and cannot be edited.
    pub fn label(text: impl Into<String>) -> Self {
        Self::make("label", [("value", text.into().into())])
    }

    /// A single line of text.
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

    /// A choice among options, each with a label and a value.
    ///
    /// ```
    /// use ftrack_api::action::FormField;
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

    /// A value that is returned without being shown.
    pub fn hidden(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::make(
            "hidden",
            [("name", name.into().into()), ("value", value.into())],
        )
    }

    /// Sets the initial value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Value>) -> Self {
        self.json.insert("value".into(), value.into());
        self
    }

    /// The field as it is sent to the server.
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
            form.to_json(),
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
}
