//! Data in an S3-compatible storage.

use std::io::Read;
use std::sync::Arc;

use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use url::Url;

use super::ranges::Ranged;
use super::{Accessor, Content, Pieces, upload};
use crate::api::{Api, StorageRequest, range_headers};
use crate::error::{Error, ErrorKind, Result};
use place::{Place, VALIDITY, read_xml, unreadable};
use storage::S3Storage;

mod place;
mod storage;

/// A bucket in an S3-compatible storage, and how to reach it.
///
/// ```
/// use ftrack_api::accessor::S3Bucket;
///
/// let bucket = S3Bucket::new("https://minio.studio.example", "plates")
///     .credentials("access key", "secret key")
///     .region("eu-west-1")
///     .prefix("lighthouse");
/// assert!(!format!("{bucket:?}").contains("secret key"));
/// ```
#[derive(Clone)]
#[must_use = "give it to `S3Accessor::new`"]
pub struct S3Bucket {
    endpoint: String,
    name: String,
    region: String,
    prefix: String,
    credentials: Option<Credentials>,
    style: UrlStyle,
}

impl S3Bucket {
    /// The bucket `name` of the storage at the URL `endpoint`, in the region `us-east-1`, without
    /// credentials.
    pub fn new(endpoint: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            name: name.into(),
            region: "us-east-1".to_owned(),
            prefix: String::new(),
            credentials: None,
            style: UrlStyle::Path,
        }
    }

    /// Sets the access key and the secret key that sign requests. Without them requests are not
    /// signed: only public data can be read.
    pub fn credentials(
        mut self,
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
    ) -> Self {
        self.credentials = Some(Credentials::new(access_key, secret_key));
        self
    }

    /// Sets credentials that are valid for a while, with their session token.
    pub fn session_credentials(
        mut self,
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
        token: impl Into<String>,
    ) -> Self {
        let credentials = Credentials::new_with_token(access_key, secret_key, token);
        self.credentials = Some(credentials);
        self
    }

    /// Sets the region, which is part of signatures. MinIO and Ceph usually accept `us-east-1`.
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Sets the folder that all data is below.
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Sets whether the name of the bucket is a part of the host name, as Amazon recommends. By
    /// default it is the first part of the path, which every storage understands.
    pub fn virtual_host(mut self, virtual_host: bool) -> Self {
        self.style = match virtual_host {
            true => UrlStyle::VirtualHost,
            false => UrlStyle::Path,
        };
        self
    }
}

// The credentials are left out.
debug_fields!(S3Bucket, |this|
    endpoint: this.endpoint, name: this.name, region: this.region, prefix: this.prefix,
    credentials: this.credentials.is_some(),
);

/// Objects in a bucket of an S3-compatible storage: Amazon S3, MinIO, Ceph. A resource identifier is
/// the key of an object below the bucket's prefix.
///
/// Requests go through the session's transport, with its proxy, timeouts and retries, and count in
/// its statistics and budgets. Files over 16 MiB are sent in parts, which the storage joins when all
/// have arrived. An existing object is not replaced if the storage knows `If-None-Match`.
///
/// It is made by [`S3Accessor::new`](Self::new).
#[derive(Clone)]
pub struct S3Accessor {
    place: Arc<Place>,
}

impl S3Accessor {
    /// # Errors
    ///
    /// - [`ErrorKind::Configuration`] if the bucket cannot be used.
    pub(crate) fn with_api(api: Arc<Api>, bucket: S3Bucket) -> Result<Self> {
        let wrong = |why: &str| {
            let message = format!("the bucket {:?} cannot be used: {why}", bucket.name);
            Error::new(ErrorKind::Configuration, message)
        };
        let endpoint = Url::parse(&bucket.endpoint);
        let endpoint = endpoint
            .map_err(|error| wrong(&format!("{:?} is not a URL: {error}", bucket.endpoint)))?;
        if bucket.name.is_empty() || bucket.name.contains('/') {
            return Err(wrong("a name is needed, without `/`"));
        }
        let mut prefix = bucket.prefix.trim_matches('/').to_owned();
        if !prefix.is_empty() {
            check_key(&prefix).map_err(|why| wrong(&format!("its prefix {why}")))?;
            prefix.push('/');
        }
        let (name, region) = (bucket.name.clone(), bucket.region.clone());
        let made = Bucket::new(endpoint, bucket.style, name, region)
            .map_err(|error| wrong(&format!("{}: {error}", bucket.endpoint)))?;
        let place = Place {
            api,
            bucket: made,
            credentials: bucket.credentials,
            prefix,
        };
        Ok(Self {
            place: Arc::new(place),
        })
    }

