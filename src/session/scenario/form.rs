//! The form that sets up a centralized storage, one step for each event.
//!
//! Nothing is kept between the events: the values of earlier steps go along in a hidden field.

use serde_json::{Map, Value as Json, json};

use super::setting::CentralizedStorage;
use crate::action::FormField;
use crate::error::{Error, ErrorKind, Result};
use crate::handle::Session;
use crate::location::BUILT_IN;
use crate::query::{field, select};

const SELECT_LOCATION: &str = "select_location";
const CONFIGURE_LOCATION: &str = "configure_location";
const SELECT_MOUNT_POINT: &str = "select_mount_point";
const CONFIRM_SUMMARY: &str = "confirm_summary";

/// The choice of a location that does not exist yet.
const NEW_LOCATION: &str = "create_new_location";

/// Platforms: the member of the form, its label, an example.
const MOUNT_POINTS: [(&str, &str, &str); 3] = [
    ("linux", "Linux", "/mnt/storage"),
    ("osx", "macOS", "/Volumes/storage"),
    ("windows", "Windows", "\\\\server\\storage"),
];

/// What is shown next: the step, its fields, and `configuring`, `confirm` or `done`.
struct Page(&'static str, Vec<FormField>, &'static str);

/// The reply to an event whose `values` are those of the step before.
///
/// # Errors
///
/// - [`ErrorKind::BadResponse`] if there is no such step.
/// - Any error of a query and of [`Session::set_centralized_storage`].
pub(super) fn next(session: &Session, data: &Json) -> Result<Json> {
    let mut values = data["values"].as_object().cloned().unwrap_or_default();
    let step = values.remove("step").unwrap_or_default();
    let mut given = match values.remove("configuration") {
        Some(Json::Object(given)) => given,
        _ => Map::new(),
    };
    if let (Some(step), false) = (step.as_str(), values.is_empty()) {
        given.insert(step.to_owned(), values.into());
    }
    let form = Form { session, given };
    let Page(step, mut fields, state) = match step.as_str().unwrap_or("select_scenario") {
        "select_scenario" => form.select_location(None)?,
        SELECT_LOCATION => form.location_selected()?,
        CONFIGURE_LOCATION => form.location_configured()?,
        SELECT_MOUNT_POINT => form.confirm()?,
        CONFIRM_SUMMARY => form.save()?,
        other => {
            let message = format!("the form of the storage scenario has no step {other:?}");
            return Err(Error::new(ErrorKind::BadResponse, message));
        }
    };
    fields.push(FormField::hidden("configuration", form.given));
    fields.push(FormField::hidden("step", step));
    let items: Vec<_> = fields.iter().map(FormField::as_json).collect();
    Ok(json!({"items": items, "state": state}))
}

struct Form<'a> {
    session: &'a Session,
    /// The values of each step so far.
    given: Map<String, Json>,
}

