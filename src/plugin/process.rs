//! A child process that exchanges lines, with a time limit for each exchange.
//!
//! On Unix its standard input and output are one socket, which supports time limits, so no thread is
//! needed. Elsewhere pipes have no time limits, so a thread called `ftrack-plugin` reads and writes
//! for as long as the process runs; it is the only one beside the event hub's.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

#[cfg(unix)]
use socket::Lines;
#[cfg(not(unix))]
use threads::Lines;

/// The maximum length of a line.
pub(super) const MAX_LINE_BYTES: usize = 16 * 1024 * 1024;

/// How long a process may take to end by itself once its input has ended.
const EXIT_WAIT: Duration = Duration::from_millis(300);

/// A child process. When it is dropped, it is ended, with the processes that it has started.
pub(super) struct Process {
    /// `None` while it is dropped: its input ends before it is waited for.
    lines: Option<Lines>,
    child: Child,
    /// Once its id may belong to another process.
    is_reaped: bool,
}

impl Process {
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        tree::prepare(&mut command);
        let (lines, child) = Lines::start(&mut command)?;
        Ok(Self {
            lines: Some(lines),
            child,
            is_reaped: false,
        })
    }

    /// Sends a line.
    pub(super) fn send(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
        self.lines()?.send(line, deadline)
    }

    /// The next line, without its end.
    pub(super) fn receive(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
        self.lines()?.receive(deadline)
    }

    fn lines(&mut self) -> io::Result<&mut Lines> {
        self.lines
            .as_mut()
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    /// Its exit status if it ends within [`EXIT_WAIT`]. The processes that it has started are ended
    /// then.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        let deadline = Instant::now() + EXIT_WAIT;
        while !self.is_reaped && !tree::has_exited(&mut self.child) {
            if Instant::now() >= deadline {
                return None;
            }
            // The standard library waits for a child without a time limit or not at all; a pidfd is
            // not portable, and a handler of SIGCHLD would interfere with the program's own.
            std::thread::sleep(Duration::from_millis(2));
        }
        self.reap()
    }

    /// Ends it at once, with the processes that it has started.
    pub(super) fn kill(&mut self) {
        self.reap();
    }

    fn reap(&mut self) -> Option<ExitStatus> {
        if !self.is_reaped {
            tree::kill(&mut self.child);
            self.is_reaped = true;
        }
        self.child.wait().ok()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.lines = None;
        if self.ended().is_none() {
            self.kill();
        }
    }
}

/// A process and those that it has started: a process group. A process that leaves the group, as
/// `setsid` does, is not part of it.
#[cfg(unix)]
mod tree {
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command};

    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

    pub(super) fn prepare(command: &mut Command) {
        command.process_group(0);
    }

    /// It is not reaped: its id still names the group.
    pub(super) fn has_exited(child: &mut Child) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(Pid::from_child(child)), options);
        !matches!(status, Ok(None))
    }

    /// For a child that was not reaped.
    pub(super) fn kill(child: &mut Child) {
        // It fails if all of them have ended.
        let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
        let _ = child.kill();
    }
}

/// Windows ends a process with those that it has started only while it runs itself.
#[cfg(not(unix))]
mod tree {
    use std::process::{Child, Command, Stdio};

    pub(super) fn prepare(_: &mut Command) {}

    pub(super) fn has_exited(child: &mut Child) -> bool {
        !matches!(child.try_wait(), Ok(None))
    }

    pub(super) fn kill(child: &mut Child) {
        if !has_exited(child) {
            let mut command = Command::new("taskkill");
            command.args(["/T", "/F", "/PID", &child.id().to_string()]);
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let _ = command.stderr(Stdio::null()).status();
        }
        // It fails if it has ended.
        let _ = child.kill();
    }
}

/// The time until `deadline`.
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

fn too_long() -> io::Error {
    let megabytes = MAX_LINE_BYTES >> 20;
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a line of more than {megabytes} MiB"),
    )
}

/// Takes a whole line from the front of the bytes that were read.
fn take_line(read: &mut Vec<u8>, searched: &mut usize) -> io::Result<Option<Vec<u8>>> {
    let end = memchr::memchr(b'\n', &read[*searched..]).map(|end| *searched + end);
    *searched = read.len();
    let Some(end) = end else {
        return if read.len() > MAX_LINE_BYTES {
            Err(too_long())
        } else {
            Ok(None)
        };
    };
    let rest = read.split_off(end + 1);
    let mut line = std::mem::replace(read, rest);
    *searched = 0;
    line.truncate(end);
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(line))
}

#[cfg(unix)]
mod socket {
    use std::io::{self, Read, Write};
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::process::{Child, Command, Stdio};
    use std::time::Instant;

