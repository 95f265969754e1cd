//! TLS on the port for KEDA's calls: the files, what is made of them, and who gets in.
//!
//! [`Files::load`] makes one configuration of certificate, key and authorities; [`Rotation`] makes a new one when the
//! files change; [`Door`] shakes hands with each client under the configuration of that moment, so certificate, key
//! and authorities always fit together, and connections that are open go on.

mod certificate;
mod door;
mod refusal;
mod rotation;

use std::fmt;
use std::fs::File;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

pub use door::Door;
pub use refusal::Refusal;
pub use rotation::Rotation;

/// The setting that names the certificate.
pub const CERT_FILE: &str = "SCALER_TLS_CERT_FILE";
/// The setting that names its key.
pub const KEY_FILE: &str = "SCALER_TLS_KEY_FILE";
/// The setting that names the authorities of clients.
pub const CLIENT_CA_FILE: &str = "SCALER_TLS_CLIENT_CA_FILE";

/// grpc-go takes a server over TLS only if it has chosen this protocol (ALPN).
const HTTP2: &[u8] = b"h2";

/// Certificates are some KiB; a larger file is a wrong path.
const LARGEST: u64 = 1024 * 1024;

/// Where certificate, key and authorities are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The certificate, with those between it and its authority behind it (PEM).
    pub cert: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// Authorities of clients (PEM): with them a client needs a certificate.
    pub client_ca: Option<PathBuf>,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting that names it.
    pub setting: &'static str,
    /// What is wrong.
    pub problem: String,
}

/// What was made of the files.
#[derive(Debug, Clone)]
pub struct Loaded {
    config: Arc<ServerConfig>,
    /// When the first certificate of the chain ends.
    expires: Option<Timestamp>,
    /// Of the files' contents.
    fingerprint: u64,
}

/// The files' contents.
struct Contents {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Files {
    /// Reads the files and checks that they fit together; all problems come back at once.
    pub fn load(&self) -> Result<Loaded, Vec<Problem>> {
        self.read()?.build()
    }

    fn read(&self) -> Result<Contents, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut take = |setting, path: &Path| match read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                problems.push(Problem {
                    setting,
                    problem: format!("{:?} cannot be read: {error}", path.to_string_lossy()),
                });
                Vec::new()
            }
        };
        let contents = Contents {
            cert: take(CERT_FILE, &self.cert),
            key: take(KEY_FILE, &self.key),
            client_ca: self.client_ca.as_deref().map(|path| take(CLIENT_CA_FILE, path)),
        };
        if problems.is_empty() { Ok(contents) } else { Err(problems) }
    }
}

impl Contents {
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.cert, &self.key, &self.client_ca).hash(&mut hasher);
        hasher.finish()
    }

    fn build(&self) -> Result<Loaded, Vec<Problem>> {
        let mut problems = Problems::default();
        let chain = problems.certificates(CERT_FILE, &self.cert);
        let key = problems.key(&self.key);
        let authorities = self.client_ca.as_deref().and_then(|pem| problems.authorities(pem));
        let (Some(key), true) = (key, problems.0.is_empty()) else { return Err(problems.0) };
        let expires = chain.iter().filter_map(|certificate| certificate::not_after(certificate)).min();
        match configure(chain, key, authorities) {
            Ok(config) => Ok(Loaded { config: Arc::new(config), expires, fingerprint: self.fingerprint() }),
            Err(problem) => Err(vec![problem]),
        }
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(std::io::Error::other("it is larger than 1 MiB, is it the right file?"));
    }
    Ok(bytes)
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, setting: &'static str, problem: impl Into<String>) {
        self.0.push(Problem { setting, problem: problem.into() });
    }

    fn certificates(&mut self, setting: &'static str, pem: &[u8]) -> Vec<CertificateDer<'static>> {
        match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
            Ok(certificates) if !certificates.is_empty() => certificates,
            Ok(_) => {
                self.add(setting, "holds no certificate (PEM, -----BEGIN CERTIFICATE-----)");
                Vec::new()
            }
            Err(error) => {
                self.add(setting, format!("is no PEM file: {error}"));
                Vec::new()
            }
        }
    }

    fn key(&mut self, pem: &[u8]) -> Option<PrivateKeyDer<'static>> {
        let key = PrivateKeyDer::from_pem_slice(pem);
        if key.is_err() {
            // The error could repeat a part of the key.
            self.add(KEY_FILE, "holds no private key that can be used (PEM: PKCS#8, PKCS#1 or SEC1, not encrypted)");
        }
        key.ok()
    }

    fn authorities(&mut self, pem: &[u8]) -> Option<RootCertStore> {
        let mut authorities = RootCertStore::empty();
        for certificate in self.certificates(CLIENT_CA_FILE, pem) {
            if let Err(error) = authorities.add(certificate) {
                self.add(CLIENT_CA_FILE, format!("holds a certificate that is no authority's: {error}"));
            }
        }
        (!authorities.is_empty()).then_some(authorities)
    }
}

/// TLS 1.2 and 1.3, HTTP/2 alone.
fn configure(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    authorities: Option<RootCertStore>,
) -> Result<ServerConfig, Problem> {
    let builder = ServerConfig::builder();
    let builder = match authorities {
        None => builder.with_no_client_auth(),
        Some(authorities) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(authorities)).build();
            let refused = |error| Problem { setting: CLIENT_CA_FILE, problem: format!("cannot be used: {error}") };
            builder.with_client_cert_verifier(verifier.map_err(refused)?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            Problem { setting: KEY_FILE, problem: format!("is not the key of the certificate in {CERT_FILE}") }
        }
        rustls::Error::InvalidCertificate(error) => {
            Problem { setting: CERT_FILE, problem: format!("holds a certificate that cannot be used: {error}") }
        }
        _ => Problem { setting: KEY_FILE, problem: "holds a key of a kind that cannot be used".to_owned() },
    })?;
    config.alpn_protocols = vec![HTTP2.to_vec()];
    Ok(config)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.problem)
    }
}

#[cfg(test)]
mod tests;
