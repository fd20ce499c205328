//! A TCP proxy that breaks connections on demand: late, cut, half-closed, stalled, reset, corrupt.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// The rest comes so much later.
    Delay(Duration),
    /// Both sides see the connection end.
    Cut,
    /// Nothing more goes this way, and the receiver sees the end.
    HalfClose,
    /// Nothing more goes this way, and neither side notices.
    Stall,
    /// Both sides see the connection break.
    Reset,
    /// One bit of the next byte is another.
    Corrupt,
}

/// What goes wrong once `after` more bytes have gone one way, on whatever connection they went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Break {
    pub(crate) way: Way,
    pub(crate) after: usize,
    pub(crate) harm: Harm,
}

impl Break {
    pub(crate) fn new(way: Way, after: usize, harm: Harm) -> Self {
        Self { way, after, harm }
    }
}

/// A port that passes everything on to a server, except for what it is set to break.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    target: SocketAddr,
    /// Each counts its bytes only once those before it have happened.
    breaks: Mutex<VecDeque<Break>>,
    pairs: Mutex<Vec<Weak<Pair>>>,
    is_listening: AtomicBool,
    accepted: AtomicUsize,
    to_server: AtomicUsize,
    to_client: AtomicUsize,
}

struct Pair {
    client: TcpStream,
    server: TcpStream,
    is_reset: AtomicBool,
}

impl Proxy {
    /// In front of `url`, which names its port; the path does not matter.
    pub(crate) fn before(url: &str) -> Self {
        let url = url
            .trim_start_matches("http://")
            .trim_start_matches("https://");
        let host = url.split('/').next().unwrap();
        Self::to(host.parse().unwrap())
    }

