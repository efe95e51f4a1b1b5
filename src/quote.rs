//! Texts as JSON strings: how far one goes without an escape, and how it is written. Eight bytes at a time,
//! because every byte of an event passes here several times.

use crate::digest::digit;

/// So many bytes are looked at together.
const WORD: usize = 8;
/// A one in each byte of a word, and the topmost bit of each.
const ONES: u64 = u64::MAX / 255;
const TOPS: u64 = ONES << 7;

/// The length of the stretch in front that a JSON string may hold as it is: up to the next quote,
/// backslash or control character.
pub fn plain(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<WORD>() {
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            return bytes.len() - rest.len() + special.trailing_zeros() as usize / 8;
        }
        rest = after;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    let end = rest.iter().position(special).unwrap_or(rest.len());
    bytes.len() - rest.len() + end
}

/// The topmost bit of each byte that needs an escape; above the lowest of them others may be set too.
fn special(word: u64) -> u64 {
    let below = |word: u64, bound: u64| word.wrapping_sub(ONES * bound) & !word;
    let (quote, backslash) = (word ^ (ONES * u64::from(b'"')), word ^ (ONES * u64::from(b'\\')));
    (below(word, 0x20) | below(quote, 1) | below(backslash, 1)) & TOPS
}

/// Appends a text as a JSON string, quotes and all, as `serde_json` writes it.
pub fn push(text: &str, json: &mut Vec<u8>) {
    json.push(b'"');
    push_inner(text, json);
    json.push(b'"');
}

/// The same without the quotes around it.
pub fn push_inner(text: &str, json: &mut Vec<u8>) {
    let mut rest = text.as_bytes();
    json.reserve(rest.len());
    loop {
        let (stretch, after) = rest.split_at_checked(plain(rest)).unwrap_or_default();
        json.extend_from_slice(stretch);
        let Some((byte, after)) = after.split_first() else { return };
        push_escaped(*byte, json);
        rest = after;
    }
}

fn push_escaped(byte: u8, json: &mut Vec<u8>) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        8 => b'b',
        12 => b'f',
        _ => {
            let code = [b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)];
            return json.extend_from_slice(&code);
        }
    };
    json.extend_from_slice(&[b'\\', short]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_text_is_written_as_serde_writes_it(text in "[\\x00-\\x7f]{0,40}|\\PC{0,40}|[a-z\"\\\\]{0,40}") {
            let mut json = Vec::new();
            push(&text, &mut json);
            prop_assert_eq!(String::from_utf8(json).unwrap(), serde_json::to_string(&text).unwrap());
        }

        #[test]
        fn a_stretch_ends_at_the_first_byte_that_needs_an_escape(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
            let expected = bytes.iter().position(special).unwrap_or(bytes.len());
            prop_assert_eq!(plain(&bytes), expected);
        }
    }
}
