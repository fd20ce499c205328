//! Encoding jobs on real media, with a database in memory.

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::*;
use crate::files::encode::{Catalogue, EncodeRequest, Encoder, Media, Output, Source};

/// A database in memory that writes down what it is told.
#[derive(Default)]
struct Memory {
    file_type: String,
    log: Mutex<Vec<(String, Value)>>,
    outputs: Mutex<Vec<Output>>,
    notes: Mutex<Vec<String>>,
}

impl Memory {
    fn note(&self, what: &str, data: &str) {
        let data = serde_json::from_str(data).unwrap_or_else(|_| data.into());
        self.log.lock().push((what.to_owned(), data));
    }

    fn steps(&self) -> Vec<String> {
        self.log
            .lock()
            .iter()
            .map(|(what, _)| what.clone())
            .collect()
    }
}

impl Catalogue for Memory {
    fn component(&self, component_id: &str) -> Result<Option<Source>, String> {
        let file_type = self.file_type.clone();
        Ok((component_id == ID).then_some(Source { file_type }))
    }

    fn update_job(&self, job_id: &str, status: &str, data: &str) -> Result<(), String> {
        assert_eq!(job_id, "job");
        self.note(status, data);
        Ok(())
    }

    fn create_output(&self, _: &str, output: &Output) -> Result<(), String> {
        self.note(&output.name, &output.format);
        self.outputs.lock().push(output.clone());
        Ok(())
    }

    fn set_thumbnail(&self, version_id: &str, component_id: &str) -> Result<(), String> {
        self.note("thumbnail of", version_id);
        assert_eq!(
            self.outputs.lock().last().unwrap().component_id,
            component_id
        );
        Ok(())
    }

    fn delete_component(&self, component_id: &str) -> Result<(), String> {
        self.note("delete", component_id);
        Ok(())
    }

    fn note(&self, text: &str) {
        self.notes.lock().push(text.to_owned());
    }
}

fn encode(site: &Site, file_type: &str, request: &Value) -> Arc<Memory> {
    let memory = Arc::new(Memory {
        file_type: file_type.to_owned(),
        ..Memory::default()
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let delay = Duration::from_millis(5);
    let encoder = Encoder::new(site.files.clone(), memory.clone(), delay);
    let mut request = EncodeRequest::parse(request).unwrap();
    request.plan(site.files.media(&request.component_id), file_type);
    memory.note("queued", &request.job_data());
    encoder.start(request, "job".to_owned(), runtime.handle());
    eventually("the job ends", || {
        let steps = memory.steps();
        steps.contains(&"done".to_owned()) || steps.contains(&"failed".to_owned())
    });
    memory
}

#[test]
fn an_image_is_encoded_with_a_thumbnail() {
    let site = site();
    site.files.write(ID, &picture(2200, 110)).unwrap();
    let request = json!({"component_id": ID, "version_id": "v", "keep_original": true});
    let memory = encode(&site, ".png", &request);
    let steps = [
        "queued",
        "running",
        "ftrackreview-image",
        "thumbnail",
        "thumbnail of",
        "done",
    ];
    assert_eq!(memory.steps(), steps);
    let outputs = memory.outputs.lock();
    let (_, data) = memory.log.lock().last().unwrap().clone();
    assert_eq!(data["source_component_id"], ID);
    assert_eq!(data["keep_original"], true);
    for (output, side) in outputs.iter().zip([2048, 500]) {
        assert_eq!(output.version_id.as_deref(), Some("v"));
        assert_eq!(site.files.size(&output.component_id), Some(output.size));
        let blob = store::Blob::of(&output.component_id);
        let stored = site.files.inner.store.read(&blob).unwrap();
        assert_eq!(image::load_from_memory(&stored).unwrap().width(), side);
        let listed = json!({"format": "image/jpeg", "component_id": output.component_id});
        assert!(data["output"].as_array().unwrap().contains(&listed));
    }
    assert!(site.files.size(ID).is_some());
}

#[test]
fn a_movie_is_handed_on_and_its_original_removed_if_so_asked() {
    let site = site();
    site.files.write(ID, b"moving pictures").unwrap();
    let request = json!({"component_id": ID, "version_id": null, "keep_original": false});
    let memory = encode(&site, ".MOV", &request);
    let steps = [
        "queued",
        "running",
        "ftrackreview-mp4",
        "thumbnail",
        "delete",
        "done",
    ];
    assert_eq!(memory.steps(), steps);
    let movie = &memory.outputs.lock()[0];
    assert_eq!((movie.format.as_str(), movie.size), ("video/mp4", 15));
    let notes = memory.notes.lock();
    assert!(notes.len() == 1 && notes[0].contains("ffmpeg"), "{notes:?}");
    assert_eq!(site.files.size(ID), None);
}

#[test]
fn what_cannot_be_encoded_fails_as_a_job() {
    let site = site();
    let request = json!({"component_id": ID, "version_id": null, "keep_original": false});
    // Nothing is stored, then no media, then a broken image.
    for data in [None, Some(&b"text"[..]), Some(&picture(10, 10)[..40])] {
        if let Some(data) = data {
            site.files.write(ID, data).unwrap();
        }
        let memory = encode(&site, ".txt", &request);
        assert_eq!(memory.steps(), ["queued", "running", "failed"]);
        assert!(memory.log.lock()[2].1["error"].is_string());
    }
    // The original is not lost by a failure.
    assert!(site.files.size(ID).is_some());
}

/// A movie of two seconds by the tool itself; `None` where there is none.
fn movie(size: &str) -> Option<Vec<u8>> {
    let output = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i"])
        .arg(format!("testsrc=size={size}:rate=10:duration=2"))
        .args(["-c:v", "mpeg4", "-f", "matroska", "-"])
        .output()
        .ok()?;
    assert!(output.status.success());
    Some(output.stdout)
}

/// What the tool itself says about the first stream of some data: the container, the codec, the
/// pixels, and the height.
fn stream(data: &[u8]) -> (String, String, String, u64) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), data).unwrap();
    let output = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-of", "json"])
        .args([
            "-show_entries",
            "format=format_name:stream=codec_name,pix_fmt,height",
        ])
        .arg(file.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let stream = &said["streams"][0];
    (
        text(&said["format"]["format_name"]),
        text(&stream["codec_name"]),
        text(&stream["pix_fmt"]),
        stream["height"].as_u64().unwrap(),
    )
}

