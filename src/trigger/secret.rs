//! Who may call: a header comes in, yes or no goes out. Two secrets may be good at once, so that one can
//! be exchanged for the other without a gap; without any, nobody may.

use axum::http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};

use crate::digest;

/// The header that shows the secret.
pub const HEADER: &str = "x-concord-secret";

/// Whether the caller shows one of the secrets. Takes the same time whatever is shown.
pub fn shows(headers: &HeaderMap, secrets: &[SecretString]) -> bool {
    let shown = headers.get(HEADER).map(HeaderValue::as_bytes).unwrap_or_default();
    if shown.is_empty() {
        return false;
    }
    let shown = digest::of([shown]);
    let mut any = 0_u8;
    for secret in secrets {
        let good = digest::of([secret.expose_secret().as_bytes()]);
        let differs = shown.iter().zip(&good).fold(0_u8, |sum, (a, b)| sum | (a ^ b));
        any |= u8::from(std::hint::black_box(differs) == 0);
    }
    any == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_of_two_secrets_is_good_and_nothing_else() {
        let secrets = ["new secret 1234", "old secret 5678"].map(SecretString::from);
        let shown = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, value.parse().unwrap());
            shows(&headers, &secrets)
        };
        assert!(shown("new secret 1234") && shown("old secret 5678"));
        assert!(!shown("") && !shown("new secret 123") && !shown("new secret 1234 "));
        assert!(!shows(&HeaderMap::new(), &secrets) && !shows(&HeaderMap::new(), &[]));
        assert!(!shows(&HeaderMap::new(), &[SecretString::from("")]));
    }
}
