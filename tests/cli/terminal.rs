//! The program in a real terminal: tables, prompts, bars, Ctrl-C.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

#[cfg(feature = "file-cache")]
use ftrack_api::Event;
#[cfg(feature = "file-cache")]
use ftrack_api::relay::{Relay, Stream, Worker};
use ftrack_emulator::Emulator;
use ftrack_emulator::faults::Fault;

use crate::{Cli, support};

const TASK: &str = "adb4ad6c-7679-11e2-8df2-f23c91df25eb";
const COLUMNS: u16 = 72;

/// A run of the program in a terminal.
struct Terminal {
    pty: Arc<pty_process::blocking::Pty>,
    child: std::process::Child,
    shown: Arc<Mutex<Vec<u8>>>,
    reading: thread::JoinHandle<()>,
}

impl Terminal {
    fn new(cli: &Cli, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::of_width(COLUMNS, cli, arguments, environment)
    }

    fn of_width(columns: u16, cli: &Cli, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let (pty, pts) = pty_process::blocking::open().unwrap();
        pty.resize(pty_process::Size::new(24, columns)).unwrap();
        let mut command = pty_process::blocking::Command::new(env!("CARGO_BIN_EXE_ftrack"));
        command = command
            .args(arguments)
            .env_clear()
            .current_dir(cli.folder());
        command = command
            .env("TERM", "xterm-256color")
            .env("FTRACK_PROFILES", cli.folder().join("profiles.toml"))
            .env("FTRACK_API_SCHEMA_CACHE_PATH", cli.folder().join("schema"))
            .envs(environment.iter().copied());
        let child = command.spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let shown = Arc::new(Mutex::new(Vec::new()));
        let (from, to) = (pty.clone(), shown.clone());
        // Ends when the program has ended.
        let reading = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = (&*from).read(&mut buffer) {
                to.lock().unwrap().extend_from_slice(&buffer[..count]);
            }
        });
        Self {
            pty,
            child,
            shown,
            reading,
        }
    }

    fn with_settings(cli: &Cli, arguments: &[&str]) -> Self {
        let settings = [
            ("FTRACK_SERVER", cli.url.as_str()),
            ("FTRACK_API_USER", &cli.user),
            ("FTRACK_API_KEY", &cli.key),
        ];
        Self::new(cli, arguments, &settings)
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    fn wait_for(&self, text: &str) {
        support::eventually(text, || self.shown().contains(text));
    }

    /// Waits for a question, and until the terminal does not show what is typed.
    fn wait_for_secret(&self, question: &str) {
        self.wait_for(question);
        support::eventually("the echo is off", || {
            let modes = rustix::termios::tcgetattr(&*self.pty).unwrap().local_modes;
            !modes.contains(rustix::termios::LocalModes::ECHO)
        });
    }

    fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for the end; the exit code, and all that was shown.
    fn end(mut self) -> (i32, String) {
        let code = self.child.wait().unwrap().code().unwrap_or(-1);
        self.reading.join().unwrap();
        let shown = self.shown.lock().unwrap();
        (code, String::from_utf8_lossy(&shown).into_owned())
    }
}

fn studio() -> (Emulator, Cli) {
    let server = support::emulator();
    let cli = Cli::on(&server);
    (server, cli)
}

fn bid(server: &Emulator) -> f64 {
    let task = support::open(server).get("Task", TASK).unwrap().unwrap();
    task.get("bid").unwrap()
}

