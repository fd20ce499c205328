//! Accessors: the crate's for Python, and Python's for the crate.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use ftrack_api::accessor::{self, Content, DiskAccessor, PendingWrite, Pieces, Prepared};
use ftrack_api::{Error, ErrorKind};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyWeakrefReference};

use crate::error::{About, from_callback, raise, raise_any};
use crate::logging::released;
use crate::session::{Session, lock};

/// How much is read at once from a file that Python code opened.
const CHUNK_BYTES: usize = 1 << 20;

/// An object of Python that the crate calls. The session on the Python side keeps it alive: if the
/// crate did, the garbage collector could not see that the two hold each other.
pub(crate) struct Held {
    weak: Py<PyWeakrefReference>,
    session: Py<PyWeakrefReference>,
}

impl Held {
    pub(crate) fn new(object: &Bound<'_, PyAny>, session: &Bound<'_, Session>) -> PyResult<Self> {
        Ok(Self {
            weak: PyWeakrefReference::new(object)?.unbind(),
            session: PyWeakrefReference::new(session.as_any())?.unbind(),
        })
    }

    /// Calls Python code; an exception becomes an error that holds it.
    pub(crate) fn call<T>(
        &self,
        run: impl for<'py> FnOnce(&Bound<'py, PyAny>) -> PyResult<T>,
    ) -> anyhow::Result<T> {
        Python::attach(|py| {
            let Some(object) = self.weak.bind(py).upgrade() else {
                let message = "the object that was bound to the location is gone";
                return Err(Error::new(ErrorKind::Closed, message).into());
            };
            run(&object).map_err(|raised| from_callback(py, raised))
        })
    }

    pub(crate) fn wrap<'py>(
        &self,
        py: Python<'py>,
        entity: &ftrack_api::Entity,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.session.bind(py).upgrade() {
            Some(session) => Session::wrap(session.cast::<Session>()?, entity.clone()),
            None => Err(PyValueError::new_err("the session is gone")),
        }
    }
}

/// An accessor of the crate.
#[pyclass(frozen, module = "ftrack_api._core")]
pub(crate) struct Accessor {
    pub(crate) core: Arc<dyn accessor::Accessor>,
}

#[pymethods]
impl Accessor {
    /// One that reads and writes below a folder, or everywhere.
    #[staticmethod]
    fn disk(prefix: Option<&str>) -> PyResult<Self> {
        let core = match prefix {
            Some(prefix) => DiskAccessor::new(prefix).map_err(raise(About::Location))?,
            None => DiskAccessor::anywhere(),
        };
        Ok(Self {
            core: Arc::new(core),
        })
    }

    fn open(&self, py: Python<'_>, resource_identifier: &str) -> PyResult<Reader> {
        let opened = released(py, || self.core.open(resource_identifier));
        Ok(Reader {
            core: Mutex::new(Some(opened.map_err(raise_any(About::Location))?)),
        })
    }

    fn write(&self, py: Python<'_>, resource_identifier: &str, data: &[u8]) -> PyResult<()> {
        let name = resource_identifier.rsplit('/').next().unwrap_or_default();
        let mut content = Content::new(data)
            .with_size(data.len() as u64)
            .with_file_name(name);
        released(py, || self.core.write(resource_identifier, &mut content))
            .map_err(raise_any(About::Location))
    }

    fn exists(&self, py: Python<'_>, resource_identifier: &str) -> PyResult<bool> {
        released(py, || self.core.exists(resource_identifier)).map_err(raise_any(About::Location))
    }

    fn remove(&self, py: Python<'_>, resource_identifier: &str) -> PyResult<bool> {
        released(py, || self.core.remove(resource_identifier)).map_err(raise_any(About::Location))
    }

    fn list(&self, py: Python<'_>, resource_identifier: &str) -> PyResult<Vec<String>> {
        released(py, || self.core.list(resource_identifier)).map_err(raise_any(About::Location))
    }

    fn is_file(&self, py: Python<'_>, resource_identifier: &str) -> PyResult<bool> {
        released(py, || self.core.is_file(resource_identifier)).map_err(raise_any(About::Location))
    }

    fn is_container(&self, py: Python<'_>, resource_identifier: &str) -> PyResult<bool> {
        released(py, || self.core.is_container(resource_identifier))
            .map_err(raise_any(About::Location))
    }

    fn make_container(&self, py: Python<'_>, resource_identifier: &str) -> PyResult<()> {
        released(py, || self.core.make_container(resource_identifier))
            .map_err(raise_any(About::Location))
    }

    fn get_container(&self, resource_identifier: &str) -> PyResult<Option<String>> {
        let container = self.core.get_container(resource_identifier);
        container.map_err(raise_any(About::Location))
    }

