//! The action `encode_media`: a job that makes media playable in browsers (SERVER.md B3).
//!
//! There is no video encoder here. Images become smaller JPEGs; movies and PDFs are handed on
//! byte for byte under the type that a site would give its own encoding. For tests of clients
//! that is as good: they wait for the job, read its outputs and fetch their data.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::error::Fault;
use crate::files::store::Blob;
use crate::files::{Files, thumbnail};

/// The most pixels per side of an encoded image and of a thumbnail.
const IMAGE_SIZE: u32 = 2048;
const THUMBNAIL_SIZE: u32 = 500;
/// Movies are recognised by the ending of their component's file type.
const MOVIES: [&str; 12] = [
    "mov", "mp4", "m4v", "avi", "mkv", "webm", "mpg", "mpeg", "mxf", "wmv", "flv", "qt",
];

/// What encoding needs from the database. All methods may block.
pub trait Catalogue: Send + Sync + 'static {
    /// The file component of that id; `None` if there is none.
    ///
    /// # Errors
    ///
    /// A sentence, as for all methods here.
    fn component(&self, component_id: &str) -> Result<Option<Source>, String>;

    /// Changes the status of a job to `running`, `done` or `failed`, and its data.
    ///
    /// # Errors
    ///
    /// A sentence.
    fn update_job(&self, job_id: &str, status: &str, data: &str) -> Result<(), String>;

    /// Creates, in one transaction, a FileComponent, its ComponentLocation in `ftrack.server`,
    /// its metadata, and its JobComponent.
    ///
    /// # Errors
    ///
    /// A sentence.
    fn create_output(&self, job_id: &str, output: &Output) -> Result<(), String>;

    /// Makes a component the thumbnail of a version, if that version exists.
    ///
    /// # Errors
    ///
    /// A sentence.
    fn set_thumbnail(&self, version_id: &str, component_id: &str) -> Result<(), String>;

    /// Deletes a component and its ComponentLocations.
    ///
    /// # Errors
    ///
    /// A sentence.
    fn delete_component(&self, component_id: &str) -> Result<(), String>;
}

/// The component that is to be encoded.
#[derive(Debug, Clone)]
pub struct Source {
    /// With or without a dot; may be empty.
    pub file_type: String,
}

/// A component that encoding made. Its data is already stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// A new id.
    pub component_id: String,
    /// As a site names its encodings: `ftrackreview-mp4`, `ftrackreview-image`,
    /// `ftrackreview-pdf`, `thumbnail`.
    pub name: String,
    /// With a dot: `.mp4`.
    pub file_type: String,
    /// The MIME type: `video/mp4`.
    pub format: String,
    /// In bytes.
    pub size: u64,
    /// The version to which it belongs, if one was named.
    pub version_id: Option<String>,
    /// Key and value; players read `ftr_meta`.
    pub metadata: Vec<(String, String)>,
}

/// Runs the encoding jobs of a server.
#[derive(Clone)]
pub struct Encoder {
    files: Files,
    catalogue: Arc<dyn Catalogue>,
    /// How long a job is queued, and again how long it runs, at least: so that clients see
    /// both.
    delay: Duration,
}

/// What the action `encode_media` asks for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EncodeRequest {
    /// The FileComponent to encode.
    pub component_id: String,
    /// The version that the outputs are to belong to.
    pub version_id: Option<String>,
    /// Whether the component stays when it is encoded; it does if nothing is said.
    pub keep_original: Option<bool>,
}

impl EncodeRequest {
    /// Reads the operation that a client sent.
    ///
    /// # Errors
    ///
    /// `ValidationError`, saying which part is malformed.
    pub fn parse(operation: &Value) -> Result<Self, Fault> {
        let malformed = |error| Fault::validation(format!("encode_media: {error}."));
        Self::deserialize(operation).map_err(malformed)
    }

    /// What `Job.data` holds while there are no outputs yet: a JSON text.
    pub fn job_data(&self) -> String {
        job_data(self, &[], None)
    }
}

/// What becomes of a source.
enum Plan {
    Image,
    /// Name, file type and format of the one output that has the same data.
    Copy(&'static str, &'static str, &'static str),
}

impl Encoder {
    /// An encoder over the storage and the database.
    pub fn new(files: Files, catalogue: Arc<dyn Catalogue>, delay: Duration) -> Self {
        Self {
            files,
            catalogue,
            delay,
        }
    }

    /// Runs a job on `runtime`. It was created as `queued`, with the data of
    /// [`EncodeRequest::job_data`]; its transaction must be committed, and nothing may have the
    /// database locked while this runs. What goes wrong is told by the job.
    pub fn start(&self, request: EncodeRequest, job_id: String, runtime: &Handle) {
        let encoder = self.clone();
        runtime.spawn(async move { encoder.run(request, job_id).await });
    }

