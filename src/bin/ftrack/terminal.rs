//! What there is of a terminal: colours, width, questions, messages.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::ValueEnum;
use console::{Style, StyledObject, style};

use crate::failure::{Code, Failure, Result};
use crate::interrupt;

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR or CLICOLOR=0 is set; anywhere if CLICOLOR_FORCE is
    #[default]
    Auto,
    Always,
    Never,
}

/// Settles whether stdout and stderr get colours.
pub(crate) fn set_colors(color: Color) {
    let is_set =
        |name| std::env::var_os(name).is_some_and(|value| !value.is_empty() && value != "0");
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let is_off = std::env::var_os("CLICOLOR").is_some_and(|value| value == "0");
    let wanted = |is_terminal: bool| match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) => false,
        Color::Auto if is_set("CLICOLOR_FORCE") => true,
        Color::Auto => is_terminal && !is_dumb && !is_off,
    };
    console::set_colors_enabled(wanted(io::stdout().is_terminal()));
    console::set_colors_enabled_stderr(wanted(io::stderr().is_terminal()));
}

/// Whether stdout is a terminal.
pub(crate) fn is_output() -> bool {
    io::stdout().is_terminal()
}

/// Whether somebody can be asked: both what is shown and what is typed are of a terminal.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// The columns of the terminal, if stdout is one.
pub(crate) fn width() -> Option<u16> {
    let size = is_output().then(|| console::Term::stdout().size_checked())?;
    size.map(|(_, columns)| columns)
        .filter(|&columns| columns > 0)
}

/// `1 row`, `2 rows`.
pub(crate) fn counted(count: u64, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A message for people, on stderr.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell if stderr is closed.
    let _ = writeln!(io::stderr(), "{}", printable_lines(text));
}

/// A text that is made of printable parts and colours, on stderr.
pub(crate) fn say_plan(text: &str) {
    let _ = write!(io::stderr(), "{text}");
}

pub(crate) fn say_error(message: &str, remedy: Option<&str>) {
    let error = style("error:").red().bold().for_stderr();
    say_styled(&error, message);
    if let Some(remedy) = remedy {
        let hint = style("hint:").cyan().for_stderr();
        say_styled(&hint, remedy);
    }
}

fn say_styled(word: &StyledObject<&str>, text: &str) {
    let _ = writeln!(io::stderr(), "{word} {}", printable_lines(text));
}

/// What a server sends must not move the cursor or change colours: control characters are shown as
/// spaces.
pub(crate) fn printable(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// The same for a text of several lines.
pub(crate) fn printable_lines(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', " ")
}

/// The style of a colour such as `#3498DB`, which is how the server writes it.
pub(crate) fn style_of(color: &str) -> Style {
    let part = |from: usize| {
        let text = color.strip_prefix('#')?.get(from..from + 2)?;
        u8::from_str_radix(text, 16).ok()
    };
    match (part(0), part(2), part(4)) {
        (Some(red), Some(green), Some(blue)) => Style::new().true_color(red, green, blue),
        _ => Style::new(),
    }
}

/// Asks whether to go on. Without a terminal it is an error that says how to do without the question.
pub(crate) fn confirm(question: &str) -> Result<()> {
    if !can_ask() {
        return Err(
            Failure::usage("there is no terminal to ask whether to go on")
                .with_remedy("--yes goes on without a question, --dry-run only shows the plan"),
        );
    }
    match ask(&format!("{question} [y/N] "))?.to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new(Code::Failed, "nothing was changed")),
    }
}

/// Asks for a line of text.
pub(crate) fn ask(question: &str) -> Result<String> {
    interrupt::prompting(|| {
        let mut stderr = io::stderr();
        write!(stderr, "{question}")?;
        stderr.flush()?;
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line)? == 0 {
            let _ = writeln!(stderr);
        }
        Ok(line.trim().to_owned())
    })
}

/// Asks for a secret, which is not shown while it is typed. From anything but a terminal it is the
/// first line.
pub(crate) fn ask_secret(question: &str) -> Result<String> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        read.map_err(|error| Failure::new(Code::File, format!("cannot read the input: {error}")))?;
        return Ok(line.trim().to_owned());
    }
    let answer = rpassword::prompt_password(question).map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => {
            Failure::new(Code::Cancelled, "cancelled: nothing was changed")
        }
        _ => Failure::new(
            Code::File,
            format!("cannot read from the terminal: {error}"),
        ),
    })?;
    Ok(answer.trim().to_owned())
}
