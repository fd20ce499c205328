//! The requests of an upload to an S3-compatible storage.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use rusty_s3::actions::{
    AbortMultipartUpload, CompleteMultipartUpload, CompleteMultipartUploadResponse,
    CreateMultipartUpload, UploadPart,
};
use rusty_s3::{S3Action, actions::PutObject};

use super::place::{Place, VALIDITY, read_xml, unreadable};
use crate::accessor::checksum::{Md5Sum, check_sent, from_hex, hex};
use crate::accessor::upload::{Multipart, Part, PartUrl, Storage};
use crate::api::StorageRequest;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::Response;

/// The place of one object.
pub(super) struct S3Storage<'a> {
    pub(super) place: &'a Place,
    /// The resource identifier.
    pub(super) id: &'a str,
    pub(super) key: String,
}

impl Storage for S3Storage<'_> {
    fn send_whole(&self, body: &[u8], md5: &Md5Sum) -> Result<()> {
        let place = self.place;
        let checksum = STANDARD.encode(md5);
        let summary = format!("upload of {}", self.id);
        let headers = [("content-md5", checksum.as_str()), ONLY_NEW];
        let sent = self.send("PUT", &headers, body, &summary, || {
            let mut put = PutObject::new(&place.bucket, place.credentials.as_ref(), &self.key);
            sign_with(&mut put, &headers)
        });
        match sent {
            Err(error) if error.status() == Some(PRECONDITION_FAILED) => {
                self.check_stored(error, body.len() as u64, &hex(md5))
            }
            outcome => check_sent(&summary, md5, &outcome?, true),
        }
    }

    fn begin(&self, _: u64, _: u64) -> Result<Option<(String, Vec<PartUrl>)>> {
        let place = self.place;
        let summary = format!("begin the upload of {}", self.id);
        // The storage would tell only at the end, when all parts have been sent.
        if self.place.head(&self.key)?.is_some() {
            return Err(self.exists());
        }
        let response = self.send("POST", &[], &[], &summary, || {
            let credentials = place.credentials.as_ref();
            CreateMultipartUpload::new(&place.bucket, credentials, &self.key).sign(VALIDITY)
        })?;
        let text = read_xml(response, &summary)?;
        let begun = CreateMultipartUpload::parse_response(&text)
            .map_err(|error| unreadable(&summary, &error.to_string()))?;
        Ok(Some((begun.upload_id().to_owned(), Vec::new())))
    }

    fn put_part(
        &self,
        multipart: &Multipart,
        index: usize,
        body: &[u8],
        summary: &str,
    ) -> Result<Option<String>> {
        let (place, id) = (self.place, &multipart.upload_id);
        let number = u16::try_from(index + 1).map_err(|_| {
            let message = format!("{summary}: the storage has no part {}", index + 1);
            Error::new(ErrorKind::Unsupported, message)
        })?;
        let checksum = STANDARD.encode(Md5::digest(body));
        let headers = [("content-md5", checksum.as_str())];
        let response = self.send("PUT", &headers, body, summary, || {
            let credentials = place.credentials.as_ref();
            let mut put = UploadPart::new(&place.bucket, credentials, &self.key, number, id);
            sign_with(&mut put, &headers)
        })?;
        Ok(response.header("etag").map(str::to_owned))
    }

    fn complete(&self, multipart: &Multipart, parts: &[Part]) -> Result<()> {
        let (place, id) = (self.place, &multipart.upload_id);
        let summary = format!("complete the upload of {}", self.id);
        let complete = || {
            let tags = parts.iter().map(|part| part.e_tag.as_str());
            let credentials = place.credentials.as_ref();
            CompleteMultipartUpload::new(&place.bucket, credentials, &self.key, id, tags)
        };
        let (body, headers) = (complete().body(), [ONLY_NEW]);
        let completed = self.send("POST", &headers, body.as_bytes(), &summary, || {
            sign_with(&mut complete(), &headers)
        });
        let text = match completed {
            // A response that was lost: the upload is over, and the object is there.
            Err(error)
                if error.kind() == ErrorKind::NotFound
                    || error.status() == Some(PRECONDITION_FAILED) =>
            {
                return self.check_stored(error, multipart.size(), &joined_tag(parts));
            }
            outcome => read_xml(outcome?, &summary)?,
        };
        // A success can still be an error.
        match CompleteMultipartUploadResponse::parse(&text) {
            Ok(_) => Ok(()),
            Err(error) => Err(unreadable(&summary, &error.to_string())),
        }
    }

    fn abort(&self, multipart: &Multipart) {
        let (place, id) = (self.place, &multipart.upload_id);
        let summary = format!("abort the upload of {}", self.id);
        let aborted = self.place.ask("DELETE", &summary, || {
            let credentials = place.credentials.as_ref();
            AbortMultipartUpload::new(&place.bucket, credentials, &self.key, id)
        });
        if let Err(error) = aborted {
            log::warn!("parts of {} stay in the storage: {error}", self.id);
        }
    }
}

/// The storage refuses to replace an object.
const ONLY_NEW: (&str, &str) = ("if-none-match", "*");
const PRECONDITION_FAILED: u16 = 412;

impl S3Storage<'_> {
    fn send(
        &self,
        method: &'static str,
        headers: &[(&str, &str)],
        body: &[u8],
        summary: &str,
        url: impl Fn() -> url::Url,
    ) -> Result<Response> {
        self.place.api.check_writable()?;
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers: Vec<_> = headers.iter().map(owned).collect();
        let request = StorageRequest {
            method,
            headers: &headers,
            body,
            bytes: body.len() as u64,
            summary,
        };
        self.place.api.ask_storage(&request, url)
    }

    /// The object exists: it is ours if a response was lost and the request was sent again.
    fn check_stored(&self, error: Error, size: u64, tag: &str) -> Result<()> {
        match self.place.head(&self.key)? {
            Some((stored, found)) if stored == size && found.eq_ignore_ascii_case(tag) => Ok(()),
            Some(_) if error.status() == Some(PRECONDITION_FAILED) => Err(self.exists()),
            _ => Err(error),
        }
    }

    fn exists(&self) -> Error {
        let message = format!(
            "{} exists already and is not replaced; remove it first",
            self.id
        );
        Error::new(ErrorKind::Duplicate, message)
    }
}

/// The URL of an action whose headers are part of the signature.
fn sign_with<'a>(action: &mut impl S3Action<'a>, headers: &[(&'a str, &'a str)]) -> url::Url {
    for (name, value) in headers {
        action.headers_mut().insert(*name, *value);
    }
    action.sign(VALIDITY)
}

/// The ETag of an object of several parts: of their checksums, with their number.
fn joined_tag(parts: &[Part]) -> String {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(from_hex(&part.md5).unwrap_or_default());
    }
    format!("{}-{}", hex(&hash.finalize()), parts.len())
}
