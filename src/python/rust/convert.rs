//! Values between Python and the crate.

use ftrack_api::schema::{Attribute, AttributeKind, EntityType};
use ftrack_api::serde_json::{Map, Number, Value as Json};
use ftrack_api::{Data, EntityKey, Value, jiff};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};

use crate::entity::Entity;
use crate::session::Session;

/// A point in time as Python scripts expect it: an `arrow` value where that is installed.
pub(crate) fn moment(py: Python<'_>, at: jiff::civil::DateTime) -> PyResult<Bound<'_, PyAny>> {
    let make = py
        .import(intern!(py, "ftrack_api._moment"))?
        .getattr(intern!(py, "make"))?;
    let (date, time) = (at.date(), at.time());
    make.call1((
        date.year(),
        date.month(),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
    ))
}

/// A value as Python sees it. References and collections need the session.
pub(crate) fn from_value<'py>(
    session: &Bound<'py, Session>,
    value: Value,
) -> PyResult<Bound<'py, PyAny>> {
    let py = session.py();
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
        Value::Integer(value) => value.into_pyobject(py)?.into_any(),
        Value::Number(value) => PyFloat::new(py, value).into_any(),
        Value::Text(value) => PyString::new(py, &value).into_any(),
        Value::DateTime(at) => moment(py, at)?,
        Value::Date(date) => moment(py, date.at(0, 0, 0, 0))?,
        Value::Reference(key) => Session::entity_of(session, &key)?,
        Value::Collection(keys) => {
            let entities = keys.iter().map(|key| Session::entity_of(session, key));
            let entities = entities.collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, entities)?.into_any()
        }
        Value::List(values) => {
            let values = values.into_iter().map(|value| from_value(session, value));
            PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        Value::Json(text) => from_json(py, &text.to_json())?,
        _ => {
            let message = format!("a value of an unknown kind: {value}");
            return Err(PyTypeError::new_err(message));
        }
    })
}

