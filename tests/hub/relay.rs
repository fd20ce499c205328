//! What stands between a client and its server: TLS, and proxies.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ConfigBuilder, RootCertStore, ServerConfig, ServerConnection, StreamOwned, WantsVerifier,
};
use tempfile::NamedTempFile;

use crate::support::secret;

/// A port that ends TLS and passes the content on; its address and a file with its certificate.
pub(crate) fn tls(target: SocketAddr) -> (SocketAddr, NamedTempFile) {
    tls_as(target, &["localhost", "127.0.0.1"])
}

/// The same with a certificate for these names. The file holds the authority that signed it.
pub(crate) fn tls_as(target: SocketAddr, names: &[&str]) -> (SocketAddr, NamedTempFile) {
    let authority = Authority::new();
    let config = server_config().with_no_client_auth();
    let (certificate, key) = authority.sign(names, ExtendedKeyUsagePurpose::ServerAuth);
    let config = config.with_single_cert(vec![certificate], key).unwrap();
    (end_tls(target, config, false), authority.file())
}

/// The same, which says before it closes a connection that it does so if `announced`.
pub(crate) fn tls_ending(target: SocketAddr, announced: bool) -> (SocketAddr, NamedTempFile) {
    let authority = Authority::new();
    let names = ["localhost", "127.0.0.1"];
    let (certificate, key) = authority.sign(&names, ExtendedKeyUsagePurpose::ServerAuth);
    let config = server_config().with_no_client_auth();
    let config = config.with_single_cert(vec![certificate], key).unwrap();
    (end_tls(target, config, announced), authority.file())
}

/// The same, for clients with a certificate of the studio's only; the last file holds one, and
/// its private key.
pub(crate) fn mutual_tls(target: SocketAddr) -> (SocketAddr, NamedTempFile, NamedTempFile) {
    let authority = Authority::new();
    let mut trusted = RootCertStore::empty();
    trusted.add(authority.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(trusted), provider);
    let config = server_config().with_client_cert_verifier(verifier.build().unwrap());
    let names = ["localhost", "127.0.0.1"];
    let (certificate, key) = authority.sign(&names, ExtendedKeyUsagePurpose::ServerAuth);
    let config = config.with_single_cert(vec![certificate], key).unwrap();
    let (certificate, key) = authority.sign(&["artist"], ExtendedKeyUsagePurpose::ClientAuth);
    let client = NamedTempFile::new().unwrap();
    let text = pem("CERTIFICATE", &certificate) + &pem("PRIVATE KEY", key.secret_der());
    fs::write(client.path(), text).unwrap();
    (end_tls(target, config, false), authority.file(), client)
}

fn server_config() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider);
    builder.with_safe_default_protocol_versions().unwrap()
}

fn end_tls(target: SocketAddr, config: ServerConfig, announced: bool) -> SocketAddr {
    let config = Arc::new(config);
    serve(move |stream| {
        let server = ServerConnection::new(Arc::clone(&config)).unwrap();
        let out = TcpStream::connect(target).unwrap();
        let sockets = [stream.try_clone().unwrap(), out.try_clone().unwrap()];
        let mut inside = StreamOwned::new(server, stream);
        take_turns(&mut inside, out, &sockets);
        if announced {
            inside.conn.send_close_notify();
            let _ = inside.flush();
        }
    })
}

/// An authority of a studio's own.
struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = "Test Studio Authority";
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().der().clone();
        let issuer = Issuer::new(params, key);
        Self {
            certificate,
            issuer,
        }
    }

    /// A certificate for these names, and the key to it.
    fn sign(
        &self,
        names: &[&str],
        usage: ExtendedKeyUsagePurpose,
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        (certificate, key)
    }

    fn file(&self) -> NamedTempFile {
        let file = NamedTempFile::new().unwrap();
        fs::write(file.path(), pem("CERTIFICATE", &self.certificate)).unwrap();
        file
    }
}

fn pem(what: &str, bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    format!("-----BEGIN {what}-----\n{text}\n-----END {what}-----\n")
}

