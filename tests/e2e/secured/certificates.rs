use std::path::PathBuf;

use anyhow::Result;
use line_tests::line::Settings;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// PEM files: an authority, what it signed, and an authority that nobody here trusts.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn new() -> Result<Self> {
        let certificates = Self { folder: tempfile::tempdir()? };
        let (authority, issuer) = authority("authority")?;
        certificates.write("ca.pem", &authority)?;
        certificates.write("other-ca.pem", &self::authority("other authority")?.0)?;
        for (name, hosts) in [("server", ["localhost", "127.0.0.1"].as_slice()), ("client", &["client"])] {
            let key = KeyPair::generate()?;
            let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            let mut params = CertificateParams::new(hosts)?;
            params.distinguished_name.push(DnType::CommonName, name);
            let certificate = params.signed_by(&key, &issuer)?;
            certificates.write(&format!("{name}.pem"), &certificate.pem())?;
            certificates.write(&format!("{name}.key"), &key.serialize_pem())?;
        }
        Ok(certificates)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<()> {
        Ok(std::fs::write(self.path(name), text)?)
    }

    /// Lines of redis.conf or sentinel.conf: TLS on a port of its own, for clients with a certificate only.
    pub(crate) fn server_lines(&self, port: u16) -> Vec<String> {
        let path = |name: &str| self.path(name).display().to_string();
        vec![
            format!("tls-port {port}"),
            format!("tls-cert-file {}", path("server.pem")),
            format!("tls-key-file {}", path("server.key")),
            format!("tls-ca-cert-file {}", path("ca.pem")),
            "tls-auth-clients yes".to_owned(),
            "tls-replication yes".to_owned(),
        ]
    }

    /// The product's settings for these certificates.
    pub(crate) fn settings(&self, settings: Settings) -> Settings {
        settings
            .with("REDIS_TLS", "true")
            .with("REDIS_TLS_CA_FILE", self.path("ca.pem").display().to_string())
            .with("REDIS_TLS_CERT_FILE", self.path("client.pem").display().to_string())
            .with("REDIS_TLS_KEY_FILE", self.path("client.key").display().to_string())
    }
}

/// An authority's certificate, and what it signs with.
fn authority(name: &str) -> Result<(String, Issuer<'static, KeyPair>)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?.pem();
    Ok((certificate, Issuer::new(params, key)))
}
