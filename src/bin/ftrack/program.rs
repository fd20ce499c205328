//! Runs a program: what it reads, how long it may take, and the end of what it writes to standard error.

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::anyhow;

/// How much of what a program writes to standard error is kept.
const MAX_TAIL_BYTES: usize = 8 << 10;
/// A longer line is passed on in pieces.
const MAX_LINE_BYTES: u64 = 4 << 10;
/// How long after the end of a program its standard error is waited for, which programs that it has started may hold
/// open for ever.
const MAX_DRAIN: Duration = Duration::from_secs(1);
/// The longest time between two looks whether a program has ended.
const MAX_STEP: Duration = Duration::from_millis(50);

/// How a program is run.
pub(crate) struct Limits {
    /// It is killed afterwards.
    pub(crate) timeout: Option<Duration>,
    /// How often `beat` is called while it runs.
    pub(crate) beat: Duration,
}

/// How a program has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if it was killed because its time was over.
    pub(crate) status: Option<ExitStatus>,
    /// The end of what it has written to standard error.
    pub(crate) tail: String,
}

/// Starts the program with `input` as its standard input, and waits for its end. `say` gets each line of its standard
/// error. What it has started itself is not waited for, nor killed with it.
pub(crate) fn run(
    mut command: Command,
    input: String,
    limits: &Limits,
    mut beat: impl FnMut(),
    mut say: impl FnMut(&str),
) -> anyhow::Result<Ended> {
    let begun = Instant::now();
    let child = command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| {
        let program = command.get_program().to_string_lossy();
        anyhow::anyhow!("cannot start {program}: {error}")
    })?;
    // Both threads may outlive the program, as long as another one has the other end of their pipe.
    if let Some(mut pipe) = child.stdin.take() {
        // A program may write more than a pipe holds before it reads, and need not read at all.
        thread::spawn(move || pipe.write_all(input.as_bytes()));
    }
    let (sender, lines) = sync_channel(1);
    if let Some(pipe) = child.stderr.take() {
        thread::spawn(move || pass_on(pipe, &sender));
    }
    let mut tail = Tail::default();
    let mut next_beat = limits.beat;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        let passed = begun.elapsed();
        if limits.timeout.is_some_and(|timeout| passed >= timeout) {
            child.kill()?;
            child.wait()?;
            break None;
        }
        if passed >= next_beat {
            beat();
            next_beat = begun.elapsed() + limits.beat;
        }
        // The end of a short program is noticed soon.
        let step = (passed / 10).clamp(Duration::from_millis(1), MAX_STEP);
        tail.take(&lines, step, &mut say);
    };
    let ended = Instant::now();
    while tail.is_open && ended.elapsed() < MAX_DRAIN {
        tail.take(&lines, MAX_STEP, &mut say);
    }
    Ok(Ended {
        status,
        tail: tail.text(),
    })
}

/// Reads until the pipe is closed, also when nobody wants it any more: whoever writes must not be stopped by it.
fn pass_on(pipe: impl Read, lines: &SyncSender<Vec<u8>>) {
    let mut reader = BufReader::new(pipe);
    loop {
        let mut line = Vec::new();
        match (&mut reader)
            .take(MAX_LINE_BYTES)
            .read_until(b'\n', &mut line)
        {
            Ok(1..) => drop(lines.send(line)),
            Ok(0) | Err(_) => return,
        }
    }
}

/// The last lines.
struct Tail {
    bytes: Vec<u8>,
    /// Whether more may come.
    is_open: bool,
}

impl Default for Tail {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            is_open: true,
        }
    }
}

impl Tail {
    /// Waits this long for a line.
    fn take(&mut self, lines: &Receiver<Vec<u8>>, step: Duration, say: &mut impl FnMut(&str)) {
        if !self.is_open {
            thread::sleep(step);
            return;
        }
        match lines.recv_timeout(step) {
            Ok(line) => {
                say(String::from_utf8_lossy(&line).trim_end());
                self.bytes.extend_from_slice(&line);
                let surplus = self.bytes.len().saturating_sub(MAX_TAIL_BYTES);
                self.bytes.drain(..surplus);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.is_open = false,
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).trim().to_owned()
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(600);

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::null());
        command
    }

    fn limits(timeout: Option<Duration>) -> Limits {
        Limits {
            timeout,
            beat: LONG,
        }
    }

    #[test]
    fn the_beat_goes_on_while_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let go = folder.path().join("go");
        let mut command = sh("until [ -e go ]; do sleep 0.01; done");
        command.current_dir(folder.path());
        let limits = Limits {
            timeout: None,
            beat: Duration::from_millis(5),
        };
        let mut beats = 0;
        let beat = || {
            beats += 1;
            if beats == 3 {
                std::fs::write(&go, "").unwrap();
            }
        };
        let ended = run(command, String::new(), &limits, beat, |_| {}).unwrap();
        assert!(ended.status.unwrap().success());
        assert!(beats >= 3);
    }

    #[test]
    fn it_is_killed_when_its_time_is_over() {
        let command = sh("exec sleep 600");
        let limits = limits(Some(Duration::from_secs(1)));
        let ended = run(command, String::new(), &limits, || {}, |_| {}).unwrap();
        assert!(ended.status.is_none());
    }

    #[test]
    fn only_the_end_of_standard_error_is_kept() {
        let script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i + 1)); done >&2; exit 3";
        let mut said = 0;
        let ended = run(
            sh(script),
            String::new(),
            &limits(None),
            || {},
            |_| said += 1,
        );
        let ended = ended.unwrap();
        assert_eq!(ended.status.unwrap().code(), Some(3));
        assert_eq!(said, 5000);
        assert!(ended.tail.ends_with("line 4998\nline 4999"));
        assert!(ended.tail.len() <= MAX_TAIL_BYTES && ended.tail.len() > MAX_TAIL_BYTES / 2);
    }

    #[test]
    fn what_it_has_started_is_not_waited_for() {
        let script = "sleep 600 & echo $! >&2";
        let ended = run(sh(script), String::new(), &limits(None), || {}, |_| {}).unwrap();
        assert!(ended.status.unwrap().success());
        // It still runs.
        let mut kill = Command::new("kill");
        assert!(kill.arg(&ended.tail).status().unwrap().success());
    }

    #[test]
    fn it_need_not_read() {
        let input = "x".repeat(1 << 20);
        let ended = run(sh("exit 0"), input, &limits(None), || {}, |_| {}).unwrap();
        assert!(ended.status.unwrap().success());
    }
}