impl Form<'_> {
    /// A text that was entered in a step; empty if there is none.
    fn text(&self, step: &str, name: &str) -> &str {
        let values = self.given.get(step);
        values
            .and_then(|values| values[name].as_str())
            .unwrap_or_default()
    }

    fn select_location(&self, warning: Option<&str>) -> Result<Page> {
        let storage = self.session.centralized_storage()?;
        let current = storage.get("location_id").cloned().unwrap_or_default();
        let mut options = vec![("Create new location".to_owned(), NEW_LOCATION.to_owned())];
        let query = select("Location").fields(["name", "label"]);
        for location in self.session.query(query)?.all()? {
            let name: String = location.get("name")?;
            if !BUILT_IN.iter().any(|(built_in, _)| *built_in == name) {
                let label: Option<String> = location.get("label")?;
                let label = format!("{} ({name})", label.unwrap_or_default());
                options.push((label, location.id()));
            }
        }
        let mut text = "# Select location\nWhich location is the storage? Use one that exists, or \
                        create one."
            .to_owned();
        if !current.is_null() {
            text += "\n\n**Components that were published to the present location will not be found \
                     if you select another one.**";
        }
        let chosen = match current {
            Json::Null if options.len() == 1 => NEW_LOCATION.into(),
            current => current,
        };
        let choice = FormField::enumerator("location_id", "Location", options).value(chosen);
        Ok(page(SELECT_LOCATION, warning, &text, vec![choice]))
    }

    fn location_selected(&self) -> Result<Page> {
        match self.text(SELECT_LOCATION, "location_id") {
            NEW_LOCATION => Ok(self.configure_location(None)),
            id if !id.is_empty() && self.session.get("Location", id)?.is_some() => {
                self.select_mount_point()
            }
            _ => self.select_location(Some("The location does not exist. Select another one.")),
        }
    }

    fn configure_location(&self, warning: Option<&str>) -> Page {
        let field = |name: &str, label: &str, default: &str| {
            let entered = self.text(CONFIGURE_LOCATION, name);
            let value = if entered.is_empty() { default } else { entered };
            FormField::text(name, label).value(value)
        };
        let fields = vec![
            field("location_label", "Label", "Studio location"),
            field("location_name", "Name", "studio.central-storage-location"),
            field(
                "location_description",
                "Description",
                "The studio's storage for all components.",
            ),
        ];
        let text = "# Create location\nThe location that stands for the storage. The values below fit \
                    most studios.";
        page(CONFIGURE_LOCATION, warning, text, fields)
    }

    fn location_configured(&self) -> Result<Page> {
        let entered = |name: &str| self.text(CONFIGURE_LOCATION, name);
        let names = ["location_name", "location_label", "location_description"];
        if names.iter().any(|name| entered(name).trim().is_empty()) {
            let warning = "Name, label and description cannot be empty.";
            return Ok(self.configure_location(Some(warning)));
        }
        let name = entered("location_name");
        let same = select("Location").filter(field("name").eq(name));
        if self.session.query(same)?.exists()? {
            let warning = format!("There is a location named {name} already. Change the name.");
            return Ok(self.configure_location(Some(&warning)));
        }
        self.select_mount_point()
    }

    fn select_mount_point(&self) -> Result<Page> {
        let storage = self.session.centralized_storage()?;
        let current = &storage["accessor"]["mount_points"];
        let field = |(platform, label, example): (&str, &str, &str)| {
            let field = FormField::text(format!("{platform}_mount_point"), label);
            let field = field.value(current[platform].as_str().unwrap_or_default());
            let mut json = field.as_json().clone();
            json.insert("empty_text".into(), format!("For example {example}").into());
            FormField::from(json)
        };
        let text = "# Mount points\nThe folder in which the storage is mounted, on each platform that \
                    you use. On a platform without one, files can be neither stored nor found.";
        let fields = MOUNT_POINTS.into_iter().map(field).collect();
        Ok(page(SELECT_MOUNT_POINT, None, text, fields))
    }

    fn mount_point(&self, platform: &str) -> &str {
        self.text(SELECT_MOUNT_POINT, &format!("{platform}_mount_point"))
    }

    fn confirm(&self) -> Result<Page> {
        let location = match self.text(SELECT_LOCATION, "location_id") {
            NEW_LOCATION => {
                let entered = |name: &str| self.text(CONFIGURE_LOCATION, name);
                format!(
                    "A new location will be created:\n\n* Label: {}\n* Name: {}\n* Description: {}",
                    entered("location_label"),
                    entered("location_name"),
                    entered("location_description")
                )
            }
            id => {
                let location = self.session.get("Location", id)?;
                let label = location.map(|location| location.get::<Option<String>>("label"));
                let label = label.transpose()?.flatten().unwrap_or_default();
                format!("The existing location {label} will be used.")
            }
        };
        let mut text = format!(
            "# Confirm storage setup\nNothing is saved yet. You can change it again later.\n\n\
             ## Location\n\n{location}\n\n## Mount points\n\n"
        );
        for (platform, label, _) in MOUNT_POINTS {
            let path = match self.mount_point(platform) {
                "" => "*not set: the storage cannot be used there*",
                path => path,
            };
            text += &format!("* {label}: {path}\n");
        }
        let Page(step, fields, _) = page(CONFIRM_SUMMARY, None, &text, Vec::new());
        Ok(Page(step, fields, "confirm"))
    }

    fn save(&self) -> Result<Page> {
        let (location, is_new) = match self.text(SELECT_LOCATION, "location_id") {
            NEW_LOCATION => {
                let entered = |name: &str| self.text(CONFIGURE_LOCATION, name);
                let data = crate::data! {
                    "name": entered("location_name"),
                    "label": entered("location_label"),
                    "description": entered("location_description"),
                };
                (self.session.create("Location", data)?, true)
            }
            id => (
                self.session
                    .get("Location", id)?
                    .ok_or_else(|| missing(id))?,
                false,
            ),
        };
        let storage = CentralizedStorage::of(&location)
            .linux(self.mount_point("linux"))
            .macos(self.mount_point("osx"))
            .windows(self.mount_point("windows"));
        if let Err(error) = self.session.set_centralized_storage(&storage) {
            if is_new && !self.session.is_in_doubt() {
                self.session.discard(&[location]);
            }
            if error.kind() != ErrorKind::Validation {
                return Err(error);
            }
            let Page(step, mut fields, state) = self.select_mount_point()?;
            fields.insert(0, FormField::label(format!("**{error}**")));
            return Ok(Page(step, fields, state));
        }
        let text = "# Done\nThe storage is set up. Programs that are open, such as the desktop \
                    application, use it when they are started again.";
        let Page(_, fields, _) = page(CONFIRM_SUMMARY, None, text, Vec::new());
        Ok(Page("save_configuration", fields, "done"))
    }
}

fn missing(id: &str) -> Error {
    let message = format!("there is no Location {id}; it may have been deleted");
    Error::new(ErrorKind::NotFound, message)
}

/// A step with a text above its fields.
fn page(step: &'static str, warning: Option<&str>, text: &str, fields: Vec<FormField>) -> Page {
    let warning = warning.map(|warning| FormField::label(format!("**{warning}**")));
    let above = warning.into_iter().chain([FormField::label(text)]);
    Page(step, above.chain(fields).collect(), "configuring")
}
