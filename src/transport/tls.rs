//! The TLS configuration of connections, and what its failures mean.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection};
use rustls_platform_verifier::Verifier;

use crate::config::NetworkConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::files;

/// The most bytes of a file of certificates; those of a whole system have about 250 KB.
const MAX_PEM_BYTES: u64 = 16 * 1024 * 1024;

/// The client's side of a connection to `host`, a name or an address, with or without brackets.
///
/// # Errors
///
/// - [`ErrorKind::Tls`] for a host that no certificate can be for.
pub(super) fn client(config: Arc<ClientConfig>, host: &str) -> Result<ClientConnection> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(tls_error)?;
    ClientConnection::new(config, name).map_err(tls_error)
}

/// Which authorities to trust, and which certificate to present.
///
/// # Errors
///
/// - [`ErrorKind::Configuration`] for a file that cannot be used.
pub(super) fn client_config(network: &NetworkConfig) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(tls_error)?;
    let verifier = verifier(network, provider)?;
    // `dangerous` warns of verifiers that do not verify. This one does.
    let builder = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((chain, key)) = &network.client_cert else {
        return Ok(builder.with_no_client_auth());
    };
    let certificates = certificates(chain, "the client certificate")?;
    let what = "the client certificate's private key";
    let private_key = PrivateKeyDer::from_pem_slice(&read(key, what)?)
        .map_err(|error| unusable(key, what, error))?;
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
    let text = read(path, what)?;
    let found = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| unusable(path, what, error))?;
    if found.is_empty() {
        return Err(unusable(path, what, "it contains no PEM certificate"));
    }
    Ok(found)
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>> {
    files::read_regular(path, MAX_PEM_BYTES).map_err(|error| unusable(path, what, error))
}

fn unusable(path: &Path, what: &str, why: impl fmt::Display) -> Error {
    let path = path.display();
    let message = format!("{what} {path} cannot be used: {why}");
    Error::new(ErrorKind::Configuration, message)
}

fn tls_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Tls, error.to_string()).with_source(error)
}

/// The TLS failure behind an I/O error, if it is one.
pub(super) fn tls_failure(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What to do about a TLS failure; empty if that is not known.
pub(super) fn tls_hint(error: &rustls::Error) -> &'static str {
    use rustls::AlertDescription as Alert;
    use rustls::CertificateError as Bad;

    match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => {
            "; its certificate is not signed by an authority that this machine trusts: name the \
             studio's own authority with `Network::ca_file` or REQUESTS_CA_BUNDLE"
        }
        rustls::Error::InvalidCertificate(
            Bad::Expired
            | Bad::ExpiredContext { .. }
            | Bad::NotValidYet
            | Bad::NotValidYetContext { .. },
        ) => "; check this machine's clock, or have the server's certificate renewed",
        rustls::Error::InvalidCertificate(
            Bad::NotValidForName | Bad::NotValidForNameContext { .. },
        ) => "; use the name that its certificate is for in the server URL",
        rustls::Error::AlertReceived(Alert::CertificateRequired | Alert::HandshakeFailure) => {
            "; if the server requires a client certificate, set it with `Network::client_cert`"
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
            "; the server requires a client certificate that its own authority has signed: set it \
             with `Network::client_cert`"
        }
        rustls::Error::InvalidMessage(_) => {
            "; whatever listens there does not speak TLS: check port and scheme of the server URL"
        }
        _ => "",
    }
}
