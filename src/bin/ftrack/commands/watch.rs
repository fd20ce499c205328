//! `ftrack watch`: the result of a query, kept up to date.

use std::time::{Duration, Instant};

use comfy_table::Cell as TableCell;
use console::{Term, style};
use ftrack_api::query::Statement;
use ftrack_api::studio::{Watch as Live, WatchChanges};
use ftrack_api::{Entity, EntityKey, ErrorKind};

use crate::app::App;
use crate::column::Column;
use crate::commands::events;
use crate::failure::{Code, Failure, Result};
use crate::interrupt;
use crate::output::{self, Format, Rows};
use crate::row::{Cell, Row};
use crate::terminal;

/// How often it looks whether Ctrl-C was pressed, or the terminal has another size.
const STEP: Duration = Duration::from_millis(200);
/// The lines of a screen that the rows do not get: names, a rule, what is below, the cursor.
const OTHER_LINES: usize = 4;

/// Show the result of a query, and keep it up to date until Ctrl-C
///
/// On a terminal the table is drawn again with each change: a row that is new has a plus, one with other
/// values a tilde. In a pipe there is a JSON object for each row that is present at the start, and then
/// for each that is added, changed or removed.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ftrack watch \"select name, status.name from Task where parent.name is sh0010\" --for 1
  ftrack watch \"select name, bid from Task where project.name is test\" --for 1 --json")]
pub(crate) struct Watch {
    /// The query; what it selects are the columns
    query: String,
    /// Print JSON even on a terminal
    #[arg(long)]
    json: bool,
    /// End after this many changes
    #[arg(long, value_name = "CHANGES", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End after this many seconds
    #[arg(long = "for", value_name = "SECONDS")]
    seconds: Option<f64>,
}

impl Watch {
    pub(crate) fn run(self, app: &App) -> Result<()> {
        let statement: Statement = self.query.trim().parse()?;
        let wait = self.seconds.map(events::duration).transpose()?;
        let session = app.session()?;
        let columns = Column::of(&statement, session.schema())?;
        // Without columns it gives groups, of which the watch says that it cannot have them.
        let columns = columns.unwrap_or_default();
        let mut live = session.watch(statement)?;
        let mut view: Box<dyn View> = match terminal::is_output() && !self.json {
            true => Box::new(Screen::new(columns)),
            false => Box::new(Lines { app, columns }),
        };
        let until = wait.and_then(|wait| Instant::now().checked_add(wait));
        let mut count = 0;
        let mut said: Option<String> = None;
        let mut outcome = view.begin(&live.entities()?);
        while outcome.is_ok() {
            let is_over = until.is_some_and(|until| until <= Instant::now())
                || self.count.is_some_and(|most| count >= most);
            if is_over || interrupt::is_cancelled() {
                break;
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            outcome = match live.changes(left.unwrap_or(STEP).min(STEP)) {
                Ok(None) => view.look(&live),
                Ok(Some(changes)) => {
                    said = None;
                    count += size(&changes);
                    view.change(&live, &changes)
                }
                Err(error) if is_final(error.kind()) => Err(error.into()),
                // It goes on by itself; each problem is said once.
                Err(error) => {
                    let message = error.to_string();
                    if said.as_ref() != Some(&message) {
                        view.say(&format!("{message}; trying again"));
                    }
                    said = Some(message);
                    Ok(())
                }
            };
        }
        match outcome {
            // That is how one ends.
            Err(failure) if failure.code() == Code::Cancelled => Ok(()),
            outcome => outcome,
        }
    }
}

/// Errors that do not pass.
fn is_final(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::Authentication
            | ErrorKind::Permission
            | ErrorKind::Closed
            | ErrorKind::Cancelled
    )
}

fn size(changes: &WatchChanges) -> u64 {
    (changes.added.len() + changes.removed.len() + changes.changed.len()) as u64
}

trait View {
    fn begin(&mut self, entities: &[Entity]) -> Result<()>;
    fn change(&mut self, live: &Live, changes: &WatchChanges) -> Result<()>;
    /// Called while nothing changes.
    fn look(&mut self, live: &Live) -> Result<()>;
    fn say(&mut self, message: &str);
}

/// The cells of an entity.
fn cells(entity: &Entity, columns: &[Column]) -> Result<Vec<Cell>> {
    let cells = columns.iter().map(|column| {
        let value = entity.value(&column.name)?.unwrap_or_default();
        let cell = serde_json::to_value(&value).and_then(serde_json::from_value::<Cell>);
        cell.map_err(|error| Failure::invalid(format!("a value is not JSON: {error}")))
    });
    cells.collect()
}

/// A JSON object for each row and change.
struct Lines<'a> {
    app: &'a App,
    columns: Vec<Column>,
}