#[test]
#[cfg(feature = "file-cache")]
fn the_status_of_a_stream_is_shown_in_tables() {
    let (server, cli) = studio();
    let stream = Stream::local(cli.folder().join("events.db"));
    let session = support::open(&server);
    let mut relay = Relay::new(session.event_hub(), &stream, "relay-1");
    relay.poll(Duration::ZERO).unwrap();
    drop(relay);
    stream.append([&Event::new("studio.test")]).unwrap();
    let worker = Worker::new(&stream, "log", "one");
    worker.next(None).unwrap().unwrap().ack().unwrap();
    let status = ["events", "status", "--stream", "events.db"];
    let (code, shown) = Terminal::new(&cli, &status, &[]).end();
    assert_eq!(code, 0, "{shown}");
    let lines = console_lines(&shown);
    assert_eq!(lines[0].trim(), "entries: 1 kept, 1 ever appended");
    let row = |name: &str| {
        let line = lines.iter().find(|line| line.trim().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name}: {shown}"));
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(row("relay-1")[1], "ended", "{shown}");
    let counts = ["log", "0", "0", "0", "1", "0", "0", "0"];
    assert_eq!(row("log"), counts, "{shown}");
    // No word of the names is cut.
    for name in [
        "events/s", "appended", "delayed", "handled", "retried", "dead", "letters",
    ] {
        assert!(shown.contains(name), "{name}: {shown}");
    }
}

#[test]
#[cfg(feature = "file-cache")]
fn the_status_of_a_connected_relay_fits_a_terminal_of_80_columns() {
    let (server, cli) = studio();
    let stream = Stream::local(cli.folder().join("events.db"));
    let session = support::open(&server);
    let mut relay = Relay::new(session.event_hub(), &stream, "relay-london-1");
    let connected_at = || {
        let relays = stream.status().unwrap().relays;
        relays.first().and_then(|relay| relay.connected_at)
    };
    while connected_at().is_none() {
        relay.poll(Duration::from_millis(50)).unwrap();
    }
    let status = ["events", "status", "--stream", "events.db"];
    let (code, shown) = Terminal::of_width(80, &cli, &status, &[]).end();
    assert_eq!(code, 0, "{shown}");
    let lines = console_lines(&shown);
    let line = lines.iter().find(|line| line.contains(" ago "));
    let line = line.unwrap_or_else(|| panic!("no time: {shown}"));
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(words[0], "relay-london-1", "{shown}");
    assert_eq!(words[words.len() - 1], "0", "{shown}");
    assert!(
        lines.iter().all(|line| line.chars().count() <= 80),
        "{shown}"
    );
}

#[test]
fn tables_fit_the_terminal() {
    let cli = Cli::reading();
    let query =
        "select id, name, description, parent.name, type.name, status.name from Task limit 5";
    let (code, shown) = Terminal::with_settings(&cli, &["query", query]).end();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("\u{1b}[1m") && shown.contains('─'),
        "{shown}"
    );
    for line in console_lines(&shown) {
        assert!(line.chars().count() <= usize::from(COLUMNS), "{line:?}");
    }
}

/// The lines without colours.
fn console_lines(shown: &str) -> Vec<String> {
    let mut plain = String::new();
    let mut letters = shown.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\u{1b}' => {
                letters.by_ref().find(char::is_ascii_alphabetic);
            }
            '\r' => {}
            other => plain.push(other),
        }
    }
    plain.lines().map(str::to_owned).collect()
}

#[test]
fn changes_are_asked_for() {
    let (server, cli) = studio();
    for (answer, code, expected) in [
        ("n\r", 1, 201_600.0),
        ("\r", 1, 201_600.0),
        ("y\r", 0, 60.0),
    ] {
        let terminal = Terminal::with_settings(&cli, &["set", TASK, "bid=60"]);
        terminal.wait_for("Make these changes? [y/N]");
        assert!(
            terminal.shown().contains("201600 -> 60"),
            "{}",
            terminal.shown()
        );
        terminal.press(answer);
        let (ended, shown) = terminal.end();
        assert_eq!((ended, bid(&server)), (code, expected), "{shown}");
        assert_eq!(shown.contains("nothing was changed"), code == 1, "{shown}");
    }
}