    async fn run(self, request: EncodeRequest, job_id: String) {
        let request = Arc::new(request);
        sleep(self.delay).await;
        let running = request.job_data();
        if !self.update(&job_id, "running", running).await {
            return;
        }
        sleep(self.delay).await;
        let (encoder, id, asked) = (self.clone(), job_id.clone(), request.clone());
        let encode = move || encoder.encode(&asked, &id);
        let outcome = spawn_blocking(encode).await;
        // The join fails if an image decoder panics.
        let outcome = outcome.unwrap_or_else(|_| Err("the media could not be read".to_owned()));
        match outcome {
            Ok(outputs) => {
                let data = job_data(&request, &outputs, None);
                self.update(&job_id, "done", data).await;
            }
            Err(reason) => {
                let data = job_data(&request, &[], Some(&reason));
                self.update(&job_id, "failed", data).await;
            }
        }
    }

    /// `false` if the job is gone or the database fails: there is nobody left to tell.
    async fn update(&self, job_id: &str, status: &'static str, data: String) -> bool {
        let (catalogue, id) = (self.catalogue.clone(), job_id.to_owned());
        let update = move || catalogue.update_job(&id, status, &data);
        matches!(spawn_blocking(update).await, Ok(Ok(())))
    }

    fn encode(&self, request: &EncodeRequest, job_id: &str) -> Result<Vec<Output>, String> {
        let source = self.catalogue.component(&request.component_id)?;
        let source = source.ok_or("the component does not exist")?;
        let blob = Blob::of(&request.component_id);
        let stored = self.files.inner.store.read(&blob);
        let data = stored.map_err(|_| "nothing is stored for the component".to_owned())?;
        let (review, small) = match plan(&data, &source.file_type)? {
            Plan::Image => {
                let image = thumbnail::shrink_to_jpeg(&data, IMAGE_SIZE)?;
                let small = thumbnail::shrink_to_jpeg(&data, THUMBNAIL_SIZE)?;
                let output = output(request, "ftrackreview-image", ".jpg", "image/jpeg");
                ((output, image), small)
            }
            Plan::Copy(name, file_type, format) => {
                let small = thumbnail::shrink_to_jpeg(&thumbnail::placeholder(), THUMBNAIL_SIZE)?;
                ((output(request, name, file_type, format), data), small)
            }
        };
        let small = (output(request, "thumbnail", ".jpg", "image/jpeg"), small);
        let mut outputs = Vec::new();
        for (mut output, data) in [review, small] {
            output.size = data.len() as u64;
            self.publish(job_id, &output, &data)?;
            outputs.push(output);
        }
        if let (Some(version), Some(thumbnail)) = (&request.version_id, outputs.last()) {
            let thumbnail = &thumbnail.component_id;
            self.catalogue.set_thumbnail(version, thumbnail)?;
        }
        if request.keep_original == Some(false) {
            self.catalogue.delete_component(&request.component_id)?;
            let removed = self.files.remove(&request.component_id);
            removed.map_err(|error| error.to_string())?;
        }
        Ok(outputs)
    }

    /// Data first: a component in a location always has some.
    fn publish(&self, job_id: &str, output: &Output, data: &[u8]) -> Result<(), String> {
        let stored = self.files.write(&output.component_id, data);
        stored.map_err(|error| format!("the storage failed, {error}"))?;
        self.catalogue
            .create_output(job_id, output)
            .inspect_err(|_| {
                // What nobody knows of is not kept; if that fails too, the first error counts.
                let _ = self.files.remove(&output.component_id);
            })
    }
}

fn plan(data: &[u8], file_type: &str) -> Result<Plan, String> {
    let ending = file_type.trim_start_matches('.').to_ascii_lowercase();
    if thumbnail::is_image(data) {
        Ok(Plan::Image)
    } else if MOVIES.contains(&ending.as_str()) || data.get(4..8) == Some(b"ftyp") {
        Ok(Plan::Copy("ftrackreview-mp4", ".mp4", "video/mp4"))
    } else if data.starts_with(b"%PDF") {
        Ok(Plan::Copy("ftrackreview-pdf", ".pdf", "application/pdf"))
    } else {
        Err("this is no media: no JPEG, PNG, movie or PDF".to_owned())
    }
}

fn output(request: &EncodeRequest, name: &str, file_type: &str, format: &str) -> Output {
    let meta = match name {
        "ftrackreview-mp4" => json!({"frameIn": 0, "frameOut": 0, "frameRate": 25}),
        "ftrackreview-image" => json!({"format": "image"}),
        "ftrackreview-pdf" => json!({"format": "pdf"}),
        _ => Value::Null,
    };
    let mut metadata = Vec::new();
    if !meta.is_null() {
        metadata.push(("ftr_meta".to_owned(), meta.to_string()));
    }
    Output {
        component_id: uuid::Uuid::new_v4().to_string(),
        name: name.to_owned(),
        file_type: file_type.to_owned(),
        format: format.to_owned(),
        size: 0,
        version_id: request.version_id.clone(),
        metadata,
    }
}

/// The text in `Job.data`, of the shape that the Python client documents; and why a job failed.
fn job_data(request: &EncodeRequest, outputs: &[Output], error: Option<&str>) -> String {
    let listed: Vec<Value> = outputs
        .iter()
        .map(|output| json!({"format": output.format, "component_id": output.component_id}))
        .collect();
    let mut data = json!({
        "output": listed,
        "source_component_id": request.component_id,
        "keep_original": request.keep_original.unwrap_or(true),
        "description": "Encoding media",
    });
    if let Some(error) = error {
        data["error"] = error.into();
    }
    data.to_string()
}
