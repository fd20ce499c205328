//! The MD5 of data, where a storage gives it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::error::{Error, ErrorKind, Result};
use crate::transport::Response;

/// The MD5 of some data.
pub(crate) type Md5Sum = [u8; 16];

/// The MD5 of all the data of which `response` has a part, or which it acknowledges.
///
/// The ETag is one only in a storage of the kind of S3, for data that was sent in one piece and is
/// not encrypted with a key of its own; see `Object` in the reference of S3. Google's storage has a
/// header of its own.
pub(super) fn md5_in(response: &Response, is_s3: bool) -> Option<Md5Sum> {
    if let Some(sum) = google(response) {
        return Some(sum);
    }
    let has = |name: &str| response.header(name).is_some();
    let says = |name: &str, text: &str| {
        let value = response.header(name);
        value.is_some_and(|value| value.to_ascii_lowercase().starts_with(text))
    };
    if !(is_s3 || has("x-amz-request-id"))
        || says("x-amz-server-side-encryption", "aws:kms")
        || has("x-amz-server-side-encryption-customer-algorithm")
        || says("x-amz-storage-class", "express")
    {
        return None;
    }
    from_hex(response.header("etag")?.trim_matches('"'))
}

fn google(response: &Response) -> Option<Md5Sum> {
    // The sum is that of what is stored, which may be unpacked on its way.
    let stored = response.header("x-goog-stored-content-encoding")?;
    if stored != "identity" {
        return None;
    }
    let hashes = response
        .headers
        .iter()
        .filter(|(name, _)| name == "x-goog-hash");
    let mut all = hashes.flat_map(|(_, value)| value.split(','));
    let sum = all.find_map(|one| one.trim().strip_prefix("md5="))?;
    STANDARD.decode(sum).ok()?.try_into().ok()
}

pub(super) fn from_hex(text: &str) -> Option<Md5Sum> {
    let mut sum = [0; 16];
    if text.len() != 2 * sum.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, start) in sum.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&text[start..start + 2], 16).ok()?;
    }
    Some(sum)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// # Errors
///
/// - [`ErrorKind::BadResponse`] if the sums differ.
pub(super) fn check(what: &str, found: &[u8], given: &Md5Sum) -> Result<()> {
    if found == given {
        return Ok(());
    }
    let (found, given) = (hex(found), hex(given));
    let message = format!("{what} has the MD5 {found}, and the storage has {given}");
    let error = Error::new(ErrorKind::BadResponse, message);
    Err(error.with_remedy("Repeat the transfer; if that does not help, the storage is damaged."))
}

/// Compares what was sent with what the storage acknowledges.
///
/// # Errors
///
/// - [`ErrorKind::BadResponse`] if other bytes have arrived.
pub(super) fn check_sent(
    what: &str,
    sent: &Md5Sum,
    response: &Response,
    is_s3: bool,
) -> Result<()> {
    md5_in(response, is_s3).map_or(Ok(()), |stored| check(what, sent, &stored))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The headers in this form: `etag: "…"`.
    fn sum_in(headers: &[&str], is_s3: bool) -> Option<String> {
        let headers = headers.iter().map(|line| line.split_once(": ").unwrap());
        let response = Response {
            status: 200,
            headers: headers
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            body: Box::new(std::io::empty()),
        };
        md5_in(&response, is_s3).map(|sum| hex(&sum))
    }

    #[test]
    fn an_etag_is_a_checksum_only_where_storages_promise_it() {
        const TAG: &str = "etag: \"900150983cd24fb0d6963f7d28e17f72\"";
        const SUM: Option<&str> = Some("900150983cd24fb0d6963f7d28e17f72");
        let id = "x-amz-request-id: 1";
        for (headers, is_s3, expected) in [
            (&[TAG][..], true, SUM),
            (&[TAG], false, None),
            (&[TAG, id], false, SUM),
            (&["etag: 900150983CD24FB0D6963F7D28E17F72", id], false, SUM),
            (&[TAG, "x-amz-server-side-encryption: AES256"], true, SUM),
            (&[TAG, "x-amz-server-side-encryption: aws:kms"], true, None),
            (
                &[TAG, "x-amz-server-side-encryption: aws:kms:dsse"],
                true,
                None,
            ),
            (
                &[
                    TAG,
                    "x-amz-server-side-encryption-customer-algorithm: AES256",
                ],
                true,
                None,
            ),
            (&[TAG, "x-amz-storage-class: EXPRESS_ONEZONE"], true, None),
            (
                &["etag: \"900150983cd24fb0d6963f7d28e17f72-3\""],
                true,
                None,
            ),
            (
                &["etag: W/\"900150983cd24fb0d6963f7d28e17f72\""],
                true,
                None,
            ),
            (&["etag: \"900150983cd24fb0d6963f7d28e17f7g\""], true, None),
            (&["etag: \"90015098ä3cd24fb0d6963f7d28e17f7\""], true, None),
            (&[], true, None),
            (
                &[
                    "x-goog-hash: crc32c=n03x6A==",
                    "x-goog-hash: md5=kAFQmDzST7DWlj99KOF/cg==",
                    "x-goog-stored-content-encoding: identity",
                ],
                false,
                SUM,
            ),
            (
                &[
                    "x-goog-hash: crc32c=n03x6A==,md5=kAFQmDzST7DWlj99KOF/cg==",
                    "x-goog-stored-content-encoding: gzip",
                ],
                false,
                None,
            ),
        ] {
            assert_eq!(sum_in(headers, is_s3).as_deref(), expected, "{headers:?}");
        }
    }
}
