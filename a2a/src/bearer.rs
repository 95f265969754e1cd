//! The bearer token of an agent.

use std::fmt;
use std::io;
use std::sync::Arc;

use http::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

/// Where the bearer token comes from. It is asked at each call, so that a file can be read again.
#[derive(Clone)]
pub struct Bearer(Arc<dyn Fn() -> io::Result<SecretString> + Send + Sync>);

impl Bearer {
    /// A token from a function, which is called before every request and must be quick (a small file is fine).
    pub fn new(provide: impl Fn() -> io::Result<SecretString> + Send + Sync + 'static) -> Self {
        Self(Arc::new(provide))
    }

    /// A token that never changes.
    pub fn fixed(token: SecretString) -> Self {
        Self::new(move || Ok(token.clone()))
    }

    /// The value of the `Authorization` header, marked as sensitive.
    pub(crate) fn header(&self) -> io::Result<HeaderValue> {
        let token = (self.0)()?;
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret().trim())).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, "the token has characters that no header can carry")
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::Bearer;

    #[test]
    fn shows_the_token_to_nobody() {
        let bearer = Bearer::fixed("s3cret\n".into());
        assert_eq!(format!("{bearer:?}"), "Bearer(..)");
        let header = bearer.header().unwrap();
        assert_eq!(header, "Bearer s3cret");
        assert!(!format!("{header:?}").contains("s3cret"));
    }

    #[test]
    fn refuses_a_token_that_would_break_the_header() {
        let error = Bearer::fixed("a\r\nX-Evil: 1".into()).header().unwrap_err();
        assert!(!error.to_string().contains("Evil"));
    }
}
