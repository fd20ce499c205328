//! Files of rows: CSV in whatever dialect a spreadsheet writes, and JSON lines.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::row;
use crate::terminal;

/// The column that says why a row was refused; an import ignores it.
pub(crate) const REASON: &str = "ftrack_error";

/// What a row says of a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// Nothing: the value stays as it is.
    Absent,
    Null,
    Text(String),
}

/// A row with a cell for each column, or why it cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    /// The line of the file that it begins at.
    pub(crate) line: u64,
    pub(crate) cells: Vec<Cell>,
    pub(crate) problem: Option<String>,
}

/// Reads a file of rows, one at a time.
pub(crate) struct RowsFile {
    path: PathBuf,
    pub(crate) columns: Vec<String>,
    kind: Kind,
}

enum Kind {
    Csv {
        reader: csv::Reader<Box<dyn Read>>,
        /// What the reader counts too few: of `\r\n` it takes the `\n` to be in the next line.
        behind: u64,
    },
    Lines {
        reader: BufReader<Box<dyn Read>>,
        line: u64,
        first: Option<Record>,
        position: u64,
    },
}

impl RowsFile {
    /// Opens a file, and reads the names of its columns. A byte-order mark is skipped; whether commas,
    /// semicolons or tabs separate the cells is seen in the first line.
    pub(crate) fn open(path: &Path, delimiter: Option<u8>) -> Result<Self> {
        let file = |error: &dyn std::fmt::Display| Failure::file(path, error);
        let mut reader =
            BufReader::with_capacity(64 << 10, File::open(path).map_err(|e| file(&e))?);
        let start = reader.fill_buf().map_err(|e| file(&e))?;
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            let failure = Failure::invalid(format!("{} is UTF-16", path.display()));
            return Err(failure.with_remedy("save it as UTF-8: \"CSV UTF-8\" in a spreadsheet"));
        }
        let mark = if start.starts_with(b"\xef\xbb\xbf") {
            3
        } else {
            0
        };
        let line = start[mark..]
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let behind = u64::from(line.ends_with(b"\r"));
        let is_json = line.trim_ascii_start().starts_with(b"{");
        let delimiter = delimiter.unwrap_or_else(|| delimiter_of(line));
        reader.consume(mark);
        match is_json {
            true => Self::lines(path, Box::new(reader)),
            false => Self::csv(path, Box::new(reader), delimiter, behind),
        }
    }

    fn csv(path: &Path, reader: Box<dyn Read>, delimiter: u8, behind: u64) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .from_reader(reader);
        let header = reader
            .byte_headers()
            .map_err(|error| Failure::file(path, &error))?;
        let mut columns = Vec::new();
        for name in header {
            let name = std::str::from_utf8(name).map_err(|_| {
                let failure =
                    Failure::invalid(format!("{}: the first line is not UTF-8", path.display()));
                failure.with_remedy("save it as UTF-8: \"CSV UTF-8\" in a spreadsheet")
            })?;
            columns.push(name.trim().to_owned());
        }
        check_columns(path, &columns)?;
        Ok(Self {
            path: path.to_owned(),
            columns,
            kind: Kind::Csv { reader, behind },
        })
    }

    fn lines(path: &Path, reader: Box<dyn Read>) -> Result<Self> {
        let mut reader = BufReader::new(reader);
        let mut text = Vec::new();
        let read = reader.read_until(b'\n', &mut text);
        let position = read.map_err(|error| Failure::file(path, &error))? as u64;
        let members = members(&text);
        let members = members
            .map_err(|why| Failure::invalid(format!("{}, line 1: {why}", path.display())))?;
        let columns: Vec<String> = members.iter().map(|(name, _)| name.clone()).collect();
        check_columns(path, &columns)?;
        let first = Record {
            line: 1,
            cells: members.into_iter().map(|(_, cell)| cell).collect(),
            problem: None,
        };
        Ok(Self {
            path: path.to_owned(),
            columns,
            kind: Kind::Lines {
                reader,
                line: 1,
                first: Some(first),
                position,
            },
        })
    }

    /// How many bytes were read.
    pub(crate) fn position(&self) -> u64 {
        match &self.kind {
            Kind::Csv { reader, .. } => reader.position().byte(),
            Kind::Lines { position, .. } => *position,
        }
    }

    /// The next row; a row that cannot be read says why.
    pub(crate) fn next(&mut self) -> Result<Option<Record>> {
        match &mut self.kind {
            Kind::Csv { reader, behind } => {
                let mut bytes = csv::ByteRecord::new();
                let read = reader.read_byte_record(&mut bytes);
                if !read.map_err(|error| Failure::file(&self.path, &error))? {
                    return Ok(None);
                }
                let line = bytes.position().map_or(0, csv::Position::line) + *behind;
                Ok(Some(csv_record(line, &bytes, self.columns.len())))
            }
            Kind::Lines {
                reader,
                line,
                first,
                position,
            } => {
                if let Some(first) = first.take() {
                    return Ok(Some(first));
                }
                loop {
                    let mut text = Vec::new();
                    let read = reader.read_until(b'\n', &mut text);
                    let read = read.map_err(|error| Failure::file(&self.path, &error))?;
                    if read == 0 {
                        return Ok(None);
                    }
                    *line += 1;
                    *position += read as u64;
                    if !text.trim_ascii().is_empty() {
                        return Ok(Some(line_record(*line, &text, &self.columns)));
                    }
                }
            }
        }
    }
}

