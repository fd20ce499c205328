//! Looking for plugins in folders: cheap for whatever else lies there, careful with what is run.

use std::collections::HashSet;
use std::fs::{self, DirEntry, FileType};
use std::io;
use std::path::{Path, PathBuf};

use super::PluginOrigin;

/// A file that may be a plugin, or a folder that cannot be searched.
pub(super) struct Found {
    pub(super) origin: PluginOrigin,
    pub(super) problem: Option<String>,
}

/// The candidates in the folders, in the order of the folders; in each the files by name, then
/// the folders in it by name.
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
    /// Folders and candidates by what they are when no link is left in their paths: none is
    /// looked at twice, and no loop is followed.
    seen: HashSet<PathBuf>,
}

impl Search {
    /// Searches what `start` holds, following links only to what lies in `root`.
    fn folder(&mut self, root: &Path, start: PathBuf) {
        let mut waiting = vec![start];
        while let Some(folder) = waiting.pop() {
            let mut entries = match self.entries(&folder) {
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

    /// What a folder holds; `None` if it was searched before or must not be.
    fn entries(&mut self, folder: &Path) -> io::Result<Option<Vec<DirEntry>>> {
        let real = folder.canonicalize()?;
        if !self.seen.insert(real.clone()) {
            log::debug!("plugin path: {} was searched already", folder.display());
            return Ok(None);
        }
        // Under the name by which the folder was reached.
        let entries = fs::read_dir(folder)?;
        if let Some(problem) = writable_by_others(&real)? {
            self.found.push(Found {
                origin: PluginOrigin::Folder(folder.to_owned()),
                problem: Some(problem),
            });
            return Ok(None);
        }
        entries.collect::<io::Result<_>>().map(Some)
    }

    fn file(&mut self, root: &Path, path: PathBuf, kind: FileType, folders: &mut Vec<PathBuf>) {
        let origin = candidate(&path);
        if origin.is_none() && !kind.is_symlink() {
            log::debug!("plugin path: {} is no plugin", path.display());
            return;
        }
        let real = match path.canonicalize() {
            Ok(real) => real,
            Err(error) => {
                match origin {
                    Some(origin) => self.found.push(Found {
                        origin,
                        problem: Some(format!("it cannot be followed: {error}")),
                    }),
                    None => log::debug!("plugin path: {}: {error}", path.display()),
                }
                return;
            }
        };
        if !real.starts_with(root) {
            let problem = format!("it leads out of {}", root.display());
            match origin {
                Some(origin) => self.found.push(Found {
                    origin,
                    problem: Some(problem),
                }),
                None => log::debug!("plugin path: {}: {problem}", path.display()),
            }
            return;
        }
        if real.is_dir() {
            folders.push(path);
        } else if let Some(origin) = origin
            && self.seen.insert(real.clone())
        {
            let problem = if real.is_file() {
                writable_by_others(&real)
                    .unwrap_or_else(|error| Some(format!("it cannot be looked at: {error}")))
            } else {
                // Reading from a pipe or a device might never end.
                Some("it is no file".to_owned())
            };
            self.found.push(Found { origin, problem });
        }
    }

    fn cannot(&mut self, folder: PathBuf, error: &io::Error) {
        self.found.push(Found {
            origin: PluginOrigin::Folder(folder),
            problem: Some(format!("it cannot be searched: {error}")),
        });
    }
}

/// What a file would be, by its name.
fn candidate(path: &Path) -> Option<PluginOrigin> {
    let extension = path.extension()?.to_str()?;
    if extension == "ftrack-plugin" {
        return Some(PluginOrigin::Executable(path.to_owned()));
    }
    let is_library = extension.eq_ignore_ascii_case(std::env::consts::DLL_EXTENSION);
    is_library.then(|| PluginOrigin::Library(path.to_owned()))
}

/// Why a file or folder is not to be trusted: its code would run as this user.
#[cfg(unix)]
fn writable_by_others(path: &Path) -> io::Result<Option<String>> {
    use std::os::unix::fs::MetadataExt;

    let mode = fs::metadata(path)?.mode();
    let who = match (mode & 0o002 != 0, mode & 0o020 != 0) {
        (true, _) => "everybody",
        (false, true) => "its group",
        (false, false) => return Ok(None),
    };
    Ok(Some(format!(
        "{who} can write it (mode {:o}), so it may hold anybody's code; chmod go-w it",
        mode & 0o777
    )))
}

/// Elsewhere access lists say so, which the standard library does not read: the folders of the
/// plugin path are to be kept by whoever sets it.
#[cfg(not(unix))]
fn writable_by_others(_: &Path) -> io::Result<Option<String>> {
    Ok(None)
}
