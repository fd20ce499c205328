//! The action `encode_media`: a job that makes media playable in browsers.
//!
//! Images become smaller JPEGs, movies H.264 where there is an `ffmpeg`. Without one, movies are
//! handed on byte for byte under the type that a site would give its own encoding, as PDFs always
//! are. For most tests of clients that is as good: they wait for the job, read its outputs and
//! fetch their data.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::error::Fault;
use crate::files::movie::{self, Movie};
use crate::files::store::Blob;
use crate::files::{Files, thumbnail};

/// The most pixels per side of an encoded image and of a thumbnail.
const IMAGE_SIZE: u32 = 2048;
const THUMBNAIL_SIZE: u32 = 500;
/// Name and height of the encodings of a movie. The larger one is made of larger movies only.
const HEIGHTS: [(&str, u32); 2] = [("ftrackreview-mp4", 720), ("ftrackreview-mp4-1080", 1080)];
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

    /// Writes a line to the log.
    fn note(&self, text: &str);
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
    #[serde(default, deserialize_with = "flag")]
    pub keep_original: Option<bool>,
    /// What will be made: known before the work begins, so that clients can wait for it.
    #[serde(skip)]
    pub outputs: Vec<Output>,
}

/// Some clients send the words of Python.
fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    let value = Option::<Value>::deserialize(deserializer)?;
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(flag)),
        Some(Value::String(text)) if text == "True" => Ok(Some(true)),
        Some(Value::String(text)) if text == "False" => Ok(Some(false)),
        Some(_) => Err(serde::de::Error::custom(
            "keep_original must be true or false",
        )),
    }
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

    /// What `Job.data` holds before the work is done: a JSON text that names the outputs.
    pub fn job_data(&self) -> String {
        job_data(self, &self.outputs, None)
    }

    /// Decides on the outputs. What cannot be encoded has none, and fails as a job.
    pub fn plan(&mut self, media: Media, file_type: &str) {
        self.outputs = plan(self, media, file_type).unwrap_or_default();
    }
}

/// What a component's data is, as far as it shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Media {
    /// There is none.
    Missing,
    /// A JPEG or a PNG.
    Image,
    /// Something that `ffmpeg` reads.
    Movie(Movie),
    /// A PDF.
    Pdf,
    /// A movie by its first bytes.
    LikeMovie,
    /// Anything else, perhaps a movie.
    Other,
}

impl Files {
    /// Looks at the data of a component.
    pub fn media(&self, component_id: &str) -> Media {
        let path = self.inner.store.path(&Blob::of(component_id));
        let mut head = Vec::new();
        let read = std::fs::File::open(&path).and_then(|file| file.take(64).read_to_end(&mut head));
        if read.is_err() {
            return Media::Missing;
        }
        if thumbnail::is_image(&head) {
            Media::Image
        } else if head.starts_with(b"%PDF") {
            Media::Pdf
        } else if let Some(movie) = movie::probe(&path) {
            Media::Movie(movie)
        } else if head.get(4..8) == Some(b"ftyp") {
            Media::LikeMovie
        } else {
            Media::Other
        }
    }
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

