//! A server with the API of S3, of a test's own: moto, from PyPI, behind a check of signatures.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The server with an empty bucket; ends when it is dropped.
pub(crate) struct Moto {
    child: Child,
    port: u16,
}

pub(crate) const BUCKET: &str = "plates";
pub(crate) const ACCESS_KEY: &str = "artist";
pub(crate) const SECRET_KEY: &str = "a-secret-key-of-the-storage";

impl Moto {
    pub(crate) fn start() -> Self {
        // Somebody else may take the port before the server has it, which ends then.
        let started = (0..5).find_map(|_| Self::try_start());
        started.expect("moto does not start: does it work by itself?")
    }

    fn try_start() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let port = free.unwrap().port();
        // The interpreter that has moto is beside its program.
        let python = match std::env::var_os("FTRACK_MOTO_SERVER") {
            Some(program) => PathBuf::from(program).with_file_name("python3"),
            None => PathBuf::from("python3"),
        };
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/support/signed_storage.py"
        );
        let child = Command::new(python)
            .args([script, &port.to_string(), ACCESS_KEY, SECRET_KEY])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a Python with moto is needed: pip install 'moto[server]'");
        let mut moto = Self { child, port };
        let end = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if moto.has_ended() {
                return None;
            }
            assert!(Instant::now() < end, "moto does not start");
            thread::sleep(Duration::from_millis(20));
        }
        let made = ureq::put(moto.address("")).send("");
        (made.is_ok() && !moto.has_ended()).then_some(moto)
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address of an object, which this storage serves without a signature.
    pub(crate) fn address(&self, key: &str) -> String {
        format!("{}/{BUCKET}/{key}", self.url())
    }

    /// The uploads in parts that were begun and not ended.
    pub(crate) fn unfinished(&self) -> usize {
        let mut response = ureq::get(self.address("?uploads")).call().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        text.matches("<UploadId>").count()
    }

    pub(crate) fn objects(&self) -> usize {
        let mut response = ureq::get(self.address("?list-type=2")).call().unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        text.matches("<Key>").count()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
