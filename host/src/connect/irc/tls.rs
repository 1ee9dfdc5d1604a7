//! The encrypted connection: who is trusted, and the handshake.
//!
//! With `ca_file` only what lies in it is trusted: authorities, and the server's very own certificate. The latter matters
//! for the many servers that sign theirs themselves: their certificates claim to be authorities, which the usual check
//! refuses for a server, so one that is in the file byte for byte is taken as it is.

use super::config::Settings;
use crate::event::ConnectorId;
use crate::settings::unreadable;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
};
use std::{io, path::Path, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream, rustls};

/// The certificates in a PEM file.
///
/// # Errors
/// When it cannot be read or has none.
pub fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match read {
        Ok(found) if found.is_empty() => Err(format!("{} has no certificate in it (PEM)", file.display())),
        Ok(found) => Ok(found),
        Err(pem::Error::Io(error)) => Err(format!("{} cannot be read: {}", file.display(), unreadable(&error))),
        Err(_) => Err(format!("{} has a certificate that is damaged or not in PEM", file.display())),
    }
}

/// How to connect, trusting what is in `ca_file`, or the system's authorities.
///
/// # Errors
/// When there is no certificate to trust.
pub fn connector(ca_file: Option<&Path>, id: &ConnectorId) -> Result<TlsConnector, String> {
    let provider = Arc::new(ring::default_provider());
    let known = match ca_file {
        Some(file) => certificates(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(known.iter().cloned());
    if usable == 0 {
        let on_system = || format!("on this system; install ca-certificates, or set connect.{id}.ca_file");
        let where_from = ca_file.map_or_else(on_system, |_| "in it".to_owned());
        return Err(format!("there is no certificate that can be used {where_from}"));
    }
    let usual = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let usual = usual.map_err(|error| error.to_string())?;
    // The system's authorities are no servers: only a file names those.
    let pinned = if ca_file.is_some() { known } else { Vec::new() };
    let verifier = Arc::new(Verifier { usual, pinned, provider: Arc::clone(&provider) });
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    let config = config.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Makes a connection an encrypted one. Cancelled, the connection is closed.
///
/// # Errors
/// When the server is not who it should be, or does not speak TLS; the text says what to do.
pub async fn handshake(
    connector: &TlsConnector,
    settings: &Settings,
    stream: TcpStream,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(settings.server.clone()).map_err(io::Error::other)?;
    connector.connect(name, stream).await.map_err(|error| explained(error, &settings.id))
}

fn explained(error: io::Error, id: &ConnectorId) -> io::Error {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) else {
        return if error.kind() == io::ErrorKind::UnexpectedEof {
            io::Error::other("the server hung up during the TLS handshake; does this port speak TLS?")
        } else {
            error
        };
    };
    let own = format!("if that is expected, put its certificate into a file and set connect.{id}.ca_file");
    io::Error::other(match tls {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            format!("TLS: no trusted authority has signed the server's certificate; {own}")
        }
        Error::InvalidCertificate(CertificateError::Other(why)) if why.to_string().contains("CaUsedAsEndEntity") => {
            format!("TLS: the server has signed its certificate itself; {own}")
        }
        Error::InvalidMessage(_) => format!("TLS: {tls}; does this port speak TLS?"),
        tls => format!("TLS: {tls}"),
    })
}

/// The usual check, and before it the certificates that the operator named.
#[derive(Debug)]
struct Verifier {
    usual: Arc<WebPkiServerVerifier>,
    pinned: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned == end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.usual.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
