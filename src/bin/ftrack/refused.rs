//! The file of refused rows, which can be imported again.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::rows_file::{Cell, REASON, Record};

/// Writes rows that were refused, with the reason, in the form of the file that they come from.
pub(crate) struct Refused {
    path: PathBuf,
    columns: Vec<String>,
    pending: Vec<(Record, String)>,
    out: Option<csv::Writer<File>>,
    pub(crate) count: u64,
}

impl Refused {
    pub(crate) fn new(path: PathBuf, columns: &[String]) -> Self {
        Self {
            path,
            columns: columns.to_vec(),
            pending: Vec::new(),
            out: None,
            count: 0,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a row, which is written with the others of its chunk.
    pub(crate) fn add(&mut self, record: &Record, reason: &str) {
        self.count += 1;
        self.pending.push((record.clone(), reason.to_owned()));
    }

    /// Whether a row was added since the last were written.
    pub(crate) fn has(&self, line: u64) -> bool {
        self.pending.iter().any(|(record, _)| record.line == line)
    }

    /// Writes the rows that were added, in their order in the file that they come from. The file is made
    /// for the first one. `tell` is called for each.
    pub(crate) fn write(&mut self, mut tell: impl FnMut(&Record, &str)) -> Result<()> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.sort_by_key(|(record, _)| record.line);
        for (record, reason) in &pending {
            tell(record, reason);
            let written = self.write_row(record, reason);
            written.map_err(|error| Failure::file(&self.path, &error))?;
        }
        Ok(())
    }

    fn write_row(&mut self, record: &Record, reason: &str) -> csv::Result<()> {
        if self.out.is_none() {
            let mut out = csv::Writer::from_path(&self.path)?;
            let names = self.columns.iter().filter(|name| *name != REASON);
            out.write_record(names.map(String::as_str).chain([REASON]))?;
            self.out = Some(out);
        }
        let cells = self.columns.iter().zip(&record.cells);
        let cells = cells
            .filter(|(name, _)| *name != REASON)
            .map(|(_, cell)| match cell {
                Cell::Absent | Cell::Null => "",
                Cell::Text(text) => text.as_str(),
            });
        match &mut self.out {
            Some(out) => out.write_record(cells.chain([reason])),
            None => Ok(()),
        }
    }

    pub(crate) fn finish(&mut self) -> Result<()> {
        let flushed = self.out.as_mut().map_or(Ok(()), csv::Writer::flush);
        flushed.map_err(|error| Failure::file(&self.path, &error))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::rows_file::RowsFile;

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    #[test]
    fn refused_rows_can_be_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused.csv");
        let columns: Vec<String> = ["a", REASON, "b"].map(String::from).to_vec();
        let mut refused = Refused::new(path.clone(), &columns);
        let record = Record {
            line: 2,
            cells: vec![text("1,\n2"), text("old"), Cell::Null],
            problem: None,
        };
        refused.add(&record, "no \"good\"");
        refused.write(|_, _| {}).unwrap();
        refused.finish().unwrap();
        let mut again = RowsFile::open(&path, None).unwrap();
        assert_eq!(again.columns, ["a", "b", REASON]);
        let row = again.next().unwrap().unwrap();
        assert_eq!(row.cells, [text("1,\n2"), text(""), text("no \"good\"")]);
    }
}
