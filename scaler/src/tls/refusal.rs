//! Why a client did not get in, and how often that is said (pure: the time is an argument).

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

/// The same refusal is said again no sooner: a client that comes back for ever must not fill the log.
const QUIET: Duration = Duration::from_secs(60);

/// Why no connection came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It does not speak TLS.
    Plain,
    /// It showed no certificate where one is needed.
    NoCertificate,
    /// Its certificate is not signed by the authorities, expired, or not its own.
    BadCertificate,
    /// It does not accept our certificate.
    Distrusted,
    /// No common version of TLS, or not HTTP/2 (ALPN `h2`).
    Protocol,
    /// The handshake took too long.
    Slow,
    /// It went away in the middle: a probe of the port, mostly.
    Gone,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Plain,
        Self::NoCertificate,
        Self::BadCertificate,
        Self::Distrusted,
        Self::Protocol,
        Self::Slow,
        Self::Gone,
    ];

    /// The word for the metric.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::Distrusted => "distrusted",
            Self::Protocol => "protocol",
            Self::Slow => "slow",
            Self::Gone => "gone",
        }
    }

    /// What an operator can do; `None` where there is nothing to do.
    pub(super) fn advice(self) -> Option<&'static str> {
        match self {
            Self::Plain => Some(
                "it does not speak TLS: give the trigger enableTLS, or a TriggerAuthentication with caCert, or take \
                 SCALER_TLS_CERT_FILE away",
            ),
            Self::NoCertificate => Some(
                "it showed no certificate: put tlsClientCert and tlsClientKey into the TriggerAuthentication, or take \
                 SCALER_TLS_CLIENT_CA_FILE away",
            ),
            Self::BadCertificate => Some(
                "its certificate is expired or not signed by SCALER_TLS_CLIENT_CA_FILE: look at tlsClientCert of the \
                 TriggerAuthentication",
            ),
            Self::Distrusted => Some(
                "it does not accept our certificate: caCert of the TriggerAuthentication must have signed it, and it \
                 must name the host of scalerAddress",
            ),
            Self::Protocol => Some("it offers neither TLS 1.2 nor 1.3, or not HTTP/2 (ALPN h2): it is no gRPC client"),
            Self::Slow => Some("it did not finish the handshake in time"),
            Self::Gone => None,
        }
    }
}

impl From<&io::Error> for Refusal {
    fn from(error: &io::Error) -> Self {
        use rustls::{AlertDescription as Alert, Error as Tls};
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Tls>()) {
            Some(Tls::NoCertificatesPresented) => Self::NoCertificate,
            Some(Tls::InvalidCertificate(_)) => Self::BadCertificate,
            Some(Tls::AlertReceived(
                Alert::UnknownCA
                | Alert::BadCertificate
                | Alert::CertificateUnknown
                | Alert::CertificateExpired
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked,
            )) => Self::Distrusted,
            Some(Tls::InvalidMessage(_) | Tls::InappropriateMessage { .. }) => Self::Plain,
            Some(_) => Self::Protocol,
            None => Self::Gone,
        }
    }
}

/// What has been said of late.
#[derive(Debug, Default)]
pub(super) struct Sayings(HashMap<Refusal, Saying>);

#[derive(Debug)]
struct Saying {
    at: Instant,
    /// Since then.
    unsaid: u64,
}

impl Sayings {
    /// Whether a refusal is to be said now, and how many like it were not said since the last time.
    pub(super) fn due(&mut self, refusal: Refusal, now: Instant) -> Option<u64> {
        match self.0.get_mut(&refusal) {
            Some(saying) if now.saturating_duration_since(saying.at) < QUIET => {
                saying.unsaid += 1;
                None
            }
            saying => {
                let unsaid = saying.map_or(0, |saying| saying.unsaid);
                self.0.insert(refusal, Saying { at: now, unsaid: 0 });
                Some(unsaid)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn the_same_is_said_once_a_minute_and_counted_meanwhile() {
        let (mut sayings, begin) = (Sayings::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert_eq!(sayings.due(Refusal::Plain, at(0)), Some(0));
        assert_eq!(sayings.due(Refusal::Plain, at(1)), None);
        assert_eq!(sayings.due(Refusal::Slow, at(2)), Some(0), "another one has its own minute");
        assert_eq!(sayings.due(Refusal::Plain, at(59)), None);
        assert_eq!(sayings.due(Refusal::Plain, at(60)), Some(2));
        assert_eq!(sayings.due(Refusal::Plain, at(61)), None);
    }

    #[test]
    fn what_tls_says_becomes_one_word() {
        let of = |error: rustls::Error| Refusal::from(&io::Error::new(io::ErrorKind::InvalidData, error));
        assert_eq!(of(rustls::Error::NoCertificatesPresented), Refusal::NoCertificate);
        assert_eq!(of(rustls::InvalidMessage::InvalidContentType.into()), Refusal::Plain);
        assert_eq!(of(rustls::Error::AlertReceived(AlertDescription::UnknownCA)), Refusal::Distrusted);
        assert_eq!(of(rustls::Error::AlertReceived(AlertDescription::ProtocolVersion)), Refusal::Protocol);
        assert_eq!(of(rustls::CertificateError::Expired.into()), Refusal::BadCertificate);
        assert_eq!(of(rustls::Error::NoApplicationProtocol), Refusal::Protocol);
        assert_eq!(Refusal::from(&io::Error::from(io::ErrorKind::UnexpectedEof)), Refusal::Gone);
    }
}
