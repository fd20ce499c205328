//! The twin of `thumbnail.rs` for builds without the feature `images`: nothing is an image.

/// The largest thumbnail, in pixels per side.
pub(super) const MAX_SIZE: u32 = 4096;

const REASON: &str = "the emulator was built without the feature `images`";

pub(super) fn shrink(_data: &[u8], _size: u32) -> Result<(Vec<u8>, &'static str), String> {
    Err(REASON.into())
}

pub(super) fn shrink_to_jpeg(_data: &[u8], _size: u32) -> Result<Vec<u8>, String> {
    Err(REASON.into())
}

pub(super) fn is_image(_data: &[u8]) -> bool {
    false
}

/// One grey pixel.
pub(super) fn placeholder() -> Vec<u8> {
    let header = b"\x89PNG\x0d\x0a\x1a\x0a\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU";
    let pixel = b"\x00\x00\x00\x0aIDATx\x9cc\xb0\x02\x00\x00<\x00;F]\x17\x17";
    let end = b"\x00\x00\x00\x00IEND\xaeB`\x82";
    [&header[..], pixel, end].concat()
}