    fn get_filesystem_path(&self, resource_identifier: &str) -> PyResult<String> {
        let path = self.core.get_filesystem_path(resource_identifier);
        let path = path.map_err(raise_any(About::Location))?;
        Ok(path.to_string_lossy().into_owned())
    }

    fn get_url(&self, resource_identifier: &str) -> PyResult<String> {
        let url = self.core.get_url(resource_identifier);
        url.map_err(raise_any(About::Location))
    }

    fn get_thumbnail_url(&self, resource_identifier: &str, size: u32) -> PyResult<String> {
        let url = self.core.get_thumbnail_url(resource_identifier, size);
        url.map_err(raise_any(About::Location))
    }
}

/// Data that is being read.
#[pyclass(frozen, module = "ftrack_api._core")]
pub(crate) struct Reader {
    core: Mutex<Option<Box<dyn Read + Send>>>,
}

#[pymethods]
impl Reader {
    /// At most this many bytes, or all that are left.
    fn read<'py>(&self, py: Python<'py>, limit: Option<u64>) -> PyResult<Bound<'py, PyBytes>> {
        // Taken out: the file may be one of Python's.
        let Some(mut reader) = lock(&self.core).take() else {
            return Err(PyRuntimeError::new_err(
                "another thread is reading this data",
            ));
        };
        let read = released(py, || {
            let mut bytes = Vec::new();
            match limit {
                Some(limit) => reader.by_ref().take(limit).read_to_end(&mut bytes)?,
                None => reader.read_to_end(&mut bytes)?,
            };
            Ok(bytes)
        });
        *lock(&self.core) = Some(reader);
        let bytes = read.map_err(|error: io::Error| raise_any(About::Location)(error.into()))?;
        Ok(PyBytes::new(py, &bytes))
    }
}

/// An object that was bound elsewhere, shared.
pub(crate) struct Shared(pub(crate) Arc<dyn accessor::Accessor>);

#[deny(clippy::missing_trait_methods)]
impl accessor::Accessor for Shared {
    fn open(&self, identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.0.open(identifier)
    }

    fn open_at(&self, identifier: &str, offset: u64) -> anyhow::Result<Box<dyn Read + Send>> {
        self.0.open_at(identifier, offset)
    }

    fn open_pieces(
        &self,
        identifier: &str,
        offset: u64,
    ) -> anyhow::Result<Option<Box<dyn Pieces>>> {
        self.0.open_pieces(identifier, offset)
    }

    fn allows_connections(&self) -> bool {
        self.0.allows_connections()
    }

    fn keeps_size(&self) -> bool {
        self.0.keeps_size()
    }

    fn prepare(&self, files: &[PendingWrite<'_>]) -> anyhow::Result<Vec<Option<Prepared>>> {
        self.0.prepare(files)
    }

    fn flush(&self, identifiers: &[&str]) -> anyhow::Result<()> {
        self.0.flush(identifiers)
    }

    fn write(&self, identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        self.0.write(identifier, content)
    }

    fn exists(&self, identifier: &str) -> anyhow::Result<bool> {
        self.0.exists(identifier)
    }

    fn remove(&self, identifier: &str) -> anyhow::Result<bool> {
        self.0.remove(identifier)
    }

    fn list(&self, identifier: &str) -> anyhow::Result<Vec<String>> {
        self.0.list(identifier)
    }

    fn is_file(&self, identifier: &str) -> anyhow::Result<bool> {
        self.0.is_file(identifier)
    }

    fn is_container(&self, identifier: &str) -> anyhow::Result<bool> {
        self.0.is_container(identifier)
    }

    fn make_container(&self, identifier: &str) -> anyhow::Result<()> {
        self.0.make_container(identifier)
    }

    fn get_container(&self, identifier: &str) -> anyhow::Result<Option<String>> {
        self.0.get_container(identifier)
    }

    fn get_filesystem_path(&self, identifier: &str) -> anyhow::Result<PathBuf> {
        self.0.get_filesystem_path(identifier)
    }

    fn get_url(&self, identifier: &str) -> anyhow::Result<String> {
        self.0.get_url(identifier)
    }

    fn get_thumbnail_url(&self, identifier: &str, size: u32) -> anyhow::Result<String> {
        self.0.get_thumbnail_url(identifier, size)
    }
}

/// An accessor written in Python, by the interface of the official client.
pub(crate) struct PythonAccessor(pub(crate) Held);

impl PythonAccessor {
    fn text(&self, method: &str, identifier: &str) -> anyhow::Result<String> {
        self.0
            .call(|object| object.call_method1(method, (identifier,))?.extract())
    }

    fn truth(&self, method: &str, identifier: &str) -> anyhow::Result<bool> {
        self.0
            .call(|object| object.call_method1(method, (identifier,))?.is_truthy())
    }
}

impl accessor::Accessor for PythonAccessor {
    fn open(&self, identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.0.call(|object| {
            let file = object.call_method1("open", (identifier, "rb"))?;
            let reader: Box<dyn Read + Send> = Box::new(PythonFile(file.unbind()));
            Ok(reader)
        })
    }