fn check_columns(path: &Path, columns: &[String]) -> Result<()> {
    let refuse = |why: String| Err(Failure::invalid(format!("{}: {why}", path.display())));
    if columns.iter().all(String::is_empty) {
        return refuse("the first line names no columns".to_owned());
    }
    for (index, name) in columns.iter().enumerate() {
        if name.is_empty() {
            return refuse(format!("column {} has no name", index + 1));
        }
        if columns[..index].contains(name) {
            return refuse(format!("two columns have the name {name:?}"));
        }
    }
    Ok(())
}

/// What separates the names in the first line: what occurs in it most often outside of quotes.
fn delimiter_of(line: &[u8]) -> u8 {
    let count = |wanted: u8| {
        let mut is_quoted = false;
        let mut found = 0;
        for &byte in line {
            match byte {
                b'"' => is_quoted = !is_quoted,
                byte if byte == wanted && !is_quoted => found += 1,
                _ => {}
            }
        }
        found
    };
    // Of equals the last one counts.
    let all = [b'\t', b';', b','];
    all.into_iter()
        .max_by_key(|&delimiter| count(delimiter))
        .unwrap_or(b',')
}

fn csv_record(line: u64, bytes: &csv::ByteRecord, columns: usize) -> Record {
    let mut record = Record {
        line,
        cells: Vec::with_capacity(columns),
        problem: None,
    };
    for (index, cell) in bytes.iter().enumerate() {
        if std::str::from_utf8(cell).is_err() {
            record.problem = Some(format!("cell {} is not UTF-8", index + 1));
        }
        record
            .cells
            .push(Cell::Text(String::from_utf8_lossy(cell).into_owned()));
    }
    if record.cells.len() != columns {
        let cells = record.cells.len() as u64;
        record.problem = Some(format!(
            "it has {}, and the first line has {columns}",
            terminal::counted(cells, "cell")
        ));
        record.cells.resize(columns, Cell::Absent);
    }
    record
}

fn members(text: &[u8]) -> std::result::Result<Vec<(String, Cell)>, String> {
    let row: row::Row = serde_json::from_slice(text).map_err(|error| match error.is_data() {
        true => "not a JSON object".to_owned(),
        false => format!("not JSON: {error}"),
    })?;
    let members = row.0.into_iter().map(|(name, cell)| {
        let cell = match cell {
            row::Cell::Null => Cell::Null,
            row::Cell::Text(text) => Cell::Text(text.to_string()),
            other => Cell::Text(serde_json::to_string(&other).unwrap_or_default()),
        };
        (name.to_string(), cell)
    });
    Ok(members.collect())
}

fn line_record(line: u64, text: &[u8], columns: &[String]) -> Record {
    let mut record = Record {
        line,
        cells: vec![Cell::Absent; columns.len()],
        problem: None,
    };
    let members = match members(text) {
        Ok(members) => members,
        Err(why) => {
            record.problem = Some(why);
            return record;
        }
    };
    for (name, cell) in members {
        match columns.iter().position(|known| *known == name) {
            Some(index) => record.cells[index] = cell,
            None => record.problem = Some(format!("the first line has no {name:?}")),
        }
    }
    record
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn read(content: &[u8]) -> (Vec<String>, Vec<Record>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        let mut rows = RowsFile::open(file.path(), None).unwrap();
        let mut records = Vec::new();
        while let Some(record) = rows.next().unwrap() {
            records.push(record);
        }
        (rows.columns, records)
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.into())
    }

    #[test]
    fn dialects_of_csv() {
        for content in [
            &b"a,b\n1,\"x, y\"\n"[..],
            b"\xef\xbb\xbfa;b\r\n1;x, y\r\n",
            b"a\tb\n1\tx, y\n",
            b"\"a\";\"b\"\n\"1\";\"x, y\"",
        ] {
            let (columns, records) = read(content);
            assert_eq!(columns, ["a", "b"]);
            assert_eq!(records[0].cells, [text("1"), text("x, y")]);
            assert_eq!(records[0].line, 2);
            assert!(records[0].problem.is_none());
        }
    }

    #[test]
    fn bad_rows_do_not_end_the_file() {
        let (_, records) = read(b"a,b\n1\n\xff,2\n\"two\nlines\",3\n");
        let problems: Vec<_> = records.iter().map(|one| one.problem.as_deref()).collect();
        assert_eq!(problems[0], Some("it has 1 cell, and the first line has 2"));
        assert_eq!(problems[1], Some("cell 1 is not UTF-8"));
        assert_eq!((problems[2], records[2].line), (None, 4));
    }

    #[test]
    fn json_lines() {
        let (columns, records) =
            read(b"{\"a\":1,\"b\":null,\"c\":[1]}\n\n{\"b\":\"x\"}\n{\"d\":1}\nno\n");
        assert_eq!(columns, ["a", "b", "c"]);
        assert_eq!(records[0].cells, [text("1"), Cell::Null, text("[1]")]);
        assert_eq!(records[1].cells, [Cell::Absent, text("x"), Cell::Absent]);
        assert_eq!(records[1].line, 3);
        assert!(records[2].problem.as_ref().unwrap().contains("\"d\""));
        assert!(records[3].problem.as_ref().unwrap().contains("not JSON"));
    }

    #[test]
    fn files_without_columns_are_refused() {
        for content in [
            &b""[..],
            b"\n",
            b"a,,b\n",
            b"a,a\n",
            b"\xff\xfea\0",
            b"{",
            b"\xffa,b\n",
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), content).unwrap();
            assert!(RowsFile::open(file.path(), None).is_err(), "{content:?}");
        }
    }
}
