//! Requests that are held back, so that a transfer is under way for as long as a test needs it.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use ftrack_api::location::TransferOptions;
use ftrack_api::transport::{Request, Response, Transport};

type Holds = Arc<dyn Fn(&Request<'_>) -> bool + Send + Sync>;

/// Holds requests back, until it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<Option<(Holds, Duration)>>>);

impl Gate {
    /// Requests that `holds` chooses wait until it is opened. With one connection they wait a moment only: the
    /// caller's thread waits itself, and afterwards its progress is due.
    pub(crate) fn close(
        &self,
        connections: usize,
        holds: impl Fn(&Request<'_>) -> bool + Send + Sync + 'static,
    ) {
        let limit = match connections {
            1 => Duration::from_millis(200),
            _ => Duration::from_secs(120),
        };
        *self.0.lock().unwrap() = Some((Arc::new(holds), limit));
    }

    /// All uploads wait but the first few.
    pub(crate) fn close_after(&self, uploads: usize, connections: usize) {
        let seen = AtomicUsize::new(0);
        self.close(connections, move |request| {
            request.method == "PUT" && seen.fetch_add(1, Ordering::SeqCst) >= uploads
        });
    }

    pub(crate) fn open(&self) {
        *self.0.lock().unwrap() = None;
    }

    pub(crate) fn transport(&self) -> impl FnOnce(Box<dyn Transport>) -> Gated + use<> {
        let gate = self.clone();
        move |inner| Gated(inner, gate)
    }
}

pub(crate) struct Gated(Box<dyn Transport>, Gate);

impl Transport for Gated {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        let gate = &self.1.0;
        let closed = gate.lock().unwrap().clone();
        if let Some((_, limit)) = closed.filter(|(holds, _)| holds(request)) {
            let since = Instant::now();
            while gate.lock().unwrap().is_some() && since.elapsed() < limit {
                thread::sleep(Duration::from_millis(5));
            }
        }
        self.0.send(request)
    }

    fn close(&self) {
        self.0.close();
    }
}

/// Options of a transfer that is cancelled once it has sent most of eight parts; the others wait until then.
pub(crate) fn cancelled(gate: &Gate, connections: usize) -> TransferOptions {
    gate.close_after(8, connections);
    let opened = gate.clone();
    let options = TransferOptions::new().connections(connections);
    options.on_progress(move |progress| {
        if progress.bytes() > 50 << 20 {
            progress.cancel();
            opened.open();
        }
    })
}
