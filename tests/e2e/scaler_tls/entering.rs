//! Who gets in and who does not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use line_tests::Keda;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::{ADVICE, Authority, Desk, Mount, PATIENCE, value};

const HOST: &str = "stream-scaler.stream-dispatcher";

#[tokio::test(flavor = "multi_thread")]
async fn with_the_authority_and_the_right_name_only() -> Result<()> {
    let (authority, stranger) = (Authority::new("authority")?, Authority::new("stranger")?);
    let mount = Mount::new(&authority, HOST, 2050)?;
    let desk = Desk::open(&mount, false).await?;
    desk.add().await?;
    ensure!(value(&desk.keda(HOST, &authority, None).await?).await? == 1);
    // A certificate that nobody asked for does no harm.
    ensure!(value(&desk.keda(HOST, &authority, Some(stranger.identity()?)).await?).await? == 1);

    for (host, authority) in [(HOST, &stranger), ("stream-scaler.elsewhere", &authority)] {
        desk.refused(host, authority, None).await?;
    }
    desk.until_handshakes("distrusted", 2.0).await?;
    if let Ok(plain) = Keda::connect(&desk.scaler.grpc).await {
        ensure!(value(&plain).await.is_err(), "a plain client got in");
    }
    desk.until_handshakes("plain", 1.0).await?;
    desk.until_handshakes("done", 2.0).await?;
    let log = desk.scaler.program.log();
    for words in ["does not accept our certificate", "does not speak TLS", "speaks TLS", "2050-12-31"] {
        ensure!(log.contains(words), "{words}: {log}");
    }
    ensure!(log.matches(ADVICE).count() == 2, "each kind of refusal is said once a minute: {log}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_certificate_of_the_clients_authority_only() -> Result<()> {
    let (authority, stranger) = (Authority::new("authority")?, Authority::new("stranger")?);
    let mount = Mount::new(&authority, HOST, 2050)?;
    let desk = Desk::open(&mount, true).await?;
    ensure!(value(&desk.keda(HOST, &authority, Some(authority.identity()?)).await?).await? == 0);
    desk.refused(HOST, &authority, None).await?;
    desk.until_handshakes("no_certificate", 1.0).await?;
    desk.refused(HOST, &authority, Some(stranger.identity()?)).await?;
    desk.until_handshakes("bad_certificate", 1.0).await?;
    let log = desk.scaler.program.log();
    for words in ["showed no certificate", "not signed by SCALER_TLS_CLIENT_CA_FILE"] {
        ensure!(log.contains(words), "{words}: {log}");
    }
    Ok(())
}

/// A client with these versions and protocols; whether the server still talks to it after the handshake.
async fn talks(
    desk: &Desk,
    authority: &Authority,
    version: &'static SupportedProtocolVersion,
    alpn: &[&str],
) -> Result<bool> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version])?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let connection = TcpStream::connect(desk.scaler.grpc.parse::<SocketAddr>()?).await?;
    let name = ServerName::try_from(HOST)?;
    let Ok(mut connection) = TlsConnector::from(Arc::new(config)).connect(name, connection).await else {
        return Ok(false);
    };
    connection.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.ok();
    // The server's own settings frame is the first that comes.
    let mut frame = [0; 9];
    Ok(timeout(PATIENCE, connection.read_exact(&mut frame)).await?.is_ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_1_2_or_1_3_with_http_2_only() -> Result<()> {
    let authority = Authority::new("authority")?;
    let mount = Mount::new(&authority, HOST, 2050)?;
    let desk = Desk::open(&mount, false).await?;
    for version in [&TLS12, &TLS13] {
        ensure!(talks(&desk, &authority, version, &["h2"]).await?, "{version:?}");
        ensure!(talks(&desk, &authority, version, &["http/1.1", "h2"]).await?, "{version:?}");
        ensure!(!talks(&desk, &authority, version, &["http/1.1"]).await?, "{version:?}");
        ensure!(!talks(&desk, &authority, version, &[]).await?, "{version:?}");
    }
    // A ClientHello of TLS 1.1, with one suite (RFC 4346, section 7.4.1.2).
    let mut hello = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x02".to_vec();
    hello.extend([7; 32]);
    hello.extend(b"\0\0\x02\xc0\x14\x01\0");
    let mut old = TcpStream::connect(desk.scaler.grpc.parse::<SocketAddr>()?).await?;
    old.write_all(&hello).await?;
    let mut answer = Vec::new();
    timeout(PATIENCE, old.read_to_end(&mut answer)).await?.ok();
    // An alert, fatal: protocol_version or handshake_failure.
    ensure!(matches!(answer.as_slice(), [21, _, _, 0, 2, 2, 70 | 40, ..]), "{answer:?}");
    desk.until_handshakes("protocol", 5.0).await
}

#[tokio::test(flavor = "multi_thread")]
async fn who_says_nothing_keeps_nobody_waiting() -> Result<()> {
    let authority = Authority::new("authority")?;
    let mount = Mount::new(&authority, HOST, 2050)?;
    let desk = Desk::open(&mount, false).await?;
    let address: SocketAddr = desk.scaler.grpc.parse()?;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(TcpStream::connect(address).await?);
    }
    let begun = std::time::Instant::now();
    ensure!(value(&desk.keda(HOST, &authority, None).await?).await? == 0);
    ensure!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    for mut one in silent {
        let mut rest = Vec::new();
        timeout(PATIENCE, one.read_to_end(&mut rest)).await?.ok();
    }
    desk.until_handshakes("slow", 100.0).await?;
    // One that goes away by itself is a probe, not worth a line.
    drop(TcpStream::connect(address).await?);
    desk.until_handshakes("gone", 1.0).await?;
    let log = desk.scaler.program.log();
    ensure!(log.matches(ADVICE).count() == 1, "{log}");
    Ok(())
}
