//! Whether the host handed bodies over as text or as base64, which it does not say: strings come in,
//! and the bytes go out when all of them are base64. JSON objects and arrays never are, for `{` and `[`
//! are no letters of base64; a batch of nothing but short JSON words and numbers is taken as text.
//!
//! Source: Functions custom handler, eventHubTrigger, `dataType`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;

/// The bytes of one body in base64.
pub(super) fn binary(text: &Bytes) -> Option<Bytes> {
    STANDARD.decode(text).ok().map(Bytes::from)
}

/// The bytes of a batch in base64; none when any of them is text.
pub(super) fn all_binary(texts: &[Bytes]) -> Option<Vec<Bytes>> {
    let decoded = texts.iter().map(binary).collect::<Option<Vec<_>>>()?;
    let is_json = |text: &Bytes| serde_json::from_slice::<&RawValue>(text).is_ok();
    (!texts.iter().all(|text| text.is_empty() || is_json(text))).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&'static str]) -> Option<Vec<Bytes>> {
        let texts: Vec<Bytes> = texts.iter().map(|text| Bytes::from(*text)).collect();
        all_binary(&texts)
    }

    #[test]
    fn a_batch_is_binary_only_as_a_whole() {
        assert_eq!(read(&["eyJhIjoxfQ==", ""]), Some(vec!["{\"a\":1}".into(), Bytes::new()]));
        assert_eq!(read(&["eyJhIjoxfQ==", "{\"a\":1}"]), None);
        assert_eq!(read(&["eyJhIjoxfQ==", "1234"]).unwrap().len(), 2);
        for text in [&["true", "1234"][..], &["plain text"], &["[]"], &[""], &[]] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
