//! A Redis or Valkey server of a test's own.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ftrack_api::cache::RedisCache;
use tempfile::TempDir;

/// A Redis or Valkey server; ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    port: u16,
    /// Where it runs; removed with the last handle.
    folder: Arc<TempDir>,
    is_durable: &'static str,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::start_somewhere("no")
    }

    pub(crate) fn start_at(port: u16) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::start_in(&folder, || port, "no")
    }

    /// One that finds again what it had when it was killed.
    pub(crate) fn durable() -> Self {
        Self::start_somewhere("yes")
    }

    fn start_somewhere(is_durable: &'static str) -> Self {
        let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let folder = Arc::new(tempfile::tempdir().unwrap());
        Self::start_in(&folder, || free().unwrap().port(), is_durable)
    }

    /// Ends as by `kill -9`, until it is resumed: a durable one with what it had, another with what it had at its last
    /// `SAVE`.
    pub(crate) fn pause(self) -> Paused {
        let (folder, is_durable) = (Arc::clone(&self.folder), self.is_durable);
        let port = self.kill();
        Paused {
            folder,
            port,
            is_durable,
        }
    }

    /// Tries until it listens: somebody else may have taken the port meanwhile.
    fn start_in(folder: &Arc<TempDir>, port: impl Fn() -> u16, is_durable: &'static str) -> Self {
        let end = Instant::now() + Duration::from_secs(120);
        loop {
            let port = port();
            let start = |program: &str| {
                Command::new(program)
                    .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                    .args(["--save", "", "--appendonly", is_durable])
                    // Everything is written before it is replied to, however busy the disk: with `everysec` Redis puts
                    // that off for up to two seconds, and loses it when it is killed.
                    .args(["--appendfsync", "no"])
                    .arg("--dir")
                    .arg(folder.path())
                    .stdout(Stdio::null())
                    .spawn()
            };
            let child = start("valkey-server").or_else(|_| start("redis-server"));
            let child =
                child.expect("valkey-server or redis-server is needed: apt install redis-server");
            let mut server = Self {
                child,
                port,
                folder: Arc::clone(folder),
                is_durable,
            };
            while server.child.try_wait().unwrap().is_none() {
                if server.replies() {
                    return server;
                }
                assert!(Instant::now() < end, "it does not start");
                std::thread::sleep(Duration::from_millis(10));
            }
            assert!(Instant::now() < end, "it ends at once");
            // Whoever has a port that is fixed may leave it.
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether it is this server that listens, not another one at its port, and has read what it had.
    fn replies(&self) -> bool {
        let own = format!("process_id:{}\r", self.child.id());
        let says = |line: &str, part: &str| {
            let reply = self.ask(line, Some(Duration::from_secs(5)));
            reply.is_ok_and(|reply| reply.contains(part))
        };
        // It says who it is while it still refuses all else: `-LOADING`.
        says("INFO server", &own) && says("PING", "+PONG")
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn cache(&self) -> RedisCache {
        RedisCache::new(self.url()).unwrap()
    }

    /// The cache of a new user with these rights.
    pub(crate) fn cache_for(&self, rights: &str) -> RedisCache {
        RedisCache::new(self.url_for(rights)).unwrap()
    }

    /// The URL of a new user with these rights.
    pub(crate) fn url_for(&self, rights: &str) -> String {
        self.command(&format!("ACL SETUSER artist reset on >s3cret {rights}"));
        format!("redis://artist:s3cret@127.0.0.1:{}/", self.port)
    }

    /// Sends a command as a line, and returns the beginning of the reply.
    pub(crate) fn command(&self, line: &str) -> String {
        self.ask(line, None).unwrap()
    }

    fn ask(&self, line: &str, patience: Option<Duration>) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(patience)?;
        stream.write_all(format!("{line}\r\n").as_bytes())?;
        let mut reply = [0; 4096];
        let count = stream.read(&mut reply)?;
        Ok(String::from_utf8_lossy(&reply[..count]).into_owned())
    }

    /// Ends at once, without a word to anybody, and says where it was.
    pub(crate) fn kill(mut self) -> u16 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.port
    }
}

/// A server that is away.
pub(crate) struct Paused {
    folder: Arc<TempDir>,
    port: u16,
    is_durable: &'static str,
}

impl Paused {
    pub(crate) fn resume(self) -> Server {
        Server::start_in(&self.folder, || self.port, self.is_durable)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
