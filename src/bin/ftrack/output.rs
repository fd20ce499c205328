//! Rows as tables, JSON, JSON lines and CSV, written as they come.

use std::io::Write;

use clap::ValueEnum;
use comfy_table::{
    Cell as TableCell, CellAlignment, ColumnConstraint, ContentArrangement, Table, Width, presets,
};
use console::style;

use crate::column::Column;
use crate::failure::{Failure, Result};
use crate::row::{Found, Row};
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
    columns: Vec<Column>,
    layout: Layout,
    /// The text of one row or cell, kept for its memory.
    buffer: Vec<u8>,
    written: u64,
}

enum Layout {
    Table { block: Vec<Row>, widths: Vec<u16> },
    Json,
    Ndjson,
    Csv,
}

impl<W: Write> Rows<W> {
    pub(crate) fn new(out: W, format: Format, columns: Vec<Column>) -> Result<Self> {
        let mut rows = Self {
            out,
            columns,
            layout: match format {
                Format::Table => Layout::Table {
                    block: Vec::new(),
                    widths: Vec::new(),
                },
                Format::Json => Layout::Json,
                Format::Ndjson => Layout::Ndjson,
                Format::Csv => Layout::Csv,
            },
            buffer: Vec::new(),
            written: 0,
        };
        match rows.layout {
            Layout::Json => rows.out.write_all(b"[")?,
            Layout::Csv => {
                for (index, column) in rows.columns.iter().enumerate() {
                    write_csv(&mut rows.buffer, index, column.name.as_bytes());
                }
                rows.buffer.push(b'\n');
                rows.out.write_all(&rows.buffer)?;
            }
            _ => {}
        }
        Ok(rows)
    }

    pub(crate) fn write(&mut self, row: Row) -> Result<()> {
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
                let mut text = Vec::new();
                for (index, column) in self.columns.iter().enumerate() {
                    text.clear();
                    // The first member is the entity's type.
                    row.cell(column, index + 1).write_text(&mut text)?;
                    write_csv(&mut self.buffer, index, &text);
                }
            }
            Layout::Json | Layout::Ndjson => {
                if matches!(self.layout, Layout::Json) {
                    self.buffer.extend_from_slice(if self.written == 1 {
                        b"\n  "
                    } else {
                        b",\n  "
                    });
                }
                write_object(&mut self.buffer, &self.columns, &row)?;
            }
        }
        if !matches!(self.layout, Layout::Json) {
            self.buffer.push(b'\n');
        }
        Ok(self.out.write_all(&self.buffer)?)
    }

    /// Writes what is left, and returns how many rows there were.
    pub(crate) fn finish(mut self) -> Result<u64> {
        match self.layout {
            Layout::Table { .. } => self.write_block()?,
            Layout::Json => {
                let end: &[u8] = if self.written == 0 { b"]\n" } else { b"\n]\n" };
                self.out.write_all(end)?;
            }
            Layout::Ndjson | Layout::Csv => {}
        }
        self.out.flush()?;
        Ok(self.written)
    }

    /// Lets the reader have what was written.
    pub(crate) fn flush(&mut self) -> Result<()> {
        Ok(self.out.flush()?)
    }

    fn write_block(&mut self) -> Result<()> {
        let Layout::Table { block, widths } = &mut self.layout else {
            return Ok(());
        };
        let is_first = widths.is_empty();
        if block.is_empty() && !is_first {
            return Ok(());
        }
        let mut table = table();
        if is_first {
            let names = self
                .columns
                .iter()
                .map(|column| terminal::printable(&column.name));
            table.set_header(names.collect::<Vec<_>>());
        }
        for row in block.drain(..) {
            let cells = self.columns.iter().enumerate();
            let cells = cells.map(|(index, column)| table_cell(&row.cell(column, index + 1)));
            table.add_row(cells.collect::<Vec<_>>());
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
pub(crate) fn table_cell(found: &Found<'_>) -> TableCell {
    let mut text = Vec::new();
    // Writing to memory cannot fail.
    let _ = found.write_text(&mut text);
    let text = terminal::printable(&String::from_utf8_lossy(&text));
    let alignment = match found.is_number() {
        true => CellAlignment::Right,
        false => CellAlignment::Left,
    };
    TableCell::new(text).set_alignment(alignment)
}

fn write_object(buffer: &mut Vec<u8>, columns: &[Column], row: &Row) -> Result<()> {
    let written =
        |error: serde_json::Error| Failure::invalid(format!("a row is not JSON: {error}"));
    buffer.push(b'{');
    for (index, column) in columns.iter().enumerate() {
        if index > 0 {
            buffer.push(b',');
        }
        serde_json::to_writer(&mut *buffer, &column.name).map_err(written)?;
        buffer.push(b':');
        serde_json::to_writer(&mut *buffer, &row.cell(column, index + 1)).map_err(written)?;
    }
    buffer.push(b'}');
    Ok(())
}

/// Adds a cell in the form of RFC 4180.
pub(crate) fn write_csv(line: &mut Vec<u8>, index: usize, cell: &[u8]) {
    if index > 0 {
        line.push(b',');
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b',' | b'\n' | b'\r');
    if !cell.iter().any(is_special) {
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
        let columns = ["name", "bid", "status.name"].map(Column::new).to_vec();
        let mut out = Vec::new();
        let mut writer = Rows::new(&mut out, format, columns).unwrap();
        for row in rows {
            writer.write(serde_json::from_str(row).unwrap()).unwrap();
        }
        writer.finish().unwrap();
        String::from_utf8(out).unwrap()
    }

    const ROWS: [&str; 2] = [
        r#"{"__entity_type__":"Task","name":"a, \"b\"\n\u001b[31m","bid":3.5,"status":{"name":"Öpen"}}"#,
        r#"{"__entity_type__":"Task","bid":1200.0,"status":null,"name":"two"}"#,
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
        let json: serde_json::Value = serde_json::from_str(&written(Format::Json, &ROWS)).unwrap();
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
        let rows = vec![r#"{"__entity_type__":"Task","name":"abc","bid":1}"#; BLOCK_ROWS + 2];
        let table = written(Format::Table, &rows);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), BLOCK_ROWS + 4);
        assert_eq!(lines[3], lines[BLOCK_ROWS + 3]);
    }
}
