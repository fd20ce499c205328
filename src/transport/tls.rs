//! TLS, by one configuration for requests and for the event hub.

use std::fmt;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use rustls_platform_verifier::Verifier;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport,
    TransportAdapter,
};

use crate::config::NetworkConfig;
use crate::error::{Error, ErrorKind, Result};

/// Whom to trust and which certificate to show, worked out when the first connection needs it:
/// that reads the system's certificates.
#[derive(Clone)]
pub(crate) struct Tls(Arc<Inner>);

struct Inner {
    network: NetworkConfig,
    config: OnceLock<Arc<ClientConfig>>,
}

impl Tls {
    pub(crate) fn new(network: &NetworkConfig) -> Self {
        Self(Arc::new(Inner {
            network: network.clone(),
            config: OnceLock::new(),
        }))
    }

    /// The client's side of a connection to `host`, a name or an address without brackets.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Configuration`] for a file that cannot be used, [`ErrorKind::Tls`] for a host
    /// that no certificate can be for.
    pub(crate) fn client(&self, host: &str) -> Result<ClientConnection> {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(bare.to_owned()).map_err(tls_error)?;
        let config = match self.0.config.get() {
            Some(config) => config.clone(),
            None => {
                let built = Arc::new(client_config(&self.0.network)?);
                self.0.config.get_or_init(|| built).clone()
            }
        };
        ClientConnection::new(config, name).map_err(tls_error)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

fn client_config(network: &NetworkConfig) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?;
    let verifier = verifier(network, provider)?;
    // The name warns of verifiers that do not verify; the system's does.
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((chain, key)) = &network.client_cert else {
        return Ok(builder.with_no_client_auth());
    };
    let certificates = certificates(chain, "the client certificate")?;
    let private_key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| unusable(key, "the client certificate's private key", error))?;
    builder
        .with_client_auth_cert(certificates, private_key)
        .map_err(|error| unusable(chain, "the client certificate", error))
}

fn verifier(network: &NetworkConfig, provider: Arc<CryptoProvider>) -> Result<Verifier> {
    let Some(path) = &network.ca_file else {
        return Verifier::new(provider).map_err(tls_error);
    };
    let what = "the file of certificate authorities";
    let roots = certificates(path, what)?;
    Verifier::new_with_extra_roots(roots, provider).map_err(|error| unusable(path, what, error))
}

fn certificates(path: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let found: Vec<_> = found.map_err(|error| unusable(path, what, error))?;
    if found.is_empty() {
        return Err(unusable(path, what, "it holds no certificate in PEM form"));
    }
    Ok(found)
}

fn unusable(path: &Path, what: &str, why: impl fmt::Display) -> Error {
    let path = path.display();
    let message = format!("{what} {path} cannot be used: {why}");
    Error::new(ErrorKind::Configuration, message)
}

fn tls_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Tls, error.to_string()).because(error)
}

/// The failure of TLS behind an I/O error, if that is what it is.
pub(crate) fn tls_failure(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What to do about a failure of TLS; nothing if that is not known.
pub(crate) fn tls_hint(error: &rustls::Error) -> &'static str {
    use rustls::AlertDescription as Alert;
    use rustls::CertificateError as Bad;

    match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => {
            "; nobody that this machine trusts has signed its certificate: give the studio's own \
             authority with `Network::ca_file` or REQUESTS_CA_BUNDLE"
        }
        rustls::Error::InvalidCertificate(
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. },
        ) => "; check this machine's clock, or have the server's certificate renewed",
        rustls::Error::InvalidCertificate(
            Bad::NotValidForName | Bad::NotValidForNameContext { .. },
        ) => "; use the server URL with the name that its certificate is for",
        rustls::Error::AlertReceived(Alert::CertificateRequired | Alert::HandshakeFailure) => {
            "; if the server asks for a client certificate, give it with `Network::client_cert`"
        }
        rustls::Error::AlertReceived(
            Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::DecryptError,
        ) => {
            "; the server does not accept the client certificate, or wants one: give one that its \
             authority has signed with `Network::client_cert`"
        }
        rustls::Error::InvalidMessage(_) => {
            "; what listens there does not speak TLS: check port and scheme of the server URL"
        }
        _ => "",
    }
}

/// Encrypts connections to `https` URLs.
impl<In: Transport> Connector<In> for Tls {
    type Out = Either<In, Encrypted>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        let Some(transport) = chained else {
            return Ok(None);
        };
        if !details.needs_tls() || transport.is_tls() {
            return Ok(Some(Either::A(transport)));
        }
        let host = details.uri.host().unwrap_or_default();
        let mut connection = self
            .client(host)
            .map_err(|error| ureq::Error::Other(Box::new(error)))?;
        let clock = details.current_time.clone();
        let mut socket = TransportAdapter::new(transport.boxed(), clock);
        socket.set_timeout(details.timeout);
        while connection.is_handshaking() {
            connection.complete_io(&mut socket)?;
        }
        let config = details.config;
        Ok(Some(Either::B(Encrypted {
            buffers: LazyBuffers::new(config.input_buffer_size(), config.output_buffer_size()),
            stream: StreamOwned::new(connection, socket),
        })))
    }
}

/// An encrypted connection.
pub(crate) struct Encrypted {
    buffers: LazyBuffers,
    stream: StreamOwned<ClientConnection, TransportAdapter>,
}

impl Transport for Encrypted {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let output = &self.buffers.output()[..amount];
        let sent = self.stream.write_all(output);
        let sent = sent.and_then(|()| self.stream.flush());
        let stream = &mut self.stream;
        Ok(sent.map_err(|error| alert_behind(error, &mut stream.conn, &mut stream.sock))?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.stream.sock.set_timeout(timeout);
        let count = self.stream.read(self.buffers.input_append_buf());
        let count = count.map_err(no_end)?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.sock.get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

/// Why the other side hung up, where it said so before: a server that refuses a client certificate
/// does that when the client has begun to send (RFC 8446, section 4.4.2.4).
pub(crate) fn alert_behind(
    error: std::io::Error,
    connection: &mut ClientConnection,
    socket: &mut impl Read,
) -> std::io::Error {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, InvalidData};

    let is_hung_up = [BrokenPipe, ConnectionAborted, ConnectionReset].contains(&error.kind());
    if is_hung_up
        && connection.read_tls(socket).is_ok_and(|count| count > 0)
        && let Err(alert) = connection.process_new_packets()
    {
        return std::io::Error::new(InvalidData, alert);
    }
    error
}

/// `ureq` takes a connection that breaks for the end of an answer without a length. With TLS the end
/// is announced, so that nobody can cut an answer short (RFC 8446, section 6.1).
fn no_end(error: std::io::Error) -> std::io::Error {
    use std::io::ErrorKind::{BrokenPipe, UnexpectedEof};

    match error.kind() {
        UnexpectedEof => std::io::Error::new(BrokenPipe, "the connection ended without notice"),
        _ => error,
    }
}

impl fmt::Debug for Encrypted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted").finish_non_exhaustive()
    }
}