    /// The file is written in place; a caller that needs all or nothing must ensure it. After an error
    /// it is removed again.
    fn write(&self, identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        let file = self.0.call(|object| {
            make_container(object, identifier)?;
            Ok(object.call_method1("open", (identifier, "wb"))?.unbind())
        })?;
        let written = copy(content, &file);
        let closed = Python::attach(|py| {
            let closed = file.bind(py).call_method0("close");
            closed.map(drop).map_err(|raised| from_callback(py, raised))
        });
        let result = written.and(closed);
        if result.is_err() {
            let _ = self.remove(identifier);
        }
        result
    }

    fn exists(&self, identifier: &str) -> anyhow::Result<bool> {
        self.truth("exists", identifier)
    }

    fn remove(&self, identifier: &str) -> anyhow::Result<bool> {
        let removed = self.0.call(|object| {
            object.call_method1("remove", (identifier,))?;
            Ok(true)
        });
        match removed {
            Err(error) if is_not_found(&error) => Ok(false),
            other => other,
        }
    }

    fn list(&self, identifier: &str) -> anyhow::Result<Vec<String>> {
        self.0
            .call(|object| object.call_method1("list", (identifier,))?.extract())
    }

    fn is_file(&self, identifier: &str) -> anyhow::Result<bool> {
        self.truth("is_file", identifier)
    }

    fn is_container(&self, identifier: &str) -> anyhow::Result<bool> {
        self.truth("is_container", identifier)
    }

    fn make_container(&self, identifier: &str) -> anyhow::Result<()> {
        self.0.call(|object| {
            object
                .call_method1("make_container", (identifier,))
                .map(drop)
        })
    }

    fn get_container(&self, identifier: &str) -> anyhow::Result<Option<String>> {
        self.0.call(|object| {
            object
                .call_method1("get_container", (identifier,))?
                .extract()
        })
    }

    fn get_filesystem_path(&self, identifier: &str) -> anyhow::Result<PathBuf> {
        self.text("get_filesystem_path", identifier)
            .map(PathBuf::from)
    }

    fn get_url(&self, identifier: &str) -> anyhow::Result<String> {
        self.text("get_url", identifier)
    }

    fn get_thumbnail_url(&self, identifier: &str, size: u32) -> anyhow::Result<String> {
        self.0.call(|object| {
            let url = object.call_method1("get_thumbnail_url", (identifier, size))?;
            url.extract()
        })
    }
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let own = error.downcast_ref::<Error>();
    own.is_some_and(|error| error.kind() == ErrorKind::NotFound)
}

/// The container for what will be written, where there are such.
fn make_container(object: &Bound<'_, PyAny>, identifier: &str) -> PyResult<()> {
    let py = object.py();
    let container = match object.call_method1("get_container", (identifier,)) {
        Ok(container) => container,
        Err(raised) => {
            let exceptions = py.import("ftrack_api.exception")?;
            let root = exceptions.getattr("AccessorParentResourceNotFoundError")?;
            let none = exceptions.getattr("AccessorUnsupportedOperationError")?;
            return match raised.is_instance(py, &root) || raised.is_instance(py, &none) {
                true => Ok(()),
                false => Err(raised),
            };
        }
    };
    if container.is_truthy()? {
        object.call_method1("make_container", (container,))?;
    }
    Ok(())
}

fn copy(content: &mut Content<'_>, file: &Py<PyAny>) -> anyhow::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = content.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        Python::attach(|py| {
            let bytes = PyBytes::new(py, &chunk[..count]);
            let written = file.bind(py).call_method1("write", (bytes,));
            written
                .map(drop)
                .map_err(|raised| from_callback(py, raised))
        })?;
    }
}

/// A file that Python code opened.
struct PythonFile(Py<PyAny>);

impl Read for PythonFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Python::attach(|py| {
            let limit = buffer.len().min(CHUNK_BYTES);
            let read = self.0.bind(py).call_method1("read", (limit,));
            let read = read.and_then(|bytes| {
                let bytes = bytes.extract::<Vec<u8>>()?;
                if bytes.len() > buffer.len() {
                    let message = "read() returned more bytes than it was asked for";
                    return Err(PyValueError::new_err(message));
                }
                buffer[..bytes.len()].copy_from_slice(&bytes);
                Ok(bytes.len())
            });
            read.map_err(|raised| io::Error::other(from_callback(py, raised)))
        })
    }
}

impl Drop for PythonFile {
    fn drop(&mut self) {
        Python::attach(|py| {
            if let Err(raised) = self.0.bind(py).call_method0("close") {
                raised.write_unraisable(py, None);
            }
        });
    }
}
