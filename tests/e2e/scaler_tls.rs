//! TLS on the scaler's port, as KEDA's client meets it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use line_tests::keda::ScaledObject;
use line_tests::line::{DATABASE, Member, Settings};
use line_tests::{Keda, Redis, RedisOptions, eventually_ok};
use tonic::Status;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

#[path = "scaler_tls/entering.rs"]
mod entering;
#[path = "scaler_tls/mount.rs"]
mod mount;
#[path = "scaler_tls/rotating.rs"]
mod rotating;

use mount::{Authority, Mount};

const PATIENCE: Duration = Duration::from_secs(20);
const ADVICE: &str = "a client was refused on the gRPC port";

/// A Redis and a scaler whose port speaks TLS.
struct Desk {
    redis: Redis,
    scaler: Member,
}

impl Desk {
    async fn open(mount: &Mount, mutual: bool) -> Result<Self> {
        let redis = Redis::start(RedisOptions::default()).await?;
        let mut settings = Settings::of_redis(&redis.address())
            .with("SCALER_TLS_CERT_FILE", mount.path("tls.crt"))
            .with("SCALER_TLS_KEY_FILE", mount.path("tls.key"));
        if mutual {
            settings = settings.with("SCALER_TLS_CLIENT_CA_FILE", mount.path("ca.crt"));
        }
        let scaler = Member::scaler(&settings).await?;
        Ok(Self { redis, scaler })
    }

    async fn add(&self) -> Result<()> {
        let mut client = self.redis.database(DATABASE).await?;
        client.cmd(&["XADD", "incident:events", "*", "f", "v"]).await.map(drop)
    }

    /// A connection as KEDA makes it: the authority is `caCert`, the identity `tlsClientCert` and `tlsClientKey`, and the
    /// certificate must name the host of `scalerAddress`.
    async fn keda(&self, host: &str, authority: &Authority, identity: Option<Identity>) -> Result<Keda> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&authority.pem)).domain_name(host);
        let tls = if let Some(identity) = identity { tls.identity(identity) } else { tls };
        let endpoint = Endpoint::from_shared(format!("https://{}", self.scaler.grpc))?
            .tls_config(tls)?
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(10));
        Ok(Keda::over(endpoint.connect().await?))
    }

    /// Why a client does not get in: at the connect or, where the server looks at it last, at the first call.
    async fn refused(&self, host: &str, authority: &Authority, identity: Option<Identity>) -> Result<String> {
        match self.keda(host, authority, identity).await {
            Err(error) => Ok(format!("{error:#}")),
            Ok(keda) => Ok(value(&keda).await.err().context("it got in")?.to_string()),
        }
    }

    async fn until_handshakes(&self, kind: &str, least: f64) -> Result<()> {
        let label = format!("handshake=\"{kind}\"");
        eventually_ok(format!("{least} handshakes that end as {kind}"), PATIENCE, async || {
            let found = self.scaler.metric("scaler_tls_handshakes_total", &label).await?;
            ensure!(found >= least, "{found}: {}", self.scaler.program.tail());
            Ok(())
        })
        .await
    }
}

fn object() -> ScaledObject {
    ScaledObject::with_metadata(&[("enableTLS", "true")])
}

async fn value(keda: &Keda) -> Result<i64, Status> {
    let values = keda.metrics(&object(), "incident-events-dispatch-group-backlog").await?;
    values.first().map(|value| value.metric_value).ok_or_else(|| Status::internal("no value"))
}