#[test]
fn ctrl_c_at_a_question_changes_nothing() {
    let (server, cli) = studio();
    let terminal = Terminal::with_settings(&cli, &["set", TASK, "bid=60"]);
    terminal.wait_for("[y/N]");
    terminal.press("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!((code, bid(&server)), (130, 201_600.0), "{shown}");
    assert!(shown.contains("nothing was changed"), "{shown}");
}

#[test]
fn the_key_is_not_shown_while_it_is_typed() {
    let (_server, cli) = studio();
    let terminal = Terminal::new(&cli, &["profile", "add", "studio"], &[]);
    terminal.wait_for("Server URL:");
    terminal.press(&format!("{}\r", cli.url));
    terminal.wait_for("User name:");
    terminal.press(&format!("{}\r", cli.user));
    terminal.wait_for_secret("API key (not shown):");
    terminal.press(&format!("{}\r", cli.key));
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("saved the profile"), "{shown}");
    assert!(!shown.contains(&cli.key), "the key is shown");
    let (code, shown) = Terminal::new(&cli, &["whoami"], &[]).end();
    assert!(code == 0 && shown.contains(&cli.url), "{shown}");

    let terminal = Terminal::new(
        &cli,
        &["profile", "add", "x", "--server", &cli.url, "--user", "a"],
        &[],
    );
    terminal.wait_for_secret("API key (not shown):");
    terminal.press("\u{3}");
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn ctrl_c_ends_a_query_that_waits() {
    let (server, cli) = studio();
    cli.ok(&["whoami"]); // the schema is cached
    server
        .faults()
        .push(Fault::slow(Duration::from_secs(600)).only("query"));
    let before = server.requests();
    let terminal = Terminal::with_settings(&cli, &["query", "Task"]);
    support::eventually("the query is under way", || server.requests() >= before + 2);
    terminal.press("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!(code, 130, "{shown}");
    assert!(shown.contains("cancelled"), "{shown}");
    // What is said begins a line, after the ^C that the terminal shows.
    assert!(shown.contains("^C\r\n"), "{shown:?}");
}

#[test]
fn ctrl_c_in_an_import_says_what_was_done() {
    let (server, cli) = studio();
    let rows: String = (0..30).map(|number| format!("user{number}\n")).collect();
    cli.write("users.csv", format!("username\n{rows}"));
    cli.ok(&["whoami"]); // the schema is cached
    server
        .faults()
        .push(Fault::slow(Duration::ZERO).only("create"));
    server
        .faults()
        .push(Fault::slow(Duration::from_secs(600)).only("create"));
    let arguments = [
        "import",
        "users.csv",
        "--type",
        "User",
        "--by",
        "username",
        "--yes",
        "--chunk",
        "10",
    ];
    let terminal = Terminal::with_settings(&cli, &arguments);
    // Both faults are taken once the second chunk is on its way.
    support::eventually("the second chunk", || server.faults().pending().is_empty());
    terminal.press("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!(code, 130, "{shown}");
    assert!(shown.contains("done: 10 created"), "{shown}");
    assert!(
        shown.contains("not confirmed: 20 rows") && shown.contains("to go on"),
        "{shown}"
    );
    let kept = std::fs::read_to_string(cli.folder().join("users.refused.csv")).unwrap();
    assert_eq!(kept.lines().count(), 21, "{kept}");
}

#[test]
fn transfers_and_imports_show_bars() {
    let (server, cli) = studio();
    let version = support::open(&server)
        .query("AssetVersion")
        .unwrap()
        .first()
        .unwrap()
        .unwrap();
    let version = format!("AssetVersion:{}", version.id());
    cli.write("large.bin", vec![7; 40 << 20]);
    let arguments = ["upload", "large.bin", "--to", &version];
    let (code, shown) = Terminal::with_settings(&cli, &arguments).end();
    assert_eq!(code, 0, "{shown}");
    assert!(
        shown.contains("/s") && shown.contains("MiB") && shown.contains("large"),
        "{shown}"
    );
    assert!(!shown.contains("0 B/0 B"), "{shown}");
    let piped = cli.run(&arguments);
    assert!(!piped.err.contains("MiB"), "{}", piped.err);
}

#[test]
fn a_watched_table_is_drawn_again() {
    let (server, cli) = studio();
    let session = support::open(&server);
    let query = format!("select name, bid from Task where id is {TASK}");
    let terminal = Terminal::with_settings(&cli, &["watch", &query]);
    terminal.wait_for("Ctrl-C ends");
    assert!(terminal.shown().contains("201600"), "{}", terminal.shown());
    let task = session.get("Task", TASK).unwrap().unwrap();
    task.set("bid", 4711).unwrap();
    session.commit().unwrap();
    terminal.wait_for("4711");
    // The table before was taken away.
    assert!(
        terminal.shown().contains("\u{1b}[4A"),
        "{:?}",
        terminal.shown()
    );
    terminal.press("\u{3}");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    let lines = console_lines(&shown);
    assert!(
        lines
            .iter()
            .any(|line| line.trim_start().starts_with("~ ") && line.contains("4711")),
        "{lines:?}"
    );
}

#[test]
fn a_publish_shows_its_plan_asks_and_has_a_bar() {
    let (server, cli) = studio();
    cli.write("large.bin", vec![7; 40 << 20]);
    let arguments = ["publish", "large.bin", "--to", "test/ep01/sq010/sh0010"];
    let terminal = Terminal::with_settings(&cli, &arguments);
    terminal.wait_for("Publish this? [y/N]");
    terminal.press("n\r");
    let (code, shown) = terminal.end();
    assert_eq!(code, 1, "{shown}");
    assert!(shown.contains("upload large from large.bin"), "{shown}");
    let session = support::open(&server);
    let versions = session
        .query("AssetVersion where asset.name is large")
        .unwrap();
    assert_eq!(versions.count().unwrap(), 0);

    let terminal = Terminal::with_settings(&cli, &arguments);
    terminal.wait_for("[y/N]");
    terminal.press("y\r");
    let (code, shown) = terminal.end();
    assert_eq!((code, versions.count().unwrap()), (0, 1), "{shown}");
    assert!(shown.contains("/s") && shown.contains("MiB"), "{shown}");
    // There is none before there is something to count.
    let question = shown.find("[y/N]").unwrap();
    assert!(
        shown.find("MiB").unwrap() > question && !shown.contains("0 B/0 B"),
        "{shown}"
    );
}
