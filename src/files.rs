//! Opening files that somebody else may have put in place: regular files only, so that no read
//! waits for ever or never ends.

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file for reading; links are followed.
///
/// # Errors
///
/// - What [`File::open`] reports.
/// - [`io::ErrorKind::IsADirectory`] if it is a folder, [`io::ErrorKind::InvalidInput`] if it is a
///   pipe, a socket or a device. No such file is waited for.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    open_regular_with(path, OpenOptions::new().read(true))
}

/// [`open_regular`] with options of the caller's.
pub(crate) fn open_regular_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Opening some devices has an effect, so the path is looked at first; what it leads to may
    // change meanwhile, so what was opened is looked at as well.
    match path.metadata() {
        Ok(found) => expect_regular(&found)?,
        // The options may create it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = open_without_waiting(path, options)?;
    expect_regular(&file.metadata()?)?;
    Ok(file)
}

/// [`open_regular_with`]; a file that the options create is for this user alone. On Windows it
/// inherits the permissions of the folder.
pub(crate) fn open_private_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    open_regular_with(path, options)
}

/// Creates a folder and its parents for this user alone; on Windows it inherits its permissions.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut folder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
    folder.recursive(true).create(path)
}

/// When a file changed last, in nanoseconds since 1970; 0 if that is not known.
pub(crate) fn modified(found: &Metadata) -> u64 {
    let time = found.modified().ok();
    let since = time.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0))
}

/// Makes the names in a folder survive a power cut.
#[cfg(unix)]
pub(crate) fn flush_folder(folder: &Path) -> io::Result<()> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, Unsupported};

    let flushed = File::open(folder).and_then(|folder| folder.sync_all());
    match flushed {
        // Not every file system can, and a folder may be writable and not readable.
        Err(error) if matches!(error.kind(), InvalidInput | PermissionDenied | Unsupported) => {
            log::debug!("cannot flush {}: {error}", folder.display());
            Ok(())
        }
        flushed => flushed,
    }
}

/// Windows cannot flush a folder; its file systems note names in a journal.
#[cfg(windows)]
pub(crate) fn flush_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

/// The content of a regular file of at most `limit` bytes.
///
/// # Errors
///
/// - Any error of [`open_regular`] and of reading.
/// - [`io::ErrorKind::FileTooLarge`] if there are more bytes.
pub(crate) fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_limited(open_regular(path)?, limit)
}

/// The rest of an open file, if that is at most `limit` bytes.
///
/// # Errors
///
/// - Any error of [`read_regular`].
pub(crate) fn read_limited(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let announced = file.metadata()?.len();
    let mut content = Vec::new();
    // A file may grow while it is read.
    if announced <= limit {
        content.reserve(usize::try_from(announced).unwrap_or(0).saturating_add(1));
        file.take(limit.saturating_add(1))
            .read_to_end(&mut content)?;
    }
    if announced.max(content.len() as u64) > limit {
        let message = format!("it is larger than {limit} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(content)
}

fn expect_regular(found: &Metadata) -> io::Result<()> {
    if found.is_file() {
        return Ok(());
    }
    if found.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let message = "it is a pipe, a socket or a device, not a regular file";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Opening a pipe would wait for its other end.
#[cfg(unix)]
fn open_without_waiting(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    match options.clone().custom_flags(NONBLOCK).open(path) {
        // Another process, such as a file server, has a lease on the regular file and gives it up
        // when asked.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => options.open(path),
        opened => opened,
    }
}

/// Opening never waits for another process.
#[cfg(not(unix))]
fn open_without_waiting(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regular_files_are_read_up_to_a_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_regular(&path, 5).unwrap(), b"12345");
        let error = read_regular(&path, 4).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge, "{error}");
        let error = read_regular(folder.path(), 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::IsADirectory, "{error}");
        let error = read_regular(&folder.path().join("none"), 5).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound, "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_devices_are_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        assert!(made.unwrap().success());
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/dev/zero", &link).unwrap();
        for path in [&pipe, &link] {
            let error = read_regular(path, 5).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
            let error = open_regular_with(path, OpenOptions::new().write(true)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
            // What is put in the place of a regular file once that was looked at.
            let opened = open_without_waiting(path, OpenOptions::new().read(true)).unwrap();
            expect_regular(&opened.metadata().unwrap()).unwrap_err();
        }
    }
}
