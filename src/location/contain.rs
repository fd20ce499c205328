//! Turns panics of a user's accessor or structure into errors.
//!
//! A panic must not unwind through a transfer. One from a plugin's dynamic library can only be
//! caught inside that library, so it is caught where the binding was made.

use std::io::{self, Read};
use std::path::PathBuf;

use anyhow::Result;

use crate::accessor::{Accessor, Content, PendingWrite, Pieces, Prepared};
use crate::error::caught;
use crate::handle::Entity;
use crate::structure::{ResourceIdentifierTransformer, Structure, StructureContext};

pub(super) struct Contained<T>(pub(super) T);

#[deny(clippy::missing_trait_methods)]
impl<T: Accessor> Accessor for Contained<T> {
    fn open(&self, resource_identifier: &str) -> Result<Box<dyn Read + Send>> {
        let opened = caught(|| self.0.open(resource_identifier))?;
        Ok(Box::new(Contained(opened)))
    }

    fn open_at(&self, resource_identifier: &str, offset: u64) -> Result<Box<dyn Read + Send>> {
        let opened = caught(|| self.0.open_at(resource_identifier, offset))?;
        Ok(Box::new(Contained(opened)))
    }

    fn open_pieces(
        &self,
        resource_identifier: &str,
        offset: u64,
    ) -> Result<Option<Box<dyn Pieces>>> {
        let opened = caught(|| self.0.open_pieces(resource_identifier, offset))?;
        Ok(opened.map(|pieces| Box::new(Contained(pieces)) as Box<dyn Pieces>))
    }

    fn allows_connections(&self) -> bool {
        caught(|| Ok(self.0.allows_connections())).unwrap_or(false)
    }

    fn keeps_size(&self) -> bool {
        caught(|| Ok(self.0.keeps_size())).unwrap_or(false)
    }

    fn prepare(&self, files: &[PendingWrite<'_>]) -> Result<Vec<Option<Prepared>>> {
        caught(|| self.0.prepare(files))
    }

    fn write(&self, resource_identifier: &str, content: &mut Content<'_>) -> Result<()> {
        caught(|| self.0.write(resource_identifier, content))
    }

    fn flush(&self, resource_identifiers: &[&str]) -> Result<()> {
        caught(|| self.0.flush(resource_identifiers))
    }

    fn exists(&self, resource_identifier: &str) -> Result<bool> {
        caught(|| self.0.exists(resource_identifier))
    }

    fn remove(&self, resource_identifier: &str) -> Result<bool> {
        caught(|| self.0.remove(resource_identifier))
    }

    fn list(&self, resource_identifier: &str) -> Result<Vec<String>> {
        caught(|| self.0.list(resource_identifier))
    }

    fn is_file(&self, resource_identifier: &str) -> Result<bool> {
        caught(|| self.0.is_file(resource_identifier))
    }

    fn is_container(&self, resource_identifier: &str) -> Result<bool> {
        caught(|| self.0.is_container(resource_identifier))
    }

    fn make_container(&self, resource_identifier: &str) -> Result<()> {
        caught(|| self.0.make_container(resource_identifier))
    }

    fn get_container(&self, resource_identifier: &str) -> Result<Option<String>> {
        caught(|| self.0.get_container(resource_identifier))
    }

    fn get_filesystem_path(&self, resource_identifier: &str) -> Result<PathBuf> {
        caught(|| self.0.get_filesystem_path(resource_identifier))
    }

    fn get_url(&self, resource_identifier: &str) -> Result<String> {
        caught(|| self.0.get_url(resource_identifier))
    }

    fn get_thumbnail_url(&self, resource_identifier: &str, size: u32) -> Result<String> {
        caught(|| self.0.get_thumbnail_url(resource_identifier, size))
    }
}

impl Read for Contained<Box<dyn Read + Send>> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        caught(|| Ok(self.0.read(buffer))).unwrap_or_else(|panic| Err(io::Error::other(panic)))
    }
}

#[deny(clippy::missing_trait_methods)]
impl Pieces for Contained<Box<dyn Pieces>> {
    fn size(&self) -> u64 {
        // Nothing has so many, so that it is not taken for complete.
        caught(|| Ok(self.0.size())).unwrap_or(u64::MAX)
    }

    fn md5(&self) -> Option<[u8; 16]> {
        caught(|| Ok(self.0.md5())).unwrap_or(None)
    }

    fn count(&self) -> usize {
        caught(|| Ok(self.0.count())).unwrap_or(0)
    }

    fn open(&self, index: usize) -> Result<Box<dyn Read + Send>> {
        let opened = caught(|| self.0.open(index))?;
        Ok(Box::new(Contained(opened)))
    }
}

impl<T: Structure> Structure for Contained<T> {
    fn get_resource_identifier(
        &self,
        component: &Entity,
        context: &StructureContext,
    ) -> Result<String> {
        caught(|| self.0.get_resource_identifier(component, context))
    }
}

impl<T: ResourceIdentifierTransformer> ResourceIdentifierTransformer for Contained<T> {
    fn encode(&self, resource_identifier: &str, component: &Entity) -> Result<String> {
        caught(|| self.0.encode(resource_identifier, component))
    }

    fn decode(&self, stored: &str, component: &Entity) -> Result<String> {
        caught(|| self.0.decode(stored, component))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests {
    use super::*;

    struct Broken;

    impl Accessor for Broken {
        fn open(&self, _: &str) -> Result<Box<dyn Read + Send>> {
            struct Reader;
            impl Read for Reader {
                fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                    panic!("while reading")
                }
            }
            Ok(Box::new(Reader))
        }

        fn write(&self, _: &str, _: &mut Content<'_>) -> Result<()> {
            panic!("while writing")
        }

        fn exists(&self, _: &str) -> Result<bool> {
            panic!("while checking")
        }

        fn remove(&self, _: &str) -> Result<bool> {
            panic!("while removing")
        }
    }

    #[test]
    fn panics_become_errors() {
        let accessor = Contained(Broken);
        let error = accessor.exists("a").unwrap_err();
        assert_eq!(error.to_string(), "panic: while checking");
        let read = accessor.open("a").unwrap().read(&mut [0; 8]);
        assert_eq!(read.unwrap_err().to_string(), "panic: while reading");
    }
}
