//! `ftrack import`: rows of a file as creations and updates.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ftrack_api::Session;

use crate::app::App;
use crate::bar;
use crate::change::{self, Consent, Names, SHOWN_CHANGES};
use crate::failure::{Code, Failure, Result};
use crate::import::{Counts, Layout};
use crate::interrupt;
use crate::refused::Refused;
use crate::rows_file::{Record, RowsFile};
use crate::terminal;
use crate::values::Values;

/// Create and update entities from a CSV or NDJSON file
///
/// Columns are attributes, as for `ftrack set`: name, parent, status, custom.KEY, metadata.KEY. A column
/// `id` says which entities there are already; --by names other columns that do. Rows without an entity
/// are created, the others updated where they differ. Rows that are refused are written to another file
/// with the reasons: mend them there, and import that file.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack import users.csv --type User --by username --dry-run
  ftrack import users.csv --type User --by username --yes")]
pub(crate) struct Import {
    /// The file: CSV with commas, semicolons or tabs, or JSON lines, in UTF-8
    file: PathBuf,
    /// The entity type of the rows
    #[arg(long = "type", value_name = "TYPE")]
    entity_type: String,
    /// The columns that identify an entity, with commas between them
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    by: Vec<String>,
    /// What separates the cells, if the first line does not tell
    #[arg(long, value_name = "CHARACTER")]
    delimiter: Option<char>,
    /// How many rows are sent in one request
    #[arg(long, default_value_t = 500, value_name = "ROWS", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    chunk: u32,
    /// Where refused rows are written [default: beside the file, with `.refused.csv` at the end; an
    /// earlier one is kept]
    #[arg(long, value_name = "FILE")]
    refused: Option<PathBuf>,
    #[command(flatten)]
    consent: Consent,
}

impl Import {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        // What is wrong with the file is said before a server is asked.
        self.open()?;
        let session = app.session()?;
        let planned = match self.consent.yes {
            true => None,
            false => Some(self.plan(app, &session)?),
        };
        if let Some((counts, refused)) = planned {
            say_counts("plan", &counts, refused);
            if self.consent.dry_run {
                return match refused {
                    0 => Ok(()),
                    _ => Err(Failure::Said(Code::Partial)),
                };
            }
            if counts.created + counts.updated == 0 {
                terminal::say("nothing to change");
                return Ok(());
            }
            terminal::confirm("Make these changes?")?;
        }
        self.import(&session)
    }

    fn open(&self) -> Result<RowsFile> {
        let delimiter = match self.delimiter {
            Some(one) => Some(u8::try_from(one).map_err(|_| {
                Failure::usage(format!(
                    "{one:?} cannot separate cells; use one ASCII character"
                ))
            })?),
            None => None,
        };
        RowsFile::open(&self.file, delimiter)
    }

    fn layout<'a>(&self, session: &'a Session, rows: &RowsFile) -> Result<Layout<'a>> {
        let entity_type = session.schema().entity_type(&self.entity_type)?;
        Layout::new(session, entity_type, &rows.columns, &self.by)
    }

    /// Goes through the file without changing anything; how many rows would do what.
    fn plan(&self, app: &App, session: &Session) -> Result<(Counts, u64)> {
        let mut rows = self.open()?;
        let layout = self.layout(session, &rows)?;
        let mut values = Values::new(session);
        let (mut counts, mut refused) = (Counts::default(), 0);
        let mut shown = 0;
        while let Some(chunk) = self.next_chunk(&mut rows)? {
            let _scope = session.scope();
            let mut reasons: Vec<(Record, String)> = Vec::new();
            let mut refuse = |record: &Record, reason: &str| {
                reasons.push((record.clone(), reason.to_owned()));
                Ok(())
            };
            let prepared = layout.prepare(&mut values, chunk, &mut refuse)?;
            layout.record(&mut values, prepared, &mut counts, &mut refuse)?;
            reasons.sort_by_key(|(record, _)| record.line);
            for (record, reason) in reasons {
                refused += 1;
                if refused <= SHOWN_CHANGES as u64 {
                    say_refused(&record, &reason);
                }
            }
            let plan = session.plan();
            if self.consent.dry_run {
                write!(
                    app.out(),
                    "{}",
                    change::show(&plan, &Names::default(), usize::MAX)
                )?;
            } else if shown < SHOWN_CHANGES {
                let some = SHOWN_CHANGES - shown;
                shown += plan.changes.len().min(some);
                terminal::say_plan(&change::show_first(&plan, &Names::default(), some));
            }
            session.rollback();
        }
        Ok((counts, refused))
    }

    fn import(&self, session: &Session) -> Result<()> {
        let mut rows = self.open()?;
        let layout = self.layout(session, &rows)?;
        let columns = rows.columns.clone();
        let path = self.refused.clone();
        let path = path.unwrap_or_else(|| beside(&self.file, Path::exists));
        if path == self.file {
            return Err(Failure::usage(
                "refused rows cannot be written to the file that is imported",
            )
            .with_remedy("name another one with --refused"));
        }
        let mut refused = Refused::new(path, &columns);
        let mut values = Values::new(session);
        let mut counts = Counts::default();
        let size = fs::metadata(&self.file).map_or(0, |found| found.len());
        let bar = bar::rows(size);
        let failed = loop {
            let chunk = match self.next_chunk(&mut rows) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break None,
                Err(failure) => break Some((failure, Vec::new())),
            };
            let _scope = session.scope();
            // What a chunk that fails as a whole has to give back.
            let kept = chunk.clone();
            counts.done.clear();
            let mut refuse = |record: &Record, reason: &str| {
                refused.add(record, reason);
                Ok(())
            };
            let done = layout
                .prepare(&mut values, chunk, &mut refuse)
                .and_then(|prepared| {
                    layout.commit(&mut values, prepared, &mut counts, &mut refuse)
                });
            if let Err(failure) = done {
                break Some((failure, kept));
            }
            let written =
                refused.write(|record, reason| bar.suspend(|| say_refused(record, reason)));
            if let Err(failure) = written {
                break Some((failure, Vec::new()));
            }
            bar.set_position(rows.position());
            let done = counts.created + counts.updated + counts.unchanged + refused.count;
            bar.set_message(terminal::counted(done, "row"));
            if interrupt::is_cancelled() {
                break Some((Failure::new(Code::Cancelled, "cancelled"), Vec::new()));
            }
        };
        bar.finish_and_clear();
        let count = refused.count;
        if let Some((failure, kept)) = failed {
            // Nothing of what was not done is lost: it goes into the file too.
            let is_left = |row: &Record| !counts.done.contains(&row.line) && !refused.has(row.line);
            let kept: Vec<Record> = kept.into_iter().filter(is_left).collect();
            let left = keep_rest(&mut rows, kept, &mut refused)?;
            refused.finish()?;
            say_counts("done", &counts, count);
            terminal::say(&format!(
                "not imported, or not confirmed: {}, kept in {}",
                terminal::counted(left, "row"),
                refused.path().display()
            ));
            // The next import finds out what was done of them.
            session.rollback();
            return Err(match failure.code() {
                Code::Cancelled => Failure::new(Code::Cancelled, "cancelled")
                    .with_remedy("import that file to go on"),
                _ => failure,
            });
        }
        refused.finish()?;
        say_counts("done", &counts, count);
        match count {
            0 => Ok(()),
            _ => {
                let path = refused.path().display();
                terminal::say(&format!("refused rows are in {path}, with the reasons"));
                Err(Failure::Said(Code::Partial))
            }
        }
    }

    fn next_chunk(&self, rows: &mut RowsFile) -> Result<Option<Vec<Record>>> {
        let mut chunk = Vec::new();
        while chunk.len() < self.chunk as usize {
            match rows.next()? {
                Some(record) => chunk.push(record),
                None => break,
            }
        }
        Ok((!chunk.is_empty()).then_some(chunk))
    }
}

