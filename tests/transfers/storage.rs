//! A storage of a test's own, over real sockets, that responds as the test likes.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use ftrack_api::transport::{Request, Response, Transport};

/// Writes the response to a request for a range: from this byte to that one.
type Respond = Arc<dyn Fn(&mut Client, u64, u64) -> io::Result<()> + Send + Sync>;

/// A connection; it counts what is sent.
pub(crate) struct Client {
    stream: TcpStream,
    sent: Arc<AtomicU64>,
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.write(bytes)?;
        self.sent.fetch_add(count as u64, Ordering::SeqCst);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Clones are the same storage.
#[derive(Clone)]
pub(crate) struct Storage {
    address: String,
    respond: Arc<Mutex<Respond>>,
    sent: Arc<AtomicU64>,
    connections: Arc<AtomicUsize>,
}

impl Storage {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let storage = Self {
            address: listener.local_addr().unwrap().to_string(),
            respond: Arc::new(Mutex::new(Arc::new(|_, _, _| Ok(())))),
            sent: Arc::default(),
            connections: Arc::default(),
        };
        let ours = storage.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                ours.connections.fetch_add(1, Ordering::SeqCst);
                let ours = ours.clone();
                // It ends with the connection.
                thread::spawn(move || ours.serve(stream));
            }
        });
        storage
    }

    fn serve(&self, stream: TcpStream) {
        let sent = self.sent.clone();
        let mut client = Client { stream, sent };
        while let Some(head) = read_head(&mut client.stream) {
            let (_, range) = head.split_once("range: bytes=").unwrap();
            let (first, rest) = range.split_once('-').unwrap();
            let last = rest.split("\r\n").next().unwrap();
            let (first, last) = (first.parse().unwrap(), last.parse().unwrap());
            let respond = self.respond.lock().unwrap().clone();
            if respond(&mut client, first, last).is_err() {
                return;
            }
        }
    }

    pub(crate) fn set(
        &self,
        respond: impl Fn(&mut Client, u64, u64) -> io::Result<()> + Send + Sync + 'static,
    ) {
        *self.respond.lock().unwrap() = Arc::new(respond);
        self.sent.store(0, Ordering::SeqCst);
    }

    /// Has these bytes, and says so with these lines as well.
    pub(crate) fn hold(&self, bytes: Vec<u8>, headers: &str) {
        let headers = headers.to_owned();
        self.set(move |client, first, last| send_range(client, &headers, &bytes, first, last));
    }

    /// The bytes that were sent since the last change.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }

    /// The connections that were opened.
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// A transport that gets the data of components from here.
    pub(crate) fn transport(&self) -> impl FnOnce(Box<dyn Transport>) -> Redirected + use<> {
        let address = self.address.clone();
        move |inner| Redirected { inner, address }
    }
}

fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).unwrap().to_lowercase())
}

pub(crate) fn send_range(
    client: &mut impl Write,
    headers: &str,
    bytes: &[u8],
    first: u64,
    last: u64,
) -> io::Result<()> {
    let size = bytes.len() as u64;
    if first >= size {
        let head = "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n";
        return client.write_all(head.as_bytes());
    }
    let last = last.min(size - 1);
    let length = last - first + 1;
    write!(
        client,
        "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {first}-{last}/{size}\r\n\
         Content-Length: {length}\r\n{headers}\r\n"
    )?;
    client.write_all(&bytes[first as usize..=last as usize])
}

pub(crate) struct Redirected {
    inner: Box<dyn Transport>,
    address: String,
}

impl Transport for Redirected {
    fn send(&self, request: &Request<'_>) -> ftrack_api::Result<Response> {
        if request.url.path() != "/component/get" {
            return self.inner.send(request);
        }
        let mut url = request.url.clone();
        let (host, port) = self.address.split_once(':').unwrap();
        url.set_host(Some(host)).unwrap();
        url.set_port(Some(port.parse().unwrap())).unwrap();
        let request = Request::new(
            request.method,
            &url,
            request.headers,
            request.body,
            request.timeout,
        );
        self.inner.send(&request)
    }
}
