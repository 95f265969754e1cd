use std::io::ErrorKind;

use secrecy::ExposeSecret;
use tempfile::NamedTempFile;

use super::Secret;

fn file_with(content: &[u8]) -> (NamedTempFile, Secret) {
    let file = NamedTempFile::new().unwrap();
    std::fs::write(file.path(), content).unwrap();
    let secret = Secret::File(file.path().to_owned());
    (file, secret)
}

#[test]
fn only_the_last_line_end_is_cut_off() {
    for (content, expected) in
        [("token", "token"), ("token\n", "token"), ("token\r\n", "token"), ("token\n\n", "token\n"), (" a b ", " a b ")]
    {
        let (_file, secret) = file_with(content.as_bytes());
        assert_eq!(secret.read().unwrap().expose_secret(), expected, "{content:?}");
    }
}

#[test]
fn a_rotated_file_counts_at_once() {
    let (file, secret) = file_with(b"old");
    assert_eq!(secret.read().unwrap().expose_secret(), "old");
    std::fs::write(file.path(), "new\n").unwrap();
    assert_eq!(secret.read().unwrap().expose_secret(), "new");
}

#[test]
fn a_file_that_holds_no_secret_is_an_error_that_shows_nothing() {
    for content in [b"".to_vec(), b"\n".to_vec(), b"\xff\xfesecret".to_vec(), vec![b'x'; 64 * 1024 + 1]] {
        let (_file, secret) = file_with(&content);
        let error = secret.read().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let (_file, largest) = file_with(&vec![b'x'; 64 * 1024]);
    assert!(largest.read().is_ok());
    assert!(Secret::File("/".into()).read().is_err());
}

#[test]
fn debug_output_hides_the_value() {
    let shown = format!("{:?}", Secret::Inline("hunter2".into()));
    assert_eq!(shown, "Inline([REDACTED])");
    let shown = format!("{:?}", Secret::File("/run/secret".into()));
    assert_eq!(shown, "File(\"/run/secret\")");
}
