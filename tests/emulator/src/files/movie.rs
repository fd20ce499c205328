//! Movies made playable in browsers by `ffmpeg`, where the machine has one.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

/// What is known of a movie before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Movie {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Frames in a second.
    pub(super) rate: f64,
    pub(super) frames: u64,
}

/// Containers that are read. Playlists are not: they name other files, which are nobody's
/// business.
const CONTAINERS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mxf,asf,flv";

#[derive(Deserialize)]
struct Probe {
    streams: Vec<Stream>,
}

#[derive(Deserialize)]
struct Stream {
    width: u32,
    height: u32,
    r_frame_rate: String,
    nb_frames: Option<String>,
    nb_read_packets: Option<String>,
}

/// What is asked of a movie.
const ENTRIES: &str = "stream=width,height,r_frame_rate,nb_frames,nb_read_packets";

/// Looks at a file. `None` if it is no movie, or there is nobody to ask.
pub(super) fn probe(path: &Path) -> Option<Movie> {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-format_whitelist", CONTAINERS])
        // Files that were written to a pipe have neither a duration nor a number of frames.
        .args(["-select_streams", "v:0", "-count_packets", "-of", "json"])
        .args(["-show_entries", ENTRIES])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let probe: Probe = serde_json::from_slice(&output.stdout).ok()?;
    let stream = probe.streams.first()?;
    let (over, under) = stream.r_frame_rate.split_once('/')?;
    let rate = over.parse::<f64>().ok()? / under.parse::<f64>().ok()?;
    let counts = [&stream.nb_frames, &stream.nb_read_packets];
    let mut counts = counts.into_iter().flatten();
    let frames = counts.find_map(|text| text.parse().ok())?;
    let rate = if rate.is_finite() && rate > 0.0 {
        rate
    } else {
        25.0
    };
    Some(Movie {
        width: stream.width,
        height: stream.height,
        rate,
        frames,
    })
}

/// What players read about a movie.
pub(super) fn meta(movie: &Movie, height: u32) -> Value {
    let height = height.min(movie.height);
    let width = u64::from(movie.width) * u64::from(height) / u64::from(movie.height.max(1));
    json!({
        "frameIn": 0,
        "frameOut": movie.frames.saturating_sub(1),
        "frameRate": movie.rate,
        "width": width,
        "height": height,
    })
}

/// The movie as H.264, no higher than `height` and never enlarged.
///
/// # Errors
///
/// What `ffmpeg` says.
pub(super) fn encode(source: &Path, target: &Path, height: u32) -> Result<(), String> {
    let scale = format!("scale=-2:trunc(min({height}\\,ih)/2)*2");
    let run = read(source)
        .args(["-map", "0:v:0", "-map", "0:a:0?", "-c:v", "libx264"])
        .args(["-preset", "veryfast", "-pix_fmt", "yuv420p", "-vf", &scale])
        .args(["-c:a", "aac", "-movflags", "+faststart", "-f", "mp4"])
        .arg(target)
        .output();
    said(run).map(drop)
}

/// The first frame as a PNG.
///
/// # Errors
///
/// What `ffmpeg` says.
pub(super) fn frame(source: &Path) -> Result<Vec<u8>, String> {
    let run = read(source)
        .args(["-map", "0:v:0", "-frames:v", "1", "-f", "image2pipe"])
        .args(["-c:v", "png", "-"])
        .output();
    said(run)
}

fn read(source: &Path) -> Command {
    let mut command = Command::new("ffmpeg");
    command
        .args(["-v", "error", "-y", "-format_whitelist", CONTAINERS, "-i"])
        .arg(source)
        .stdin(Stdio::null());
    command
}

fn said(run: io::Result<std::process::Output>) -> Result<Vec<u8>, String> {
    let output = run.map_err(|error| format!("ffmpeg cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or("it gave no reason");
    Err(format!("ffmpeg failed: {last}"))
}
