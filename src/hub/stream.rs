//! The bytes below the frames.

use std::io::{self, Read, Write};

use crate::transport::Stream;

/// A stream, and whether anything arrived on it.
pub(super) struct Heard {
    pub(super) stream: Stream,
    pub(super) heard: bool,
    /// Whether anything was sent.
    pub(super) told: bool,
}

impl Read for Heard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.heard |= count > 0;
        Ok(count)
    }
}

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(bytes)?;
        self.told |= count > 0;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