impl<'a> Lines<'a> {
    fn write(&self, change: &str, key: &EntityKey, row: Cell) -> Result<()> {
        let cells = vec![
            Cell::Text(change.into()),
            Cell::Text(format!("{}:{}", key.entity_type(), key.id()).into()),
            row,
        ];
        let mut out = self.app.out();
        let mut rows = Rows::new(&mut *out, Format::Ndjson, &["change", "key", "row"])?;
        rows.write(cells)?;
        rows.finish().map(drop)
    }

    fn write_all(&self, change: &str, entities: &[Entity]) -> Result<()> {
        entities.iter().try_for_each(|entity| {
            let names = Column::names_of(&self.columns).into_iter();
            let row = Row::of(names.zip(cells(entity, &self.columns)?));
            self.write(change, &entity.key(), Cell::Object(row))
        })
    }
}

impl View for Lines<'_> {
    fn begin(&mut self, entities: &[Entity]) -> Result<()> {
        self.write_all("present", entities)
    }

    fn change(&mut self, _: &Live, changes: &WatchChanges) -> Result<()> {
        self.write_all("added", &changes.added)?;
        self.write_all("changed", &changes.changed)?;
        let mut removed = changes.removed.iter();
        removed.try_for_each(|key| self.write("removed", key, Cell::Null))
    }

    fn look(&mut self, _: &Live) -> Result<()> {
        Ok(())
    }

    fn say(&mut self, message: &str) {
        terminal::say(message);
    }
}

/// A table that is drawn again in its place.
struct Screen {
    terminal: Term,
    columns: Vec<Column>,
    changes: WatchChanges,
    message: String,
    /// Whether there is a message that was not drawn yet.
    is_stale: bool,
    /// The lines that are shown, and the size of the terminal when they were.
    shown: usize,
    size: (u16, u16),
}

impl Screen {
    fn new(columns: Vec<Column>) -> Self {
        Self {
            terminal: Term::buffered_stdout(),
            columns,
            changes: WatchChanges::default(),
            message: String::new(),
            is_stale: false,
            shown: 0,
            size: (0, 0),
        }
    }

    fn draw(&mut self, entities: &[Entity]) -> Result<()> {
        let size = self.terminal.size();
        let room = usize::from(size.0).saturating_sub(OTHER_LINES).max(1);
        let mut table = output::table();
        let names = self
            .columns
            .iter()
            .map(|column| terminal::printable(&column.name));
        table.set_header(std::iter::once(String::new()).chain(names));
        for entity in entities.iter().take(room) {
            let mark = match entity {
                one if self.changes.added.contains(one) => "+",
                one if self.changes.changed.contains(one) => "~",
                _ => "",
            };
            let row = cells(entity, &self.columns)?;
            let line = std::iter::once(TableCell::new(mark));
            table.add_row(line.chain(row.iter().map(output::table_cell)));
        }
        let lines: Vec<String> = table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect();
        // Cells of several lines may need more room than there is.
        let lines = &lines[..lines.len().min(room + 2)];
        if size == self.size {
            self.terminal.clear_last_lines(self.shown)?;
        } else if self.shown > 0 {
            self.terminal.clear_screen()?;
        }
        for (index, line) in lines.iter().enumerate() {
            let line = match line.trim_start().chars().next() {
                _ if index == 0 => style(line).bold(),
                Some('+') => style(line).green(),
                Some('~') => style(line).yellow(),
                _ => style(line),
            };
            self.terminal.write_line(&line.to_string())?;
        }
        let below = self.below(entities.len(), room);
        let width = usize::from(size.1).saturating_sub(1);
        let below = console::truncate_str(&below, width, "…").into_owned();
        self.terminal.write_line(&style(below).dim().to_string())?;
        self.terminal.flush()?;
        (self.shown, self.size, self.is_stale) = (lines.len() + 1, size, false);
        Ok(())
    }

    /// The line below the table.
    fn below(&self, rows: usize, room: usize) -> String {
        let now = ftrack_api::jiff::ZonedDateTime::now();
        let word = if rows == 1 { "row" } else { "rows" };
        let mut parts = vec![format!("{} {rows} {word}", now.strftime("%H:%M:%S"))];
        if rows > room {
            parts.push(format!("{} of them not shown", rows - room));
        }
        if !self.changes.removed.is_empty() {
            parts.push(format!("{} removed", self.changes.removed.len()));
        }
        if self.message.is_empty() {
            parts.push("Ctrl-C ends".to_owned());
        } else {
            parts.push(self.message.clone());
        }
        parts.join(", ")
    }
}

impl View for Screen {
    fn begin(&mut self, entities: &[Entity]) -> Result<()> {
        self.draw(entities)
    }

    fn change(&mut self, live: &Live, changes: &WatchChanges) -> Result<()> {
        self.message.clear();
        self.changes = changes.clone();
        self.draw(&live.entities()?)
    }

    fn look(&mut self, live: &Live) -> Result<()> {
        match self.is_stale || self.terminal.size() != self.size {
            true => self.draw(&live.entities()?),
            false => Ok(()),
        }
    }

    fn say(&mut self, message: &str) {
        self.message = terminal::printable(message);
        self.is_stale = true;
    }
}
