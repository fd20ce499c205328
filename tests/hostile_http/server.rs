//! A server that passes requests on to the emulator, and responds as it likes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;

/// What the server makes of the emulator's body. It writes the whole response.
pub(crate) type Respond = fn(&mut TcpStream, body: &[u8]) -> std::io::Result<()>;

pub(crate) struct Hostile {
    pub(crate) url: String,
    respond: Arc<Mutex<Chosen>>,
}

/// How to respond, if not honestly, and whether the request is passed on before.
type Chosen = Option<(Respond, bool)>;

impl Hostile {
    /// Honest until a mode is set.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let respond: Arc<Mutex<Chosen>> = Arc::default();
        let chosen = Arc::clone(&respond);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let chosen = Arc::clone(&chosen);
                thread::spawn(move || serve(client, server, &chosen));
            }
        });
        Self { url, respond }
    }

    pub(crate) fn set(&self, respond: Chosen) {
        *self.respond.lock().unwrap() = respond;
    }
}

/// One request on each connection.
fn serve(mut client: TcpStream, server: SocketAddr, respond: &Mutex<Chosen>) {
    let Some((head, body)) = read_message(&mut client) else {
        return;
    };
    let respond = *respond.lock().unwrap();
    let from_server = match respond {
        Some((_, false)) => Vec::new(),
        _ => ask(server, &head, &body).unwrap_or_default(),
    };
    let outcome = match respond {
        Some((respond, _)) => respond(&mut client, &from_server),
        None => write!(
            client,
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            from_server.len()
        )
        .and_then(|()| client.write_all(&from_server)),
    };
    // The client may have hung up.
    drop(outcome);
    let _ = client.shutdown(std::net::Shutdown::Write);
    client
        .set_read_timeout(Some(Duration::from_secs(5)))
        .unwrap();
    let _ = client.read_to_end(&mut Vec::new());
}

/// The emulator's body for a request.
fn ask(server: SocketAddr, head: &str, body: &[u8]) -> Option<Vec<u8>> {
    let lines = head.split("\r\n").filter(|line| {
        let line = line.to_lowercase();
        !line.starts_with("connection:") && !line.starts_with("accept-encoding:")
    });
    let head = lines.collect::<Vec<_>>().join("\r\n");
    let mut stream = TcpStream::connect(server).ok()?;
    write!(stream, "{}\r\nConnection: close\r\n\r\n", head.trim_end()).ok()?;
    stream.write_all(body).ok()?;
    let (_, body) = read_message(&mut stream)?;
    Some(body)
}

/// Head and body of a request, or of a response with a length.
fn read_message(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 8192];
    let end = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse().ok())?
    });
    let mut body = bytes.split_off(end);
    while body.len() < length.unwrap_or(0) {
        match stream.read(&mut piece).ok()? {
            0 => return None,
            count => body.extend_from_slice(&piece[..count]),
        }
    }
    Some((head, body))
}

pub(crate) fn ok(client: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    send(client, "200 OK", "", body)
}

pub(crate) fn send(
    client: &mut TcpStream,
    status: &str,
    headers: &str,
    body: &[u8],
) -> std::io::Result<()> {
    let length = body.len();
    write!(
        client,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    )?;
    client.write_all(body)
}

pub(crate) fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}
