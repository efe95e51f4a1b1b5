//! Short, stable names for content: the head of a SHA-256, and bytes as hexadecimal text.

use sha2::{Digest as _, Sha256};

/// The first 128 bits of a SHA-256 over parts whose bounds count: `["a", "bc"]` is not `["ab", "c"]`.
pub fn of<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut head = [0; 16];
    head.iter_mut().zip(hash.finalize()).for_each(|(place, byte)| *place = byte);
    head
}

/// Bytes as lower-case hexadecimal text.
pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.map(char::from).collect()
}

/// The hexadecimal digit of a number below sixteen.
pub fn digit(four: u8) -> u8 {
    if four < 10 { b'0' + four } else { b'a' + four - 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_and_its_bounds_count() {
        let name = |parts: &[&str]| hex(&of(parts.iter().map(|part| part.as_bytes())));
        assert_eq!(name(&["a", "bc"]).len(), 32);
        assert_eq!(hex(&[0x00, 0x9f, 0xa0, 0xff]), "009fa0ff");
        assert_eq!(name(&["a", "bc"]), name(&["a", "bc"]));
        assert_ne!(name(&["a", "bc"]), name(&["ab", "c"]));
    }
}
