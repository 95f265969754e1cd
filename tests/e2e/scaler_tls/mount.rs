//! Certificates, and a folder that changes as a Secret's volume in Kubernetes does.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tonic::transport::Identity;

/// An authority that signs.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Result<Self> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    /// A certificate for a host until the end of a year, and its key.
    pub(crate) fn sign(&self, host: &str, year: i32) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![host.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, host);
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        Ok((params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }

    /// What a client shows.
    pub(crate) fn identity(&self) -> Result<Identity> {
        let (certificate, key) = self.sign("keda", 2090)?;
        Ok(Identity::from_pem(certificate, key))
    }
}

/// `tls.crt`, `tls.key` and `ca.crt`, each a link to `..data/`, which is a link to a folder of the present version.
pub(crate) struct Mount {
    folder: TempDir,
}

impl Mount {
    pub(crate) fn new(authority: &Authority, host: &str, year: i32) -> Result<Self> {
        let mount = Self { folder: tempfile::tempdir()? };
        mount.renew(authority, host, year)?;
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            symlink(format!("..data/{name}"), mount.folder.path().join(name))?;
        }
        Ok(mount)
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A new version, all at once.
    pub(crate) fn renew(&self, authority: &Authority, host: &str, year: i32) -> Result<()> {
        let (certificate, key) = authority.sign(host, year)?;
        self.swap([("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &authority.pem)])
    }

    /// A new version whose key belongs to another certificate.
    pub(crate) fn break_it(&self, authority: &Authority, host: &str) -> Result<()> {
        let (certificate, _) = authority.sign(host, 2060)?;
        let (_, key) = authority.sign(host, 2060)?;
        self.swap([("tls.crt", &certificate), ("tls.key", &key), ("ca.crt", &authority.pem)])
    }

    fn swap(&self, files: [(&str, &String); 3]) -> Result<()> {
        let version: PathBuf = tempfile::Builder::new().prefix("..v").tempdir_in(self.folder.path())?.keep();
        for (name, text) in files {
            std::fs::write(version.join(name), text)?;
        }
        let link = self.folder.path().join("..data_tmp");
        symlink(&version, &link)?;
        Ok(std::fs::rename(link, self.folder.path().join("..data"))?)
    }
}