    /// The key of an object.
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Validation`] if no URL can name it.
    fn key(&self, resource_identifier: &str) -> Result<String> {
        check_key(resource_identifier).map_err(|why| {
            let message = format!("the resource identifier {resource_identifier:?} {why}");
            Error::new(ErrorKind::Validation, message)
        })?;
        Ok(format!("{}{resource_identifier}", self.place.prefix))
    }

    fn ranged(&self, resource_identifier: &str) -> Result<Ranged> {
        let key = self.key(resource_identifier)?;
        let place = self.place.clone();
        let summary = format!("download {resource_identifier}");
        let fetch = move |first, last| {
            let headers = range_headers(first, last);
            let request = StorageRequest {
                method: "GET",
                headers: &headers,
                body: &[],
                bytes: last - first + 1,
                summary: &summary,
            };
            let credentials = place.credentials.as_ref();
            let url = || place.bucket.get_object(credentials, &key).sign(VALIDITY);
            match place.api.ask_storage(&request, url) {
                Err(error) if error.status() == Some(416) => Ok(None),
                outcome => outcome.map(Some),
            }
        };
        let api = self.place.api.clone();
        Ok(Ranged::new(api, resource_identifier, true, fetch))
    }

    /// Visits the keys and the folders below a prefix until `visit` returns false. Folders have `/`
    /// at their end.
    fn list_below(&self, prefix: &str, mut visit: impl FnMut(String) -> bool) -> Result<()> {
        let (place, summary) = (&self.place, format!("list {prefix}"));
        let mut token: Option<String> = None;
        loop {
            let list = || {
                let mut list = place.bucket.list_objects_v2(place.credentials.as_ref());
                list.with_prefix(prefix.to_owned());
                list.with_delimiter("/");
                if let Some(token) = &token {
                    list.with_continuation_token(token.clone());
                }
                list
            };
            let text = read_xml(self.place.ask("GET", &summary, list)?, &summary)?;
            let page = ListObjectsV2::parse_response(&text)
                .map_err(|error| unreadable(&summary, &error.to_string()))?;
            let folders = page.common_prefixes.into_iter().map(|folder| folder.prefix);
            let keys = page.contents.into_iter().map(|object| object.key);
            for name in folders.chain(keys) {
                if !visit(name) {
                    return Ok(());
                }
            }
            token = match page.next_continuation_token {
                // A storage that repeats itself would never end.
                Some(next) if token.as_ref() != Some(&next) => Some(next),
                _ => return Ok(()),
            };
        }
    }
}

/// Why a URL cannot name an object with this key: its path would lead elsewhere.
fn check_key(key: &str) -> std::result::Result<(), &'static str> {
    let mut parts = key.split('/');
    if key.len() > 1024 {
        return Err("has more than 1024 bytes");
    }
    if parts.any(|part| part.is_empty() || part == "." || part == "..") {
        return Err("has an empty part, `.` or `..`");
    }
    if key.contains(char::is_control) {
        return Err("has control characters");
    }
    Ok(())
}

impl Accessor for S3Accessor {
    fn open(&self, resource_identifier: &str) -> anyhow::Result<Box<dyn Read + Send>> {
        self.open_at(resource_identifier, 0)
    }

    fn open_at(
        &self,
        resource_identifier: &str,
        offset: u64,
    ) -> anyhow::Result<Box<dyn Read + Send>> {
        let reader = self.ranged(resource_identifier)?.read_from(offset)?;
        Ok(Box::new(reader))
    }

    fn open_pieces(
        &self,
        resource_identifier: &str,
        offset: u64,
    ) -> anyhow::Result<Option<Box<dyn Pieces>>> {
        let pieces = self.ranged(resource_identifier)?.pieces_from(offset)?;
        Ok(Some(Box::new(pieces)))
    }

    fn allows_connections(&self) -> bool {
        true
    }

    fn keeps_size(&self) -> bool {
        true
    }

    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> anyhow::Result<()> {
        let storage = S3Storage {
            place: &self.place,
            id: resource_identifier,
            key: self.key(resource_identifier)?,
        };
        Ok(upload::send(&storage, resource_identifier, content)?)
    }

    /// Whether there is an object. A prefix of other keys is not one.
    fn exists(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        let key = self.key(resource_identifier)?;
        Ok(self.place.head(&key)?.is_some())
    }

    fn remove(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.place.api.check_writable()?;
        let key = self.key(resource_identifier)?;
        // The storage does not say whether there was one.
        if self.place.head(&key)?.is_none() {
            return Ok(false);
        }
        let place = &self.place;
        let credentials = place.credentials.as_ref();
        let delete = || place.bucket.delete_object(credentials, &key);
        self.place.ask("DELETE", &format!("remove {key}"), delete)?;
        Ok(true)
    }

    fn list(&self, resource_identifier: &str) -> anyhow::Result<Vec<String>> {
        let folder = format!("{}/", self.key(resource_identifier)?);
        let mut found = Vec::new();
        self.list_below(&folder, |key| {
            let key = key.strip_suffix('/').unwrap_or(&key);
            // Some programs make empty objects for folders.
            if key.len() >= folder.len() {
                found.push(key[self.place.prefix.len()..].to_owned());
            }
            true
        })?;
        if found.is_empty() {
            let message = format!("{resource_identifier:?} is not a container");
            return Err(Error::new(ErrorKind::NotFound, message).into());
        }
        found.sort();
        Ok(found)
    }

    fn is_file(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        self.exists(resource_identifier)
    }

    /// Whether keys begin with this and `/`.
    fn is_container(&self, resource_identifier: &str) -> anyhow::Result<bool> {
        let folder = format!("{}/", self.key(resource_identifier)?);
        let mut found = false;
        self.list_below(&folder, |_| {
            found = true;
            false
        })?;
        Ok(found)
    }

    fn get_container(&self, resource_identifier: &str) -> anyhow::Result<Option<String>> {
        self.key(resource_identifier)?;
        let parent = resource_identifier.rsplit_once('/');
        Ok(parent.map(|(parent, _)| parent.to_owned()))
    }

    /// A signed URL that is valid for an hour.
    fn get_url(&self, resource_identifier: &str) -> anyhow::Result<String> {
        let (key, place) = (self.key(resource_identifier)?, &self.place);
        let url = place.bucket.get_object(place.credentials.as_ref(), &key);
        Ok(url.sign(VALIDITY).into())
    }
}

// The credentials are left out.
debug_fields!(S3Accessor, |this|
    bucket: this.place.bucket.base_url().as_str(), prefix: this.place.prefix,
);