    pub(crate) fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            shared: Arc::new(Shared {
                target,
                breaks: Mutex::default(),
                pairs: Mutex::default(),
                is_listening: AtomicBool::new(false),
                accepted: AtomicUsize::new(0),
                to_server: AtomicUsize::new(0),
                to_client: AtomicUsize::new(0),
            }),
            acceptor: Mutex::new(None),
        };
        proxy.accept(listener);
        proxy
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Adds what goes wrong next, after what was added before.
    pub(crate) fn push(&self, one: Break) -> &Self {
        self.shared.breaks.lock().unwrap().push_back(one);
        self
    }

    /// Forgets what has not gone wrong yet, and says what that was.
    pub(crate) fn clear(&self) -> Vec<Break> {
        self.shared.breaks.lock().unwrap().drain(..).collect()
    }

    /// Ends all connections and refuses new ones.
    pub(crate) fn stop(&self) {
        self.shared.is_listening.store(false, Ordering::SeqCst);
        // Wakes the acceptor, which closes the port.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.lock().unwrap().take() {
            acceptor.join().unwrap();
        }
        self.hang_up();
    }

    /// Accepts connections again, on the same port, if it was stopped.
    pub(crate) fn restart(&self) {
        if !self.shared.is_listening.load(Ordering::SeqCst) {
            self.accept(super::listen_again(self.address));
        }
    }

    /// Ends all connections.
    pub(crate) fn hang_up(&self) {
        for pair in self.shared.pairs.lock().unwrap().drain(..) {
            if let Some(pair) = pair.upgrade() {
                pair.end();
            }
        }
    }

    /// How many connections were accepted so far.
    pub(crate) fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many bytes went one way so far.
    pub(crate) fn passed(&self, way: Way) -> usize {
        self.shared.counter(way).load(Ordering::SeqCst)
    }

    fn accept(&self, listener: TcpListener) {
        let shared = Arc::clone(&self.shared);
        shared.is_listening.store(true, Ordering::SeqCst);
        let acceptor = thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if !shared.is_listening.load(Ordering::SeqCst) {
                    return;
                }
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                shared.connect(client);
            }
        });
        *self.acceptor.lock().unwrap() = Some(acceptor);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream) {
        let Ok(server) = TcpStream::connect(self.target) else {
            return;
        };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        let pair = Arc::new(Pair {
            client,
            server,
            is_reset: AtomicBool::new(false),
        });
        let mut pairs = self.pairs.lock().unwrap();
        pairs.retain(|pair| pair.strong_count() > 0);
        pairs.push(Arc::downgrade(&pair));
        for way in [Way::ToServer, Way::ToClient] {
            let (shared, pair) = (Arc::clone(self), Arc::clone(&pair));
            thread::spawn(move || shared.pump(&pair, way));
        }
    }

    /// Carries bytes one way until the connection ends.
    fn pump(&self, pair: &Pair, way: Way) {
        let (from, to) = pair.ends(way);
        let mut buffer = [0; 16 * 1024];
        while let Some(count) = read(from, &mut buffer) {
            if !self.pass(pair, way, &mut buffer[..count]) {
                return;
            }
        }
        if !pair.is_reset.load(Ordering::SeqCst) {
            let _ = to.shutdown(Shutdown::Write);
        }
    }

    /// Passes bytes on, with whatever is due to happen to them. False if none may follow.
    fn pass(&self, pair: &Pair, way: Way, mut bytes: &mut [u8]) -> bool {
        let (from, mut to) = pair.ends(way);
        while let Some((at, harm)) = self.due(way, bytes.len()) {
            let (before, rest) = bytes.split_at_mut(at);
            if !self.write(way, to, before) {
                return false;
            }
            bytes = rest;
            match harm {
                Harm::Delay(time) => thread::sleep(time),
                Harm::Corrupt => bytes[0] ^= 1,
                Harm::Cut => pair.end(),
                Harm::Reset => pair.reset(),
                Harm::Stall | Harm::HalfClose => {
                    if harm == Harm::HalfClose {
                        let _ = to.flush();
                        let _ = to.shutdown(Shutdown::Write);
                    }
                    // What still comes is swallowed, until the sender gives up.
                    let mut buffer = [0; 4096];
                    while read(from, &mut buffer).is_some() {}
                    pair.end();
                }
            }
            if !matches!(harm, Harm::Delay(_) | Harm::Corrupt) {
                return false;
            }
        }
        self.write(way, to, bytes)
    }

    fn write(&self, way: Way, mut to: &TcpStream, bytes: &[u8]) -> bool {
        self.counter(way).fetch_add(bytes.len(), Ordering::SeqCst);
        to.write_all(bytes).is_ok()
    }

    fn counter(&self, way: Way) -> &AtomicUsize {
        match way {
            Way::ToServer => &self.to_server,
            Way::ToClient => &self.to_client,
        }
    }

    /// What happens within the next `length` bytes, and before which of them.
    fn due(&self, way: Way, length: usize) -> Option<(usize, Harm)> {
        let mut breaks = self.breaks.lock().unwrap();
        let next = breaks.front_mut().filter(|next| next.way == way)?;
        if next.after >= length {
            next.after -= length;
            return None;
        }
        let found = (next.after, next.harm);
        breaks.pop_front();
        Some(found)
    }
}

impl Pair {
    fn ends(&self, way: Way) -> (&TcpStream, &TcpStream) {
        match way {
            Way::ToServer => (&self.client, &self.server),
            Way::ToClient => (&self.server, &self.client),
        }
    }

    fn end(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    /// Both sockets close with a reset as soon as both threads have let go of them.
    fn reset(&self) {
        self.is_reset.store(true, Ordering::SeqCst);
        for socket in [&self.client, &self.server] {
            let _ = socket2::SockRef::from(socket).set_linger(Some(Duration::ZERO));
            // Ends a `read` in the other thread, and tells the peer nothing.
            let _ = socket.shutdown(Shutdown::Read);
        }
    }
}

fn read(mut from: &TcpStream, buffer: &mut [u8]) -> Option<usize> {
    from.read(buffer).ok().filter(|count| *count > 0)
}
