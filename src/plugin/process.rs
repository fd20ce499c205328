//! A process that is talked to in lines, with a time limit for each exchange.
//!
//! On Unix its standard input and output are one socket, which knows time limits: no thread is
//! needed. Elsewhere a pipe has none, so a thread called `ftrack-plugin` reads and writes for as
//! long as the process runs; it is the only one beside the event hub's.

use std::io;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

#[cfg(unix)]
use socket::Lines;
#[cfg(not(unix))]
use threads::Lines;

/// The longest line that is sent or read.
pub(super) const LONGEST: usize = 16 * 1024 * 1024;

/// How long a process has to end by itself once its input has ended.
const PATIENCE: Duration = Duration::from_millis(300);

/// Ends the process when it is dropped.
pub(super) struct Process {
    /// `None` while it is dropped: its input ends before it is waited for.
    lines: Option<Lines>,
    child: Child,
}

impl Process {
    pub(super) fn start(mut command: Command) -> io::Result<Self> {
        let (lines, child) = Lines::start(&mut command)?;
        let lines = Some(lines);
        Ok(Self { lines, child })
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

    /// How it ended, if it ends soon.
    pub(super) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => {
                    // The standard library waits for a child for ever or not at all, and a pidfd
                    // or a handler of SIGCHLD would not work elsewhere or be the program's own.
                    std::thread::sleep(Duration::from_millis(2));
                }
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.lines = None;
        if self.ended().is_none() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// How much is left until `deadline`.
fn left(deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

fn too_long() -> io::Error {
    let megabytes = LONGEST >> 20;
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a line of more than {megabytes} MiB"),
    )
}

/// A whole line at the front of what was read, taken out.
fn take_line(read: &mut Vec<u8>, searched: &mut usize) -> io::Result<Option<Vec<u8>>> {
    let end = memchr::memchr(b'\n', &read[*searched..]).map(|end| *searched + end);
    *searched = read.len();
    let Some(end) = end else {
        return if read.len() > LONGEST {
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
            // The command keeps its ends open; the process's must be the only ones.
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

    /// macOS refuses time limits for a socket whose other end is closed, which nobody waits for: what
    /// it sent before can be read.
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

    /// The loop looks at the time itself.
    fn passes(error: &io::Error) -> bool {
        matches!(
            error.kind(),
            io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        )
    }
}

/// Compiled for tests everywhere, so that it is tried where there is no Windows.
#[cfg(any(not(unix), test))]
mod threads {
    use std::io::{self, Read, Write};
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
    use std::thread;
    use std::time::Instant;

    use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

    use super::{left, take_line};

    /// What the thread is asked to do.
    enum Wish {
        Write(Vec<u8>),
        Read,
    }

    /// The channels to the thread that reads and writes.
    pub(super) struct Lines {
        wishes: Sender<Wish>,
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
            let (wishes, wished) = bounded(1);
            let (found, lines) = bounded(1);
            let named = thread::Builder::new().name("ftrack-plugin".into());
            named.spawn(move || talk(input, output, &wished, &found))?;
            Ok((Self { wishes, lines }, child))
        }

        pub(super) fn send(&mut self, line: &[u8], deadline: Instant) -> io::Result<()> {
            self.wish(Wish::Write(line.to_vec()), deadline)
        }

        pub(super) fn receive(&mut self, deadline: Instant) -> io::Result<Vec<u8>> {
            self.wish(Wish::Read, deadline)?;
            match self.lines.recv_deadline(deadline) {
                Ok(line) => line,
                Err(RecvTimeoutError::Timeout) => Err(io::ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }

        fn wish(&self, wish: Wish, deadline: Instant) -> io::Result<()> {
            let sent = self.wishes.send_timeout(wish, left(deadline)?);
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
        wished: &Receiver<Wish>,
        found: &Sender<io::Result<Vec<u8>>>,
    ) {
        let (mut read, mut searched) = (Vec::new(), 0);
        for wish in wished {
            match wish {
                Wish::Write(line) => {
                    if input.write_all(&line).and_then(|()| input.flush()).is_err() {
                        return;
                    }
                }
                Wish::Read => {
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

    #[test]
    fn no_process_outlives_its_owner() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; while :; do sleep 1; done"]);
        let process = Process::start(command).unwrap();
        let id = process.child.id();
        drop(process);
        let ask = format!("kill -0 {id}");
        let answer = Command::new("sh").args(["-c", &ask]).output().unwrap();
        assert!(!answer.status.success(), "process {id} is still there");
    }
}
