//! Rows as tables, JSON, JSON lines and CSV, written as they come.

use std::io::Write;

use clap::ValueEnum;
use comfy_table::{
    Cell as TableCell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets,
};
use console::style;
use serde_json::Value as Json;

use crate::failure::{Failure, Result};
use crate::row::Cell;
use crate::terminal;

/// How many rows of a table are laid out together: those after them get the same widths.
const BLOCK_ROWS: usize = 500;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One list of objects
    Json,
    /// An object on each line
    Ndjson,
    /// With a line of names first
    Csv,
}

impl Format {
    /// What was asked for, else what fits: a table on a terminal, JSON lines anywhere else.
    pub(crate) fn or_fitting(chosen: Option<Self>) -> Self {
        chosen.unwrap_or(match terminal::is_output() {
            true => Self::Table,
            false => Self::Ndjson,
        })
    }
}

/// Writes rows in a format; memory holds a block of a table at most.
pub(crate) struct Rows<W: Write> {
    out: W,
    layout: Layout,
    /// The text of one row, kept for its memory.
    buffer: Vec<u8>,
    written: u64,
}

enum Layout {
    Table {
        names: Vec<String>,
        block: Vec<Vec<Cell>>,
        widths: Vec<u16>,
    },
    /// What stands before the cell of each column.
    Json(Vec<String>),
    Ndjson(Vec<String>),
    Csv,
}

impl<W: Write> Rows<W> {
    pub(crate) fn new(out: W, format: Format, names: &[&str]) -> Result<Self> {
        let mut rows = Self {
            out,
            layout: match format {
                Format::Table => Layout::Table {
                    names: names.iter().map(|name| terminal::printable(name)).collect(),
                    block: Vec::new(),
                    widths: Vec::new(),
                },
                Format::Json => Layout::Json(members(names)),
                Format::Ndjson => Layout::Ndjson(members(names)),
                Format::Csv => Layout::Csv,
            },
            buffer: Vec::new(),
            written: 0,
        };
        match rows.layout {
            Layout::Json(_) => rows.out.write_all(b"[")?,
            Layout::Csv => {
                for (index, name) in names.iter().enumerate() {
                    write_csv(&mut rows.buffer, index, name.as_bytes());
                }
                rows.buffer.push(b'\n');
                rows.out.write_all(&rows.buffer)?;
            }
            _ => {}
        }
        Ok(rows)
    }

    /// Writes a row, which has a cell for each column.
    pub(crate) fn write(&mut self, row: Vec<Cell>) -> Result<()> {
        self.written += 1;
        self.buffer.clear();
        match &mut self.layout {
            Layout::Table { block, .. } => {
                block.push(row);
                if block.len() == BLOCK_ROWS {
                    self.write_block()?;
                }
                return Ok(());
            }
            Layout::Csv => {
                for (index, cell) in row.iter().enumerate() {
                    write_csv_cell(&mut self.buffer, index, cell)?;
                }
                self.buffer.push(b'\n');
            }
            Layout::Json(names) => {
                let separator: &[u8] = if self.written == 1 { b"\n  " } else { b",\n  " };
                self.buffer.extend_from_slice(separator);
                write_object(&mut self.buffer, names, &row)?;
            }
            Layout::Ndjson(names) => {
                write_object(&mut self.buffer, names, &row)?;
                self.buffer.push(b'\n');
            }
        }
        Ok(self.out.write_all(&self.buffer)?)
    }

    /// Writes what is left, and returns how many rows there were.
    pub(crate) fn finish(mut self) -> Result<u64> {
        match self.layout {
            Layout::Table { .. } => self.write_block()?,
            Layout::Json(_) => {
                let end: &[u8] = if self.written == 0 { b"]\n" } else { b"\n]\n" };
                self.out.write_all(end)?;
            }
            Layout::Ndjson(_) | Layout::Csv => {}
        }
        self.out.flush()?;
        Ok(self.written)
    }

