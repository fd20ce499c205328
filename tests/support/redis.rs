//! A Redis or Valkey server of a test's own.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ftrack_api::cache::RedisCache;

/// A Redis or Valkey server; ends when it is dropped.
pub(crate) struct Server {
    child: Child,
    port: u16,
    /// Where it runs; removed when it is gone.
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        Self::start_at(free.unwrap().port())
    }

    pub(crate) fn start_at(port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let start = |program: &str| {
            Command::new(program)
                .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
                .args(["--save", "", "--appendonly", "no"])
                .arg("--dir")
                .arg(folder.path())
                .stdout(Stdio::null())
                .spawn()
        };
        let child = start("valkey-server").or_else(|_| start("redis-server"));
        let child =
            child.expect("valkey-server or redis-server is needed: apt install redis-server");
        let started = Instant::now();
        while !answers(port) {
            assert!(
                started.elapsed() < Duration::from_secs(20),
                "it does not start"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        Self {
            child,
            port,
            _folder: folder,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn cache(&self) -> RedisCache {
        RedisCache::new(self.url()).unwrap()
    }

    /// The cache of a new user with these rights.
    pub(crate) fn cache_for(&self, rights: &str) -> RedisCache {
        self.command(&format!("ACL SETUSER artist reset on >s3cret {rights}"));
        RedisCache::new(format!("redis://artist:s3cret@127.0.0.1:{}/", self.port)).unwrap()
    }

    /// Sends a command as a line, and answers with what begins the answer.
    pub(crate) fn command(&self, line: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
        let mut answer = [0; 200];
        let count = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..count]).into_owned()
    }

    /// Ends at once, without a word to anybody, and says where it was.
    pub(crate) fn kill(mut self) -> u16 {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut answer = [0; 5];
    let asked = stream.write_all(b"PING\r\n");
    asked.and_then(|()| stream.read_exact(&mut answer)).is_ok() && &answer == b"+PONG"
}
