//! Components, locations, media and the other calls of entities and sessions.

use std::collections::BTreeMap;

use ftrack_api::entity::{NoteOptions, TimerOptions};
use ftrack_api::location::{Binding, Target};
use ftrack_api::session::{EncodeOptions, MediaSource, WidgetOptions};
use ftrack_api::{Location, Result};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::access::{Accessor, Held, PythonAccessor, Shared};
use crate::convert::{to_data, to_entities};
use crate::entity::Entity;
use crate::error::{About, raise};
use crate::logging::released;
use crate::session::Session;
use crate::structure::{PythonStructure, PythonTransformer, SharedStructure, Structure};

fn location(entity: &Bound<'_, PyAny>) -> PyResult<Location> {
    let entity = entity.cast::<Entity>()?;
    let location = entity.get().core.as_location();
    location.map_err(raise(About::Location))
}

#[pymethods]
impl Session {
    /// `target` is `auto`, `nowhere`, or a location.
    fn _create_component<'py>(
        slf: &Bound<'py, Self>,
        path: &str,
        data: &Bound<'py, PyAny>,
        target: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let core = slf.get().core()?;
        let kind = core.schema().entity_type("Component").ok();
        let data = to_data(kind, data)?;
        let target = match target.extract::<String>().as_deref() {
            Ok("auto") => Target::Auto,
            Ok("elsewhere") => Target::Elsewhere,
            Ok(_) => Target::Nowhere,
            Err(_) => Target::In(location(target)?),
        };
        let made = released(slf.py(), || core.create_component(path, data, target));
        Self::wrap(slf, made.map_err(raise(About::Location))?)
    }

    fn _pick_locations<'py>(
        slf: &Bound<'py, Self>,
        components: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Option<Bound<'py, PyAny>>>> {
        let core = slf.get().core()?;
        let components = components.map(to_entities).transpose()?;
        let picked = released(slf.py(), || match components {
            Some(components) => core.pick_locations(components),
            None => core.pick_location().map(|one| vec![one]),
        });
        let picked = picked.map_err(raise(About::Location))?.into_iter();
        let wrapped = picked.map(|one| {
            one.map(|one| Self::wrap(slf, one.entity().clone()))
                .transpose()
        });
        wrapped.collect()
    }

    fn _availabilities(
        &self,
        py: Python<'_>,
        components: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<BTreeMap<String, f64>>> {
        let core = self.core()?;
        let components = to_entities(components)?;
        let shares = released(py, || core.get_component_availabilities(components));
        shares.map_err(raise(About::Location))
    }

    fn _encode_media<'py>(
        slf: &Bound<'py, Self>,
        media: &Bound<'py, PyAny>,
        version: Option<&Bound<'py, Entity>>,
        keep_original: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let core = slf.get().core()?;
        let media = match media.cast::<Entity>() {
            Ok(entity) => MediaSource::from(&entity.get().core),
            Err(_) => MediaSource::from(media.extract::<String>()?),
        };
        let mut options = EncodeOptions::new();
        if let Some(version) = version {
            options = options.version(&version.get().core);
        }
        if let Some(keep) = keep_original {
            options = options.keep_original(keep);
        }
        let job = released(slf.py(), || core.encode_media(media, options));
        Self::wrap(slf, job.map_err(raise(About::Session))?)
    }

    #[pyo3(signature = (name, entity=None, theme=None))]
    fn get_widget_url(
        &self,
        py: Python<'_>,
        name: &str,
        entity: Option<&Bound<'_, Entity>>,
        theme: Option<&str>,
    ) -> PyResult<String> {
        let core = self.core()?;
        let mut options = WidgetOptions::new();
        if let Some(entity) = entity {
            options = options.entity(&entity.get().core);
        }
        if let Some(theme) = theme {
            options = options.theme(theme);
        }
        released(py, || core.get_widget_url(name, options)).map_err(raise(About::Session))
    }

    fn send_user_invite(&self, py: Python<'_>, user: &Bound<'_, Entity>) -> PyResult<()> {
        let (core, user) = (self.core()?, &user.get().core);
        released(py, || core.send_user_invite(user)).map_err(raise(About::Session))
    }

    fn send_user_invites(&self, py: Python<'_>, users: &Bound<'_, PyAny>) -> PyResult<()> {
        let (core, users) = (self.core()?, to_entities(users)?);
        released(py, || core.send_user_invites(users)).map_err(raise(About::Session))
    }

    fn send_review_session_invite(
        &self,
        py: Python<'_>,
        invitee: &Bound<'_, Entity>,
    ) -> PyResult<()> {
        let (core, invitee) = (self.core()?, &invitee.get().core);
        released(py, || core.send_review_session_invite(invitee)).map_err(raise(About::Session))
    }

    fn send_review_session_invites(
        &self,
        py: Python<'_>,
        invitees: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        let (core, invitees) = (self.core()?, to_entities(invitees)?);
        released(py, || core.send_review_session_invites(invitees)).map_err(raise(About::Session))
    }

    /// Changes how this session uses a location: only what `parts` names.
    fn _bind(
        slf: &Bound<'_, Self>,
        place: &Bound<'_, PyAny>,
        parts: &Bound<'_, PyDict>,
    ) -> PyResult<()> {
        let place = location(place)?;
        let mut binding = Binding::clone(&place.binding());
        for (name, value) in parts.iter() {
            binding = match name.extract::<String>()?.as_str() {
                "accessor" => match value.cast::<Accessor>() {
                    Ok(own) => binding.accessor(Shared(own.get().core.clone())),
                    Err(_) => binding.accessor(PythonAccessor(Held::new(&value, slf)?)),
                },
                "structure" => match value.cast::<Structure>() {
                    Ok(own) => binding.structure(SharedStructure(own.get().core.clone())),
                    Err(_) => binding.structure(PythonStructure(Held::new(&value, slf)?)),
                },
                "resource_identifier_transformer" => {
                    let transformer = PythonTransformer(Held::new(&value, slf)?);
                    binding.resource_identifier_transformer(transformer)
                }
                "priority" => binding.priority(value.extract()?),
                "managed" => binding.managed(value.extract()?),
                _ => binding.in_memory(value.extract()?),
            };
        }
        place.bind(binding);
        Ok(())
    }

    fn _unbind(&self, place: &Bound<'_, PyAny>) -> PyResult<()> {
        location(place)?.bind(Binding::new());
        Ok(())
    }
}