    /// Lets the reader have what was written.
    pub(crate) fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }

    fn write_block(&mut self) -> Result<()> {
        let Layout::Table {
            names,
            block,
            widths,
        } = &mut self.layout
        else {
            return Ok(());
        };
        let is_first = widths.is_empty();
        if block.is_empty() && !is_first {
            return Ok(());
        }
        let mut table = table();
        if is_first {
            table.set_header(names.iter());
        }
        for row in block.drain(..) {
            table.add_row(row.iter().map(table_cell));
        }
        if is_first {
            for (index, line) in table.lines().enumerate() {
                let line = line.trim_end();
                match index {
                    0 => writeln!(self.out, "{}", style(line).bold())?,
                    _ => writeln!(self.out, "{line}")?,
                }
            }
            *widths = table.column_max_content_widths();
            return Ok(());
        }
        for (column, width) in table.column_iter_mut().zip(widths.iter()) {
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width + 2)));
        }
        for line in table.lines() {
            writeln!(self.out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A table as all commands print them: as wide as the terminal at most.
pub(crate) fn table() -> Table {
    let mut table = Table::new();
    let line = comfy_table::LineStyle::none().fill('─').junction('─');
    table.load_style(presets::NOTHING.header_separator(line));
    table.set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = terminal::width() {
        table.set_width(width);
    }
    table
}

/// A cell of a table: numbers are flush right.
pub(crate) fn table_cell(cell: &Cell) -> TableCell {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = cell.write_text(&mut text);
    let text = terminal::printable(&String::from_utf8_lossy(&text));
    let alignment = match cell.is_number() {
        true => CellAlignment::Right,
        false => CellAlignment::Left,
    };
    TableCell::new(text).set_alignment(alignment)
}

/// The names of members as they stand in an object, with what is before and after them.
fn members(names: &[&str]) -> Vec<String> {
    let separators = std::iter::once("").chain(std::iter::repeat(","));
    let names = names.iter().zip(separators);
    names
        .map(|(name, separator)| format!("{separator}{}:", Json::from(*name)))
        .collect()
}

fn write_object(buffer: &mut Vec<u8>, names: &[String], row: &[Cell]) -> Result<()> {
    buffer.push(b'{');
    for (name, cell) in names.iter().zip(row) {
        buffer.extend_from_slice(name.as_bytes());
        serde_json::to_writer(&mut *buffer, cell)
            .map_err(|error| Failure::invalid(format!("a row is not JSON: {error}")))?;
    }
    buffer.push(b'}');
    Ok(())
}

fn write_csv_cell(line: &mut Vec<u8>, index: usize, cell: &Cell) -> Result<()> {
    match cell {
        Cell::Text(text) => write_csv(line, index, text.as_bytes()),
        Cell::Object(_) | Cell::List(_) => {
            let mut text = Vec::new();
            cell.write_text(&mut text)?;
            write_csv(line, index, &text);
        }
        // Nothing in them needs quotes.
        plain => {
            write_csv(line, index, b"");
            plain.write_text(line)?;
        }
    }
    Ok(())
}

/// Which bytes a cell needs quotes for.
const IS_SPECIAL: [bool; 256] = {
    let mut special = [false; 256];
    special[b'"' as usize] = true;
    special[b',' as usize] = true;
    special[b'\n' as usize] = true;
    special[b'\r' as usize] = true;
    special
};

/// Adds a cell in the form of RFC 4180.
pub(crate) fn write_csv(line: &mut Vec<u8>, index: usize, cell: &[u8]) {
    if index > 0 {
        line.push(b',');
    }
    if !cell.iter().any(|byte| IS_SPECIAL[usize::from(*byte)]) {
        line.extend_from_slice(cell);
        return;
    }
    line.push(b'"');
    for &byte in cell {
        if byte == b'"' {
            line.push(b'"');
        }
        line.push(byte);
    }
    line.push(b'"');
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn written(format: Format, rows: &[&str]) -> String {
        let mut out = Vec::new();
        let names = ["name", "bid", "status.name"];
        let mut writer = Rows::new(&mut out, format, &names).unwrap();
        for row in rows {
            writer.write(serde_json::from_str(row).unwrap()).unwrap();
        }
        writer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    const ROWS: [&str; 2] = [
        r#"["a, \"b\"\n\u001b[31m",3.5,"Öpen"]"#,
        r#"["two",1200.0,null]"#,
    ];

    #[test]
    fn every_format() {
        assert_eq!(
            written(Format::Csv, &ROWS),
            "name,bid,status.name\n\"a, \"\"b\"\"\n\u{1b}[31m\",3.5,Öpen\ntwo,1200,\n"
        );
        assert_eq!(
            written(Format::Ndjson, &ROWS),
            "{\"name\":\"a, \\\"b\\\"\\n\\u001b[31m\",\"bid\":3.5,\"status.name\":\"Öpen\"}\n\
             {\"name\":\"two\",\"bid\":1200.0,\"status.name\":null}\n"
        );
        let json: Json = serde_json::from_str(&written(Format::Json, &ROWS)).unwrap();
        assert_eq!(json[1]["bid"], 1200.0);
        let table = written(Format::Table, &ROWS);
        assert!(table.contains("a, \"b\"  [31m"), "{table}");
        assert!(!table.contains('\u{1b}'), "{table}");
    }

    #[test]
    fn nothing_is_valid_in_every_format() {
        assert_eq!(written(Format::Json, &[]), "[]\n");
        assert_eq!(written(Format::Ndjson, &[]), "");
        assert_eq!(written(Format::Csv, &[]), "name,bid,status.name\n");
        assert!(written(Format::Table, &[]).contains("status.name"));
    }

    #[test]
    fn later_blocks_of_a_table_have_the_widths_of_the_first() {
        let rows = vec![r#"["abc",1,null]"#; BLOCK_ROWS + 2];
        let table = written(Format::Table, &rows);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), BLOCK_ROWS + 4);
        assert_eq!(lines[3], lines[BLOCK_ROWS + 3]);
    }
}
