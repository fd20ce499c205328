//! What stands between a client and its server: TLS, and a proxy.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tempfile::NamedTempFile;

/// A port that ends TLS and passes the content on; its address and a file with its certificate.
pub(crate) fn tls(target: SocketAddr) -> (SocketAddr, NamedTempFile) {
    tls_as(target, &["localhost", "127.0.0.1"])
}

/// The same with a certificate for these names. The file holds the authority that signed it.
pub(crate) fn tls_as(target: SocketAddr, names: &[&str]) -> (SocketAddr, NamedTempFile) {
    let (authority, certificate, key) = certificates(names);
    let mut file = NamedTempFile::new().unwrap();
    let text = BASE64_STANDARD.encode(&authority);
    writeln!(
        file,
        "-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----"
    )
    .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let config = Arc::new(config);
    let address = serve(move |stream| {
        let server = ServerConnection::new(Arc::clone(&config)).unwrap();
        let out = TcpStream::connect(target).unwrap();
        let sockets = [stream.try_clone().unwrap(), out.try_clone().unwrap()];
        relay(StreamOwned::new(server, stream), out, &sockets);
    });
    (address, file)
}

/// An authority of a studio's own, a certificate that it signed, and the key to that.
fn certificates(
    names: &[&str],
) -> (
    CertificateDer<'static>,
    CertificateDer<'static>,
    PrivateKeyDer<'static>,
) {
    let mut params = CertificateParams::new([]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let name = "Test Studio Authority";
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::new(params, key);
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (authority, certificate, key)
}

/// An HTTP proxy for `CONNECT`, which wants `me` and `pass`; its address and what it was asked.
pub(crate) fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let address = serve(move |mut stream| {
        let Some(head) = read_head(&mut stream) else {
            return;
        };
        log.lock().unwrap().push(head.clone());
        if !head.contains("Proxy-Authorization: Basic bWU6cGFzcw==\r\n") {
            let _ = stream.write_all(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n");
            return;
        }
        let target = head.split(' ').nth(1).unwrap();
        let out = TcpStream::connect(target).unwrap();
        let _ = stream.write_all(b"HTTP/1.1 200 Connected\r\n\r\n");
        let sockets = [stream.try_clone().unwrap(), out.try_clone().unwrap()];
        relay(stream, out, &sockets);
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

/// Passes bytes both ways, turn by turn, until one side ends.
fn relay(mut one: impl Read + Write, mut other: impl Read + Write, sockets: &[TcpStream; 2]) {
    for socket in sockets {
        socket.set_nodelay(true).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(1)))
            .unwrap();
    }
    while pass(&mut one, &mut other) && pass(&mut other, &mut one) {}
}

fn pass(from: &mut impl Read, to: &mut impl Write) -> bool {
    let mut buffer = [0; 65_536];
    match from.read(&mut buffer) {
        Ok(0) => false,
        Ok(length) => to.write_all(&buffer[..length]).is_ok(),
        Err(error) => matches!(
            error.kind(),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
        ),
    }
}
