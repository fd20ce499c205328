//! Locations in an S3-compatible storage.

use crate::accessor::{S3Accessor, S3Bucket};
use crate::error::Result;
use crate::handle::Session;

impl S3Accessor {
    /// An accessor that sends its requests through a session. Nothing is sent yet.
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// use ftrack_api::accessor::{S3Accessor, S3Bucket};
    /// use ftrack_api::data;
    /// use ftrack_api::location::Binding;
    /// use ftrack_api::structure::StandardStructure;
    ///
    /// let bucket = S3Bucket::new("https://minio.studio.example", "plates").credentials("key", "secret");
    /// let accessor = S3Accessor::new(&session, bucket)?;
    /// session.ensure("Location", data! { "name": "studio.s3" }, "name")?;
    /// let binding = Binding::new().accessor(accessor).structure(StandardStructure::new());
    /// session.location("studio.s3")?.bind(binding);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::Configuration`](crate::ErrorKind::Configuration) if the endpoint is not a URL
    ///   of HTTP, or the name of the bucket or the prefix is invalid.
    pub fn new(session: &Session, bucket: S3Bucket) -> Result<Self> {
        Self::with_api(session.shared.api.clone(), bucket)
    }
}