    use super::{left, take_line};

    /// The other end of the process's standard input and output.
    pub(super) struct Lines {
        stream: UnixStream,
        read: Vec<u8>,
        searched: usize,
    }

    impl Lines {
        pub(super) fn start(command: &mut Command) -> io::Result<(Self, Child)> {
            let (stream, theirs) = UnixStream::pair()?;
            // Linux is told so by each write.
            #[cfg(target_vendor = "apple")]
            rustix::net::sockopt::set_socket_nosigpipe(&stream, true)?;
            let input = OwnedFd::from(theirs.try_clone()?);
            command
                .stdin(Stdio::from(input))
                .stdout(Stdio::from(OwnedFd::from(theirs)));
            let child = command.spawn();
            // The command keeps its ends open otherwise.
            command.stdin(Stdio::null()).stdout(Stdio::null());
            let lines = Self {
                stream,
                read: Vec::new(),
                searched: 0,
            };
            Ok((lines, child?))
        }

        pub(super) fn send(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
            let mut rest = line;
            while !rest.is_empty() {
                let limit = Some(left(deadline)?);
                tolerant(self.stream.set_write_timeout(limit))?;
                match self.stream.write(rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => rest = &rest[count..],
                    Err(error) if passes(&error) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        }

        pub(super) fn receive(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
            let mut piece = [0; 8192];
            loop {
                if let Some(line) = take_line(&mut self.read, &mut self.searched)? {
                    return Ok(line);
                }
                let limit = Some(left(deadline)?);
                tolerant(self.stream.set_read_timeout(limit))?;
                match self.stream.read(&mut piece) {
                    Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                    Ok(count) => self.read.extend(&piece[..count]),
                    Err(error) if passes(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// macOS refuses time limits for a socket whose other end is closed. Such a socket never blocks.
    fn tolerant(set: io::Result<()>) -> io::Result<()> {
        match set {
            Err(error)
                if cfg!(target_vendor = "apple") && error.kind() == io::ErrorKind::InvalidInput =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// The loop checks the time itself.
    fn passes(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        )
    }
}

/// Compiled for tests everywhere, so that it is tested without Windows.
#[cfg(any(not(unix), test))]
mod threads {
    use std::io::{self, Read, Write};
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
    use std::thread;
    use std::time::Instant;

    use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

    use super::{left, take_line};

    /// What the thread is asked to do.
    enum Job {
        Write(Vec<u8>),
        Read,
    }

    /// The channels to the thread that reads and writes.
    pub(super) struct Lines {
        jobs: Sender<Job>,
        lines: Receiver<io::Result<Vec<u8>>>,
    }

    impl Lines {
        pub(super) fn start(command: &mut Command) -> io::Result<(Self, Child)> {
            #[cfg(windows)]
            {
                use std::os::windows::process::CommandExt;
                // CREATE_NO_WINDOW: a program without a console would show one for the plugin.
                command.creation_flags(0x0800_0000);
            }
            let mut child = command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
                return Err(io::ErrorKind::BrokenPipe.into());
            };
            let (jobs, received) = bounded(1);
            let (found, lines) = bounded(1);
            let named = thread::Builder::new().name("ftrack-plugin".into());
            named.spawn(move || talk(input, output, &received, &found))?;
            Ok((Self { jobs, lines }, child))
        }

        pub(super) fn send(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
            self.give(Job::Write(line.to_vec()), deadline)
        }

        pub(super) fn receive(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
            self.give(Job::Read, deadline)?;
            match self.lines.recv_deadline(deadline) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }

        fn give(&self, job: Job, deadline: Instant) -> io::Result<()> {
            let sent = self.jobs.send_timeout(job, left(deadline)?);
            sent.map_err(|error| match error.is_timeout() {
                true => io::ErrorKind::TimedOut.into(),
                // The thread has ended, because what it wrote was not wanted.
                false => io::ErrorKind::BrokenPipe.into(),
            })
        }
    }

    /// Ends when the other side goes, or the process, which the other side ends.
    fn talk(
        mut input: ChildStdin,
        mut output: ChildStdout,
        jobs: &Receiver<Job>,
        found: &Sender<io::Result<Vec<u8>>>,
    ) {
        let (mut read, mut searched) = (Vec::new(), 0);
        for job in jobs {
            match job {
                Job::Write(line) => {
                    if input.write_all(&line).and_then(|()| input.flush()).is_err() {
                        return;
                    }
                }
                Job::Read => {
                    let line = next_line(&mut output, &mut read, &mut searched);
                    if found.send(line).is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn next_line(
        output: &mut ChildStdout,
        read: &mut Vec<u8>,
        searched: &mut usize,
    ) -> io::Result<Vec<u8>> {
        let mut piece = [0; 8192];
        loop {
            if let Some(line) = take_line(read, searched)? {
                return Ok(line);
            }
            match output.read(&mut piece)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => read.extend(&piece[..count]),
            }
        }
    }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// The conversation of either kind of lines with a process.
    trait Talk: Sized {
        fn start(command: &mut Command) -> io::Result<(Self, Child)>;
        fn send(&mut self, line: &str) -> io::Result<()>;
        fn receive(&mut self, milliseconds: u64) -> io::Result<String>;
    }

    macro_rules! talk {
        ($lines:ty) => {
            impl Talk for $lines {
                fn start(command: &mut Command) -> io::Result<(Self, Child)> {
                    Self::start(command)
                }
                fn send(&mut self, line: &str) -> io::Result<()> {
                    let deadline = Instant::now() + Duration::from_secs(20);
                    self.send(line.as_bytes(), deadline)
                }
                fn receive(&mut self, milliseconds: u64) -> io::Result<String> {
                    let deadline = Instant::now() + Duration::from_millis(milliseconds);
                    let line = self.receive(deadline)?;
                    Ok(String::from_utf8(line).unwrap())
                }
            }
        };
    }
    talk!(socket::Lines);
    talk!(threads::Lines);

    fn shell<T: Talk>(script: &str) -> (T, Child) {
        T::start(Command::new("sh").args(["-c", script])).unwrap()
    }

    fn conversation<T: Talk>() {
        let (mut lines, mut child) = shell::<T>("while read -r x; do echo \"<$x>\"; done");
        for word in ["one", "two", "three"] {
            lines.send(&format!("{word}\n")).unwrap();
            assert_eq!(lines.receive(20_000).unwrap(), format!("<{word}>"));
        }
        assert_eq!(
            lines.receive(20).unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        // It ends by itself when its input does.
        child.kill().unwrap();
        drop(lines);
        child.wait().unwrap();
    }

    fn several_lines_in_one_piece<T: Talk>() {
        let (mut lines, mut child) = shell::<T>("printf 'a\\r\\n\\nb\\nrest'");
        for expected in ["a", "", "b"] {
            assert_eq!(lines.receive(20_000).unwrap(), expected);
        }
        assert_eq!(
            lines.receive(20_000).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
        child.wait().unwrap();
    }

    fn a_line_without_end<T: Talk>() {
        let (mut lines, mut child) = shell::<T>("exec cat /dev/zero");
        let error = lines.receive(60_000).unwrap_err();
        assert!(error.to_string().contains("16 MiB"), "{error}");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn both_kinds_of_lines() {
        conversation::<socket::Lines>();
        conversation::<threads::Lines>();
        several_lines_in_one_piece::<socket::Lines>();
        several_lines_in_one_piece::<threads::Lines>();
        a_line_without_end::<socket::Lines>();
        a_line_without_end::<threads::Lines>();
    }

    /// Whether there is a process with this id.
    fn exists(id: &str) -> bool {
        let check = format!("kill -0 {id} && ! grep -q '^State:.Z' /proc/{id}/status");
        let checked = Command::new("sh").args(["-c", &check]).output();
        checked.unwrap().status.success()
    }

    #[test]
    fn no_descendant_outlives_the_owner() {
        // What ends by itself, what does not end, and what is too slow: each leaves a process behind.
        for (script, is_killed) in [
            ("sleep 1000 & echo $!; read -r x", false),
            ("sleep 1000 & echo $!; exit 3", false),
            (
                "trap '' TERM; sleep 1000 & echo $!; while :; do sleep 1; done",
                false,
            ),
            ("sleep 1000 & echo $!; sleep 1000", true),
        ] {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            let mut process = Process::start(command).unwrap();
            let id = process.receive(Instant::now() + Duration::from_secs(20));
            let id = String::from_utf8(id.unwrap()).unwrap();
            assert!(exists(&id), "{script}");
            if is_killed {
                process.kill();
            }
            drop(process);
            let end = Instant::now() + Duration::from_secs(20);
            while exists(&id) {
                assert!(Instant::now() < end, "{script}: {id} still runs");
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }

    #[test]
    fn no_process_outlives_its_owner() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; while :; do sleep 1; done"]);
        let process = Process::start(command).unwrap();
        let id = process.child.id();
        drop(process);
        let ask = format!("kill -0 {id}");
        let checked = Command::new("sh").args(["-c", &ask]).output().unwrap();
        assert!(!checked.status.success(), "process {id} is still there");
    }
}
