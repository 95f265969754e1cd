use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use super::*;

/// A certificate and its key, and the authority that signed it, as PEM files.
pub(super) struct Folder(TempDir);

impl Folder {
    pub(super) fn new() -> Self {
        daemon::install_crypto_provider();
        let folder = Self(tempfile::tempdir().unwrap());
        folder.renew("scaler");
        folder
    }

    /// Another authority, certificate and key.
    pub(super) fn renew(&self, host: &str) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        self.write("ca", &params.self_signed(&key).unwrap().pem());
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![host.to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
        self.write("cert", &certificate.pem());
        self.write("key", &key.serialize_pem());
    }

    pub(super) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn files(&self) -> Files {
        Files { cert: self.path("cert"), key: self.path("key"), client_ca: Some(self.path("ca")) }
    }

    /// What is wrong: the settings' names, and all that is said.
    fn problems(&self) -> (Vec<&'static str>, String) {
        let problems = self.files().load().unwrap_err();
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        (problems.into_iter().map(|problem| problem.setting).collect(), said.join("\n"))
    }
}

#[test]
fn files_in_order_speak_http_2_alone() {
    let folder = Folder::new();
    let loaded = folder.files().load().unwrap();
    assert_eq!(loaded.config.alpn_protocols, [b"h2"]);
    assert!(loaded.expires.is_some());
    assert_eq!(folder.files().load().unwrap().fingerprint, loaded.fingerprint);
    folder.renew("scaler");
    assert_ne!(folder.files().load().unwrap().fingerprint, loaded.fingerprint);
}

#[test]
fn all_problems_at_once_and_nothing_of_the_key() {
    let folder = Folder::new();
    for name in ["cert", "key", "ca"] {
        std::fs::remove_file(folder.path(name)).unwrap();
    }
    assert_eq!(folder.problems().0, [CERT_FILE, KEY_FILE, CLIENT_CA_FILE]);
    for name in ["cert", "key", "ca"] {
        folder.write(name, "");
    }
    assert_eq!(folder.problems().0, [CERT_FILE, KEY_FILE, CLIENT_CA_FILE]);
    folder.write("key", "-----BEGIN PRIVATE KEY-----\nbWFya2Vy*marker\n-----END PRIVATE KEY-----\n");
    let (settings, said) = folder.problems();
    assert!(settings.contains(&KEY_FILE) && !said.contains("marker"), "{said}");
}

#[test]
fn what_does_not_fit_together() {
    let folder = Folder::new();
    folder.write("key", &KeyPair::generate().unwrap().serialize_pem());
    let (settings, said) = folder.problems();
    assert_eq!(settings, [KEY_FILE]);
    assert!(said.contains("not the key of the certificate in SCALER_TLS_CERT_FILE"), "{said}");

    let folder = Folder::new();
    let key = std::fs::read_to_string(folder.path("key")).unwrap();
    folder.write("ca", &key);
    let (settings, said) = folder.problems();
    assert_eq!(settings, [CLIENT_CA_FILE], "{said}");
    folder.write("cert", &"x".repeat(usize::try_from(LARGEST).unwrap() + 1));
    assert!(folder.problems().1.contains("larger than 1 MiB"));
}