/// Calls of entities of one type each.
#[pymethods]
impl Entity {
    fn _create_note<'py>(
        slf: &Bound<'py, Self>,
        content: &str,
        author: &Bound<'py, Entity>,
        recipients: &Bound<'py, PyAny>,
        labels: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut options = NoteOptions::new();
        let (recipients, labels) = (to_entities(recipients)?, to_entities(labels)?);
        if !recipients.is_empty() {
            options = options.recipients(recipients);
        }
        if !labels.is_empty() {
            options = options.labels(labels);
        }
        let author = &author.get().core;
        made(slf, |core| core.create_note(content, author, options))
    }

    fn _create_reply<'py>(
        slf: &Bound<'py, Self>,
        content: &str,
        author: &Bound<'py, Entity>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let author = &author.get().core;
        made(slf, |core| core.create_reply(content, author))
    }

    fn _start_timer<'py>(
        slf: &Bound<'py, Self>,
        context: Option<&Bound<'py, Entity>>,
        comment: &str,
        name: &str,
        force: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let mut options = TimerOptions::new().comment(comment).force(force);
        if let Some(context) = context {
            options = options.context(&context.get().core);
        }
        if !name.is_empty() {
            options = options.name(name);
        }
        made(slf, |core| core.start_timer(options))
    }

    fn _stop_timer<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        made(slf, ftrack_api::Entity::stop_timer)
    }

    fn _reset_api_key(&self, py: Python<'_>) -> PyResult<String> {
        let key = released(py, || self.core.reset_api_key());
        Ok(key.map_err(raise(About::Session))?.reveal().to_owned())
    }

    fn _get_statuses<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyList>> {
        all(slf, |core| core.get_statuses(name))
    }

    fn _get_task_statuses<'py>(
        slf: &Bound<'py, Self>,
        task_type: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        all(slf, |core| core.get_task_statuses(task_type))
    }

    fn _get_types<'py>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Bound<'py, PyList>> {
        all(slf, |core| core.get_types(name))
    }

    fn _create_thumbnail<'py>(
        slf: &Bound<'py, Self>,
        path: &str,
        data: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let schema = slf.get().core.session().schema();
        let data = to_data(schema.entity_type("FileComponent").ok(), data)?;
        made(slf, |core| core.create_thumbnail(path, data))
    }

    // Of locations.

    fn _add_components(
        &self,
        py: Python<'_>,
        components: &Bound<'_, PyAny>,
        sources: &Bound<'_, PyAny>,
        recursive: bool,
    ) -> PyResult<()> {
        let place = self.core.as_location().map_err(raise(About::Location))?;
        let components = to_entities(components)?;
        let sources = match sources.cast::<Entity>() {
            Ok(_) => vec![location(sources)?],
            Err(_) => sources
                .try_iter()?
                .map(|one| location(&one?))
                .collect::<PyResult<_>>()?,
        };
        released(py, || place.add_components(components, sources, recursive))
            .map_err(raise(About::Location))
    }

    fn _remove_components(
        &self,
        py: Python<'_>,
        components: &Bound<'_, PyAny>,
        recursive: bool,
    ) -> PyResult<bool> {
        let place = self.core.as_location().map_err(raise(About::Location))?;
        let components = to_entities(components)?;
        released(py, || place.remove_components(components, recursive))
            .map_err(raise(About::Location))
    }

    fn _resource_identifiers(
        &self,
        py: Python<'_>,
        components: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<String>> {
        let place = self.core.as_location().map_err(raise(About::Location))?;
        let components = to_entities(components)?;
        released(py, || place.get_resource_identifiers(components)).map_err(raise(About::Location))
    }

    fn _filesystem_paths(
        &self,
        py: Python<'_>,
        components: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<String>> {
        let place = self.core.as_location().map_err(raise(About::Location))?;
        let components = to_entities(components)?;
        let paths = released(py, || place.get_filesystem_paths(components));
        let paths = paths.map_err(raise(About::Location))?;
        let texts = paths.iter().map(|path| path.to_string_lossy().into_owned());
        Ok(texts.collect())
    }

    fn _url(&self, py: Python<'_>, component: &Bound<'_, Entity>) -> PyResult<String> {
        let place = self.core.as_location().map_err(raise(About::Location))?;
        let component = &component.get().core;
        released(py, || place.get_url(component)).map_err(raise(About::Location))
    }

    fn _thumbnail_url(
        &self,
        py: Python<'_>,
        component: &Bound<'_, Entity>,
        size: u32,
    ) -> PyResult<String> {
        let place = self.core.as_location().map_err(raise(About::Location))?;
        let component = &component.get().core;
        released(py, || place.get_thumbnail_url(component, size)).map_err(raise(About::Location))
    }

    /// The crate's accessor of a location, if one is bound.
    fn _accessor(&self) -> PyResult<Option<Accessor>> {
        let place = self.core.as_location().map_err(raise(About::Location))?;
        Ok(place.accessor().map(|core| Accessor { core }))
    }

    fn _structure(&self) -> PyResult<Option<Structure>> {
        let place = self.core.as_location().map_err(raise(About::Location))?;
        Ok(place.structure().map(|core| Structure { core }))
    }

    fn _priority(&self) -> PyResult<i32> {
        let place = self.core.as_location().map_err(raise(About::Location))?;
        Ok(place.priority())
    }
}

/// The entity that a call of this one returns.
fn made<'py>(
    entity: &Bound<'py, Entity>,
    call: impl FnOnce(&ftrack_api::Entity) -> Result<ftrack_api::Entity> + Send,
) -> PyResult<Bound<'py, PyAny>> {
    let core = &entity.get().core;
    let made = released(entity.py(), || call(core));
    let made = made.map_err(raise(About::Entity))?;
    Session::wrap(entity.get().session.bind(entity.py()), made)
}

fn all<'py>(
    entity: &Bound<'py, Entity>,
    call: impl FnOnce(&ftrack_api::Entity) -> Result<Vec<ftrack_api::Entity>> + Send,
) -> PyResult<Bound<'py, PyList>> {
    let core = &entity.get().core;
    let found = released(entity.py(), || call(core));
    let found = found.map_err(raise(About::Entity))?;
    Session::wrap_all(entity.get().session.bind(entity.py()), found)
}