/// Adds the rows that were not imported to the refused ones; how many there are.
fn keep_rest(rows: &mut RowsFile, kept: Vec<Record>, refused: &mut Refused) -> Result<u64> {
    const REASON: &str = "not imported, or not confirmed: the import ended before";

    let mut left = 0;
    for record in kept {
        left += 1;
        refused.add(&record, REASON);
    }
    refused.write(|_, _| {})?;
    while let Some(record) = rows.next()? {
        left += 1;
        refused.add(&record, REASON);
        refused.write(|_, _| {})?;
    }
    Ok(left)
}

/// `shots.csv` becomes `shots.refused.csv`. A file that is there may have been mended: then it is
/// `shots.refused-2.csv`.
fn beside(file: &Path, is_there: impl Fn(&Path) -> bool) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default();
    let names = std::iter::once(String::new()).chain((2..).map(|number| format!("-{number}")));
    let paths = names.map(|number| {
        let mut name = stem.to_owned();
        name.push(format!(".refused{number}.csv"));
        file.with_file_name(name)
    });
    let mut free = paths.filter(|path| !is_there(path));
    free.next().unwrap_or_else(|| file.to_owned())
}

fn say_refused(record: &Record, reason: &str) {
    terminal::say(&format!(
        "line {}: {}",
        record.line,
        reason.lines().next().unwrap_or_default()
    ));
}

fn say_counts(what: &str, counts: &Counts, refused: u64) {
    terminal::say(&format!(
        "{what}: {} created, {} updated, {} left as they are, {refused} refused",
        counts.created, counts.updated, counts.unchanged
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_file_of_refused_rows_is_kept() {
        let name = |present: &[&str]| {
            let is_there = |path: &Path| present.iter().any(|one| Path::new(one) == path);
            beside(Path::new("in/shots.csv"), is_there)
        };
        assert_eq!(name(&[]), Path::new("in/shots.refused.csv"));
        let both = ["in/shots.refused.csv", "in/shots.refused-2.csv"];
        assert_eq!(name(&both[..1]), Path::new(both[1]));
        assert_eq!(name(&both), Path::new("in/shots.refused-3.csv"));
    }
}
