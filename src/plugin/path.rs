//! Finding plugins in folders, and refusing files that other users could have written.

use std::collections::HashSet;
use std::fs::{self, DirEntry, File, FileType, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use super::PluginOrigin;
use crate::files;

/// A file that may be a plugin, or a folder that cannot be searched.
pub(super) struct Found {
    pub(super) origin: PluginOrigin,
    /// The folder of the path, without links.
    pub(super) root: PathBuf,
    pub(super) problem: Option<String>,
}

/// The candidates in the folders, in the order of the folders; in each the files by name, then its
/// subfolders by name.
pub(super) fn discover(paths: &[PathBuf]) -> Vec<Found> {
    let mut search = Search::default();
    for path in paths {
        if path.as_os_str().to_string_lossy().trim().is_empty() {
            // It would mean the current directory.
            continue;
        }
        match path.canonicalize() {
            Ok(root) => search.folder(&root, path.clone()),
            Err(error) => search.cannot(path.clone(), &error),
        }
    }
    search.found
}

#[derive(Default)]
struct Search {
    found: Vec<Found>,
    /// Folders and candidates by their paths without links: none is searched twice, and loops end.
    seen: HashSet<PathBuf>,
}

impl Search {
    /// Searches `start`, following links only to targets inside `root`.
    fn folder(&mut self, root: &Path, start: PathBuf) {
        let mut waiting = vec![start];
        while let Some(folder) = waiting.pop() {
            let mut entries = match self.entries(root, &folder) {
                Ok(Some(entries)) => entries,
                Ok(None) => continue,
                Err(error) => {
                    self.cannot(folder, &error);
                    continue;
                }
            };
            entries.sort_by_key(DirEntry::file_name);
            let mut folders = Vec::new();
            for entry in entries {
                let path = entry.path();
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(path),
                    Ok(kind) => self.file(root, path, kind, &mut folders),
                    Err(error) => log::debug!("plugin path: {}: {error}", path.display()),
                }
            }
            waiting.extend(folders.into_iter().rev());
        }
    }

    /// The entries of a folder; `None` if it was searched before or must not be.
    fn entries(&mut self, root: &Path, folder: &Path) -> io::Result<Option<Vec<DirEntry>>> {
        let real = folder.canonicalize()?;
        if !self.seen.insert(real.clone()) {
            log::debug!("plugin path: {} was already searched", folder.display());
            return Ok(None);
        }
        // Under the name by which the folder was reached.
        let entries = fs::read_dir(folder)?;
        if let Some(problem) = writable_by_others(&fs::metadata(&real)?) {
            self.refuse(root, PluginOrigin::Folder(folder.to_owned()), problem);
            return Ok(None);
        }
        entries.collect::<io::Result<_>>().map(Some)
    }

    fn file(&mut self, root: &Path, path: PathBuf, kind: FileType, folders: &mut Vec<PathBuf>) {
        let origin = candidate(&path);
        if origin.is_none() && !kind.is_symlink() {
            log::debug!("plugin path: {} is not a plugin", path.display());
            return;
        }
        let real = match inside(root, &path) {
            Ok(real) => real,
            Err(problem) => {
                match origin {
                    Some(origin) => self.refuse(root, origin, problem),
                    None => log::debug!("plugin path: {}: {problem}", path.display()),
                }
                return;
            }
        };
        if real.is_dir() {
            folders.push(path);
        } else if let Some(origin) = origin
            && self.seen.insert(real)
        {
            self.found.push(Found {
                origin,
                root: root.to_owned(),
                problem: open_trusted(root, &path).err(),
            });
        }
    }

    fn refuse(&mut self, root: &Path, origin: PluginOrigin, problem: String) {
        self.found.push(Found {
            origin,
            root: root.to_owned(),
            problem: Some(problem),
        });
    }

    fn cannot(&mut self, folder: PathBuf, error: &io::Error) {
        let problem = format!("it cannot be searched: {error}");
        let root = folder.clone();
        self.refuse(&root, PluginOrigin::Folder(folder), problem);
    }
}

/// Opens a file of a plugin, found below `root`, for reading. Every file that decides what is run is
/// opened by this.
///
/// # Errors
///
/// - Why it must not be used: its target is outside `root`, it is not a regular file, or other users
///   can write or replace it.
pub(super) fn open_trusted(root: &Path, path: &Path) -> Result<File, String> {
    let real = inside(root, path)?;
    // A link may lead to a folder that the search has not visited.
    for folder in real.ancestors().skip(1) {
        let found = fs::metadata(folder).map_err(|error| unreadable(&error))?;
        if let Some(problem) = writable_by_others(&found) {
            return Err(format!("of its folder {}: {problem}", folder.display()));
        }
        if folder == root {
            break;
        }
    }
    let file = files::open_regular(&real).map_err(|error| unreadable(&error))?;
    let found = file.metadata().map_err(|error| unreadable(&error))?;
    match writable_by_others(&found) {
        Some(problem) => Err(problem),
        None => Ok(file),
    }
}

fn unreadable(error: &io::Error) -> String {
    format!("it cannot be read: {error}")
}

/// The path without links, if it is inside `root`.
fn inside(root: &Path, path: &Path) -> Result<PathBuf, String> {
    let real = path
        .canonicalize()
        .map_err(|error| format!("it cannot be followed: {error}"))?;
    match real.starts_with(root) {
        true => Ok(real),
        false => Err(format!("it leads out of {}", root.display())),
    }
}

/// The kind of plugin that a file is by its name.
fn candidate(path: &Path) -> Option<PluginOrigin> {
    let extension = path.extension()?.to_str()?;
    if extension == "ftrack-plugin" {
        return Some(PluginOrigin::Executable(path.to_owned()));
    }
    let is_library = extension.eq_ignore_ascii_case(std::env::consts::DLL_EXTENSION);
    is_library.then(|| PluginOrigin::Library(path.to_owned()))
}

/// Why a file or folder must not be trusted: its code would run as this user.
#[cfg(unix)]
fn writable_by_others(found: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;

    let mode = found.mode();
    let who = match (mode & 0o002 != 0, mode & 0o020 != 0) {
        (true, _) => "everybody",
        (false, true) => "its group",
        (false, false) => return None,
    };
    Some(format!(
        "{who} can write it (mode {:o}), so it may contain anybody's code; chmod go-w it",
        mode & 0o777
    ))
}

/// Elsewhere this is up to access lists, which the standard library does not read: whoever sets the
/// plugin path must protect its folders.
#[cfg(not(unix))]
fn writable_by_others(_: &Metadata) -> Option<String> {
    None
}