/// JSON as Python objects. Points in time in the server's form become such.
pub(crate) fn from_json<'py>(py: Python<'py>, json: &Json) -> PyResult<Bound<'py, PyAny>> {
    Ok(match json {
        Json::Null => py.None().into_bound(py),
        Json::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Json::Number(number) => from_number(py, number)?,
        Json::String(text) => PyString::new(py, text).into_any(),
        Json::Array(items) => {
            let items = items.iter().map(|item| from_json(py, item));
            PyList::new(py, items.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        Json::Object(members) => {
            if let Some(at) = wire_moment(members) {
                return moment(py, at);
            }
            let dict = PyDict::new(py);
            for (name, value) in members {
                dict.set_item(name, from_json(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

fn from_number<'py>(py: Python<'py>, number: &Number) -> PyResult<Bound<'py, PyAny>> {
    if let Some(whole) = number.as_i64() {
        return Ok(whole.into_pyobject(py)?.into_any());
    }
    if let Some(whole) = number.as_u64() {
        return Ok(whole.into_pyobject(py)?.into_any());
    }
    Ok(PyFloat::new(py, number.as_f64().unwrap_or(f64::NAN)).into_any())
}

/// `{"__type__": "datetime", "value": "2026-03-04T05:06:07+00:00"}`
fn wire_moment(members: &Map<String, Json>) -> Option<jiff::civil::DateTime> {
    if members.get("__type__")?.as_str()? != "datetime" {
        return None;
    }
    let text = members.get("value")?.as_str()?;
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Some(jiff::tz::Offset::UTC.to_datetime(at));
    }
    text.parse().ok()
}

/// What Python gives as JSON. Entities become references, points in time what the server writes.
pub(crate) fn to_json(value: &Bound<'_, PyAny>) -> PyResult<Json> {
    to_json_at(value, 0)
}

const MAX_DEPTH: usize = 200;

fn to_json_at(value: &Bound<'_, PyAny>, depth: usize) -> PyResult<Json> {
    if depth > MAX_DEPTH {
        return Err(PyValueError::new_err("the data is nested too deeply"));
    }
    if value.is_none() {
        return Ok(Json::Null);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(Json::String(text.to_cow()?.into_owned()));
    }
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(Json::Bool(truth.is_true()));
    }
    if value.is_instance_of::<PyInt>() {
        if let Ok(whole) = value.extract::<i64>() {
            return Ok(whole.into());
        }
        return Ok(value.extract::<u64>()?.into());
    }
    if value.is_instance_of::<PyFloat>() {
        let number = value.extract::<f64>()?;
        let number = Number::from_f64(number);
        return number
            .map(Json::Number)
            .ok_or_else(|| PyValueError::new_err("JSON has no infinite numbers"));
    }
    if let Ok(entity) = value.cast::<Entity>() {
        let core = &entity.get().core;
        let reference = core.session().entity_reference(core);
        return reference.map_err(crate::error::raise(crate::error::About::Entity));
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let items = value.try_iter()?;
        let items = items.map(|item| to_json_at(&item?, depth + 1));
        return items.collect::<PyResult<Vec<_>>>().map(Json::Array);
    }
    if let Ok(mapping) = value.cast::<PyMapping>() {
        let mut members = Map::new();
        for pair in mapping.items()?.iter() {
            let (name, value) = pair.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>()?;
            members.insert(name.str()?.to_string(), to_json_at(&value, depth + 1)?);
        }
        return Ok(Json::Object(members));
    }
    if let Some(at) = to_moment(value)? {
        let text = format!("{}", at.strftime("%Y-%m-%dT%H:%M:%S"));
        return Ok(ftrack_api::serde_json::json!({"__type__": "datetime", "value": text}));
    }
    // Sets, generators, collections: whatever can be gone through.
    if let Ok(items) = value.try_iter() {
        let items = items.map(|item| to_json_at(&item?, depth + 1));
        return items.collect::<PyResult<Vec<_>>>().map(Json::Array);
    }
    if value.get_type().name()? == "UUID" {
        return Ok(Json::String(value.str()?.to_string()));
    }
    let kind = value.get_type().name()?;
    Err(PyTypeError::new_err(format!(
        "a value of type {kind} cannot be sent: {}",
        value.repr()?
    )))
}

/// A `datetime`, a `date` or an `arrow` value in UTC, with whole seconds; `None` if it is none.
fn to_moment(value: &Bound<'_, PyAny>) -> PyResult<Option<jiff::civil::DateTime>> {
    let py = value.py();
    if !value.hasattr(intern!(py, "isoformat"))? {
        return Ok(None);
    }
    let text = value.call_method0(intern!(py, "isoformat"))?;
    let text = text.extract::<String>()?;
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        let at = jiff::tz::Offset::UTC.to_datetime(at);
        return Ok(at.with().subsec_nanosecond(0).build().ok());
    }
    let at = text.parse::<jiff::civil::DateTime>();
    let at = at.map_err(|error| PyValueError::new_err(format!("{text}: {error}")))?;
    Ok(at.with().subsec_nanosecond(0).build().ok())
}

/// What Python gives for an attribute of this kind.
pub(crate) fn to_value(value: &Bound<'_, PyAny>, kind: Option<&AttributeKind>) -> PyResult<Value> {
    if value.is_none() {
        return Ok(Value::Null);
    }
    if let Ok(text) = value.cast::<PyString>() {
        return Ok(from_text(&text.to_cow()?, kind));
    }
    if let Ok(truth) = value.cast::<PyBool>() {
        return Ok(match kind {
            Some(AttributeKind::Integer) => Value::Integer(i64::from(truth.is_true())),
            _ => Value::Bool(truth.is_true()),
        });
    }
    if value.is_instance_of::<PyInt>() {
        let whole = value.extract::<i64>();
        return match (whole, kind) {
            (Ok(whole), Some(AttributeKind::Bool)) if whole == 0 || whole == 1 => {
                Ok(Value::Bool(whole == 1))
            }
            (Ok(whole), _) => Ok(Value::Integer(whole)),
            (Err(error), _) if error.is_instance_of::<PyOverflowError>(value.py()) => {
                value.extract::<f64>().map(Value::Number)
            }
            (Err(error), _) => Err(error),
        };
    }
    if value.is_instance_of::<PyFloat>() {
        return value.extract::<f64>().map(Value::Number);
    }
    if let Ok(entity) = value.cast::<Entity>() {
        return Ok(match kind {
            Some(AttributeKind::Collection(_)) => Value::Collection(vec![entity.get().core.key()]),
            _ => Value::from(&entity.get().core),
        });
    }
    let is_list = matches!(
        kind,
        Some(AttributeKind::Collection(_)) | Some(AttributeKind::Mapped(_))
    );
    if value.cast::<PyMapping>().is_ok() && !value.hasattr(intern!(value.py(), "_members"))? {
        return to_json(value).map(Value::from);
    }
    if let Some(at) = to_moment(value)? {
        return Ok(Value::DateTime(at));
    }
    if is_list && let Ok(items) = value.try_iter() {
        return keys(items).map(Value::Collection);
    }
    to_json(value).map(Value::from)
}

/// The keys of entities.
fn keys<'py>(items: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>) -> PyResult<Vec<EntityKey>> {
    let keys = items.map(|item| {
        let item = item?;
        let entity = item.cast::<Entity>().map_err(|_| {
            let text = format!("a collection holds entities, not {}", item.get_type());
            PyTypeError::new_err(text)
        })?;
        Ok(entity.get().core.key())
    });
    keys.collect()
}

/// A text for a number is that number, as the server takes it.
fn from_text(text: &str, kind: Option<&AttributeKind>) -> Value {
    let converted = match kind {
        Some(AttributeKind::Integer) => text.trim().parse().ok().map(Value::Integer),
        Some(AttributeKind::Number) => text.trim().parse().ok().map(Value::Number),
        Some(AttributeKind::DateTime) => {
            let at = text.parse::<jiff::Timestamp>().ok();
            let at = at.map(|at| jiff::tz::Offset::UTC.to_datetime(at));
            at.or_else(|| text.replace(' ', "T").parse().ok())
                .map(Value::DateTime)
        }
        _ => None,
    };
    converted.unwrap_or_else(|| Value::Text(text.to_owned()))
}

/// The attributes of an entity, from a mapping.
pub(crate) fn to_data(
    entity_type: Option<&EntityType>,
    given: &Bound<'_, PyAny>,
) -> PyResult<Data> {
    let mut data = Data::default();
    if given.is_none() {
        return Ok(data);
    }
    let given = given.cast::<PyMapping>()?;
    for pair in given.items()?.iter() {
        let (name, value) = pair.extract::<(String, Bound<'_, PyAny>)>()?;
        let attribute = entity_type.and_then(|kind| kind.attribute(&name).ok());
        let value = to_value(&value, attribute.map(Attribute::kind))?;
        data.set(name, value);
    }
    Ok(data)
}

/// The entities that Python gives: one, or whatever can be gone through.
pub(crate) fn to_entities(given: &Bound<'_, PyAny>) -> PyResult<Vec<ftrack_api::Entity>> {
    if let Ok(entity) = given.cast::<Entity>() {
        return Ok(vec![entity.get().core.clone()]);
    }
    let entities = given.try_iter()?.map(|item| {
        let item = item?;
        let entity = item.cast::<Entity>()?;
        Ok(entity.get().core.clone())
    });
    entities.collect()
}