#[test]
fn movies_are_transcoded_where_there_is_a_tool() {
    for (size, names, heights) in [
        (
            "320x180",
            &["ftrackreview-mp4", "thumbnail"][..],
            &[180][..],
        ),
        (
            "1920x1080",
            &["ftrackreview-mp4", "ftrackreview-mp4-1080", "thumbnail"],
            &[720, 1080],
        ),
    ] {
        let Some(data) = movie(size) else {
            assert!(std::env::var_os("CI").is_none(), "ffmpeg is missing");
            return;
        };
        let site = site();
        site.files.write(ID, &data).unwrap();
        let request = json!({"component_id": ID, "version_id": "v", "keep_original": "True"});
        let memory = encode(&site, ".mkv", &request);
        let outputs = memory.outputs.lock();
        let made: Vec<_> = outputs.iter().map(|output| output.name.as_str()).collect();
        assert_eq!(made, names, "{:?}", memory.log.lock());
        // They were named before the work began.
        let log = memory.log.lock();
        assert_eq!(log[0].1["output"], log.last().unwrap().1["output"]);
        assert_eq!(log[0].1["output"].as_array().unwrap().len(), names.len());
        assert!(memory.notes.lock().is_empty());
        let stored = |output: &Output| {
            let blob = store::Blob::of(&output.component_id);
            site.files.inner.store.read(&blob).unwrap()
        };
        for (output, &height) in outputs.iter().zip(heights) {
            let (container, codec, pixels, found) = stream(&stored(output));
            // What browsers play.
            assert!(
                container.split(',').any(|name| name == "mp4"),
                "{container}"
            );
            let encoding = (codec.as_str(), pixels.as_str(), found);
            assert_eq!(encoding, ("h264", "yuv420p", height), "{}", output.name);
        }
        let thumbnail = stored(outputs.last().unwrap());
        assert_eq!(
            image::guess_format(&thumbnail).unwrap(),
            image::ImageFormat::Jpeg
        );
        let media = site.files.media(&outputs[0].component_id);
        let Media::Movie(movie) = media else {
            panic!("{media:?}")
        };
        assert_eq!((movie.frames, movie.rate), (20, 10.0));
        let meta: Value = serde_json::from_str(&outputs[0].metadata[0].1).unwrap();
        assert_eq!(
            (&meta["frameOut"], &meta["frameRate"]),
            (&json!(19), &json!(10.0))
        );
        assert_eq!(meta["height"], movie.height);
        assert!(site.files.size(ID).is_some());
    }
}

/// A playlist could name any file of the machine.
#[test]
fn playlists_are_no_movies() {
    let site = site();
    let playlist =
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
    for data in [playlist, "ffconcat version 1.0\nfile /etc/passwd\n"] {
        site.files.write(ID, data.as_bytes()).unwrap();
        assert_eq!(site.files.media(ID), Media::Other);
    }
}

#[test]
fn malformed_encodings() {
    for bad in [
        json!({}),
        json!({"component_id": 1}),
        json!({"component_id": ID, "keep_original": "auto"}),
        json!({"component_id": ID, "keep_original": "true"}),
        json!({"component_id": ID, "keep_original": 1}),
        json!({"component_id": ID, "version_id": ["v"]}),
        json!(null),
    ] {
        let failure = EncodeRequest::parse(&bad).unwrap_err();
        assert_eq!(failure.exception, "ValidationError");
    }
    let request = EncodeRequest::parse(&json!({"component_id": "other"})).unwrap();
    let data: Value = serde_json::from_str(&request.job_data()).unwrap();
    assert_eq!(data["output"], json!([]));
    let memory = encode(&site(), ".mov", &json!({"component_id": "other"}));
    assert_eq!(memory.steps(), ["queued", "running", "failed"]);
}
