//! `ftrack query`: rows of a query, as they come.

use std::io::Read as _;
use std::iter::Peekable;
use std::time::Instant;

use ftrack_api::query::Statement;

use crate::app::App;
use crate::cells::Cells;
use crate::column::Column;
use crate::failure::{Code, Failure, Result};
use crate::output::{Format, Rows};
use crate::row::{Cell, Row};
use crate::terminal::{self, counted};

/// How many pages come in one response: with more of them memory would grow with the rows.
pub(super) const PAGES: usize = 1;

/// Print the rows of a query
///
/// Rows are printed as they come, so that any number of them takes little memory. Each path of the query
/// is a column; a reference is shown as its id, and dates are in UTC.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack query \"select name, status.name, bid from Task where bid > 0 limit 20\"
  ftrack query \"Project where status is active\" --count
  ftrack query \"select name, parent.name from Shot order by name\" --format csv
  ftrack query \"select count(id) from Task group by status_id\" --format json
  ftrack query \"Task where assignments any (resource.username is ada)\" --columns path,status.name
  ftrack query \"select name from Task where status.state.name is Done\" --explain")]
pub(crate) struct Query {
    /// The query; `-` reads it from standard input
    expression: String,
    /// How to print; a table on a terminal, ndjson in a pipe
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The columns, with commas between them, instead of what the query selects: attribute paths,
    /// custom.KEY, metadata.KEY, and `path` for project/sequence/shot
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Vec<String>,
    /// Print how many rows there are, and no row
    #[arg(long, conflicts_with_all = ["format", "columns"])]
    count: bool,
    /// Print this many rows at most
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
    /// Print to stderr what is requested, and how long it took
    #[arg(long)]
    explain: bool,
}

impl Query {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let expression = match self.expression.as_str() {
            "-" => {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text);
                read.map_err(|error| {
                    Failure::new(Code::File, format!("cannot read the query: {error}"))
                })?;
                text
            }
            text => text.to_owned(),
        };
        // Before anything is asked of a server.
        let mut statement: Statement = expression.trim().parse()?;
        let session = app.session()?;
        let chosen = match self.columns.as_slice() {
            [] => None,
            names => {
                let schema = session.schema();
                let entity_type = schema.entity_type(&statement.entity_type)?;
                let columns = Column::named(names, entity_type, schema);
                statement.projections.clear();
                statement = statement.fields(Column::paths_of(&columns));
                Some(columns)
            }
        };
        let mut query = session.query(statement)?.pages_per_request(PAGES);
        if let Some(limit) = self.limit {
            query = query.slice(..limit);
        }
        let columns = match chosen {
            Some(columns) => Some(columns),
            None => Column::of(query.statement(), session.schema())?,
        };
        if self.explain {
            explain(&query, columns.as_deref());
        }
        let before = session.statistics();
        let started = Instant::now();
        let printed = if self.count {
            app.print(&query.count()?.to_string())?;
            None
        } else {
            Some(print(
                app,
                &query,
                Format::or_fitting(self.format),
                columns,
            )?)
        };
        if self.explain {
            let now = session.statistics();
            let rows = printed.map(|rows| format!("{}, ", counted(rows, "row")));
            terminal::say(&format!(
                "took:     {}{}, {} received, {:.0} ms",
                rows.unwrap_or_default(),
                counted(now.requests - before.requests, "request"),
                counted(now.bytes_received - before.bytes_received, "byte"),
                started.elapsed().as_secs_f64() * 1000.0,
            ));
        } else if printed == Some(0) && terminal::is_output() {
            terminal::say("no rows");
        }
        Ok(())
    }
}

fn print(
    app: &App,
    query: &ftrack_api::Query,
    format: Format,
    columns: Option<Vec<Column>>,
) -> Result<u64> {
    if let Some(columns) = columns {
        let cells = Cells::of(&columns);
        let names = Column::names_of(&columns);
        return print_all(app, format, &names, query.rows_with(&cells).peekable());
    }
    let mut found = query.rows::<Row>().peekable();
    let columns = match found.peek() {
        Some(Ok(first)) => first.columns(),
        _ => Vec::new(),
    };
    let cells = Cells::of(&columns);
    let found = found.map(|row| Ok(cells.in_row(row?)));
    print_all(app, format, &Column::names_of(&columns), found.peekable())
}

fn print_all(
    app: &App,
    format: Format,
    names: &[&str],
    mut found: Peekable<impl Iterator<Item = ftrack_api::Result<Vec<Cell>>>>,
) -> Result<u64> {
    // What fails at once prints no names.
    if let Some(Err(error)) = found.next_if(ftrack_api::Result::is_err) {
        return Err(error.into());
    }
    let mut out = app.out();
    let mut rows = Rows::new(&mut *out, format, names)?;
    loop {
        // What was printed must not wait for a page that is still to come.
        if found.size_hint().0 == 0 {
            rows.flush()?;
        }
        match found.next() {
            Some(row) => rows.write(row?)?,
            None => return rows.finish(),
        }
    }
}

fn explain(query: &ftrack_api::Query, columns: Option<&[Column]>) {
    let statement = query.statement();
    let sent = match columns {
        Some(columns) if statement.projections.is_empty() => {
            statement.clone().fields(Column::names_of(columns))
        }
        _ => statement.clone(),
    };
    terminal::say(&format!("parsed:   {statement}\nasks for: {sent}"));
}