/// A SOCKS 5 proxy, which wants `me` and `pass` if `login`, and knows where `studio.example` is;
/// its address and what it was asked for.
pub(crate) fn socks(login: bool, studio: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let address = serve(move |mut stream| {
        let Some((host, port)) = greet(&mut stream, login) else {
            return;
        };
        log.lock().unwrap().push(format!("{host}:{port}"));
        let out = match host.as_str() {
            "studio.example" => TcpStream::connect(studio),
            other => TcpStream::connect((other, port)),
        };
        let Ok(out) = out else {
            let _ = stream.write_all(&[5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
            return;
        };
        // The address in its reply is a name.
        let _ = stream.write_all(b"\x05\x00\x00\x03\x04here\x00\x07");
        tunnel(&stream, &out);
    });
    (address, asked)
}

/// The target of the request, once the client has identified itself.
fn greet(stream: &mut TcpStream, login: bool) -> Option<(String, u16)> {
    let methods = take(stream, 2).filter(|head| head[0] == 5)?[1];
    let wanted = if login { 2 } else { 0 };
    if !take(stream, methods.into())?.contains(&wanted) {
        let _ = stream.write_all(&[5, 0xff]);
        return None;
    }
    stream.write_all(&[5, wanted]).ok()?;
    if login {
        let user_length = take(stream, 2)?[1];
        let user = take(stream, user_length.into())?;
        let length = take(stream, 1)?[0];
        let password = take(stream, length.into())?;
        let is_known = [&*user, b":", &*password].concat() == secret(CREDENTIALS).as_bytes();
        stream.write_all(&[1, u8::from(!is_known)]).ok()?;
        if !is_known {
            return None;
        }
    }
    let kind = take(stream, 4)?[3];
    let host = match kind {
        1 => {
            let ip: [u8; 4] = take(stream, 4)?.try_into().ok()?;
            std::net::Ipv4Addr::from(ip).to_string()
        }
        _ => {
            let length = take(stream, 1)?[0];
            String::from_utf8(take(stream, length.into())?).ok()?
        }
    };
    let port = take(stream, 2)?;
    Some((host, u16::from_be_bytes([port[0], port[1]])))
}

fn take(stream: &mut TcpStream, count: usize) -> Option<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).ok().map(|()| bytes)
}

/// What the proxy wants to hear, as it stands in its URL.
pub(crate) const CREDENTIALS: &str = "me:pr0xy-pass";

/// An HTTP proxy for `CONNECT`; its address and what it was asked.
pub(crate) fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let basic = BASE64_STANDARD.encode(secret(CREDENTIALS));
    let wanted = format!("Proxy-Authorization: Basic {}\r\n", secret(&basic));
    let address = serve(move |mut stream| {
        let Some(head) = read_head(&mut stream) else {
            return;
        };
        log.lock().unwrap().push(head.clone());
        if !head.contains(&wanted) {
            let _ = stream.write_all(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n");
            return;
        }
        let target = head.split(' ').nth(1).unwrap();
        let out = TcpStream::connect(target).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
        tunnel(&stream, &out);
    });
    (address, asked)
}

/// The head of a request, byte by byte, so that nothing behind it is taken.
pub(crate) fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = String::new();
    let mut reader = BufReader::with_capacity(1, stream);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn serve(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let handle = Arc::new(handle);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let handle = Arc::clone(&handle);
            thread::spawn(move || handle(stream));
        }
    });
    address
}

/// Passes bytes both ways until one side ends.
fn tunnel(one: &TcpStream, other: &TcpStream) {
    thread::scope(|threads| {
        for (mut from, mut to) in [(one, other), (other, one)] {
            let _ = to.set_nodelay(true);
            threads.spawn(move || {
                let _ = io::copy(&mut from, &mut to);
                // The other direction ends with this one.
                let _ = to.shutdown(Shutdown::Both);
                let _ = from.shutdown(Shutdown::Both);
            });
        }
    });
}

/// The same turn by turn: TLS has one state for both ways.
fn take_turns(mut one: impl Read + Write, mut other: impl Read + Write, sockets: &[TcpStream; 2]) {
    for socket in sockets {
        socket.set_nodelay(true).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
    }
    while pass(&mut one, &mut other) && pass(&mut other, &mut one) {}
}

/// Passes on all that comes without a pause. False if nothing more can come.
fn pass(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut buffer = [0; 65_536];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => {
                if to.write_all(&buffer[..length]).is_err() {
                    return false;
                }
            }
            Err(error) => {
                return matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                        | io::ErrorKind::Interrupted
                );
            }
        }
    }
}