    async fn run(self, mut request: EncodeRequest, job_id: String) {
        sleep(self.delay).await;
        let running = request.job_data();
        if !self.update(&job_id, "running", running).await {
            return;
        }
        sleep(self.delay).await;
        let (encoder, id, mut asked) = (self.clone(), job_id.clone(), request.clone());
        let encode = move || encoder.encode(&mut asked, &id).map(|()| asked.outputs);
        let outcome = spawn_blocking(encode).await;
        // The join fails if an image decoder panics.
        let outcome = outcome.unwrap_or_else(|_| Err("the media could not be read".to_owned()));
        match outcome {
            Ok(outputs) => {
                request.outputs = outputs;
                self.update(&job_id, "done", request.job_data()).await;
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

    fn encode(&self, request: &mut EncodeRequest, job_id: &str) -> Result<(), String> {
        let source = self.catalogue.component(&request.component_id)?;
        let source = source.ok_or("the component does not exist")?;
        let media = self.files.media(&request.component_id);
        if request.outputs.is_empty() {
            request.outputs = plan(request, media, &source.file_type)?;
        }
        let path = self
            .files
            .inner
            .store
            .path(&Blob::of(&request.component_id));
        let mut outputs = std::mem::take(&mut request.outputs);
        for output in &mut outputs {
            let data = self.data(media, &path, output)?;
            output.size = data.len() as u64;
            self.publish(job_id, output, &data)?;
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
        request.outputs = outputs;
        Ok(())
    }

    /// Makes the data of one output.
    fn data(&self, media: Media, path: &Path, output: &Output) -> Result<Vec<u8>, String> {
        let read =
            || std::fs::read(path).map_err(|_| "nothing is stored for the component".to_owned());
        let height = HEIGHTS.iter().find(|(name, _)| *name == output.name);
        match (media, output.name.as_str(), height) {
            (Media::Movie(_), _, Some((_, height))) => {
                let target = self.files.inner.store.incoming();
                let target = target.map_err(|error| error.to_string())?;
                movie::encode(path, target.path(), *height)?;
                std::fs::read(target.path()).map_err(|error| error.to_string())
            }
            (Media::Movie(_), "thumbnail", _) => {
                thumbnail::shrink_to_jpeg(&movie::frame(path)?, THUMBNAIL_SIZE)
            }
            (Media::Image, "thumbnail", _) => thumbnail::shrink_to_jpeg(&read()?, THUMBNAIL_SIZE),
            (Media::Image, ..) => thumbnail::shrink_to_jpeg(&read()?, IMAGE_SIZE),
            (_, "thumbnail", _) => {
                thumbnail::shrink_to_jpeg(&thumbnail::placeholder(), THUMBNAIL_SIZE)
            }
            (_, _, Some(_)) => {
                self.catalogue.note(
                    "encode_media: a movie is handed on as it is: ffmpeg is missing or cannot read it",
                );
                read()
            }
            _ => read(),
        }
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

/// The outputs of a request, the thumbnail last.
fn plan(request: &EncodeRequest, media: Media, file_type: &str) -> Result<Vec<Output>, String> {
    let ending = file_type.trim_start_matches('.').to_ascii_lowercase();
    let is_movie = media == Media::LikeMovie || MOVIES.contains(&ending.as_str());
    let make = |name: &str, file_type: &str, format: &str, meta: Value| Output {
        component_id: uuid::Uuid::new_v4().to_string(),
        name: name.to_owned(),
        file_type: file_type.to_owned(),
        format: format.to_owned(),
        size: 0,
        version_id: request.version_id.clone(),
        metadata: match meta {
            Value::Null => Vec::new(),
            meta => vec![("ftr_meta".to_owned(), meta.to_string())],
        },
    };
    let mut outputs = match media {
        Media::Missing => return Err("nothing is stored for the component".to_owned()),
        Media::Image => {
            let meta = json!({"format": "image"});
            vec![make("ftrackreview-image", ".jpg", "image/jpeg", meta)]
        }
        Media::Movie(movie) => HEIGHTS
            .iter()
            .enumerate()
            .filter(|(index, (_, height))| *index == 0 || movie.height >= *height)
            .map(|(_, (name, height))| {
                make(name, ".mp4", "video/mp4", movie::meta(&movie, *height))
            })
            .collect(),
        Media::Pdf => {
            let meta = json!({"format": "pdf"});
            vec![make("ftrackreview-pdf", ".pdf", "application/pdf", meta)]
        }
        Media::LikeMovie | Media::Other if is_movie => {
            let meta = json!({"frameIn": 0, "frameOut": 0, "frameRate": 25});
            vec![make("ftrackreview-mp4", ".mp4", "video/mp4", meta)]
        }
        Media::LikeMovie | Media::Other => {
            return Err("this is no media: no JPEG, PNG, movie or PDF".to_owned());
        }
    };
    outputs.push(make("thumbnail", ".jpg", "image/jpeg", Value::Null));
    Ok(outputs)
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
