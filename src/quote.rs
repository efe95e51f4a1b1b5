//! Texts, moments, ids and numbers as JSON: what serde makes of them, in a fraction of the time. Eight bytes
//! at a time, because every byte of an event passes here several times.

use std::io::Write as _;

use jiff::tz::Offset;
use jiff::{Timestamp, civil::Date};
use uuid::Uuid;

use crate::digest::digit;

/// So many bytes are looked at together.
const WORD: usize = 8;
/// A one in each byte of a word, and the topmost bit of each.
const ONES: u64 = u64::MAX / 255;
const TOPS: u64 = ONES << 7;

/// Appends the stretch in front that a JSON string may hold as it is, up to the next quote, backslash or
/// control character, and answers its length. Whole words are written and what is too much of the last is
/// taken back: stretches are short, and a copy of a length that nobody knew costs more.
#[allow(
    clippy::inline_always,
    reason = "called for a few bytes at a time; a third more when it is a call"
)]
#[inline(always)]
pub fn push_plain(bytes: &[u8], to: &mut Vec<u8>) -> usize {
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<WORD>() {
        to.extend_from_slice(word);
        let special = special(u64::from_le_bytes(*word));
        if special != 0 {
            let plain = special.trailing_zeros() as usize / 8;
            to.truncate(to.len() + plain - WORD);
            return bytes.len() - rest.len() + plain;
        }
        rest = after;
    }
    for (at, byte) in rest.iter().enumerate() {
        if matches!(byte, b'"' | b'\\' | 0..0x20) {
            return bytes.len() - rest.len() + at;
        }
        to.push(*byte);
    }
    bytes.len()
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
    json.reserve(rest.len() + WORD);
    loop {
        let plain = push_plain(rest, json);
        let (Some(byte), Some(after)) = (rest.get(plain), rest.get(plain + 1..)) else { return };
        push_escaped(*byte, json);
        rest = after;
    }
}

#[inline]
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

/// The text between the quotes of a JSON string that is known to be well-formed; none when it holds half of
/// a pair of surrogates, or a whole one, which other readers tell apart.
pub fn unescaped(inner: &str) -> Option<String> {
    let mut rest = inner.as_bytes();
    let mut text = Vec::with_capacity(rest.len() + WORD);
    loop {
        let plain = push_plain(rest, &mut text);
        let Some(([escape, kind], after)) = rest.get(plain..)?.split_first_chunk() else {
            return String::from_utf8(text).ok().filter(|_| plain == rest.len());
        };
        rest = after;
        match (escape, kind) {
            (b'\\', b'"' | b'\\' | b'/') => text.push(*kind),
            (b'\\', b'n') => text.push(b'\n'),
            (b'\\', b'r') => text.push(b'\r'),
            (b'\\', b't') => text.push(b'\t'),
            (b'\\', b'b') => text.push(8),
            (b'\\', b'f') => text.push(12),
            (b'\\', b'u') => {
                let (digits, after) = after.split_first_chunk::<4>()?;
                let unit = digits
                    .iter()
                    .try_fold(0, |unit, digit| Some(unit << 4 | char::from(*digit).to_digit(16)?));
                let char = char::from_u32(unit?)?;
                text.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            (_, _) => return None,
        }
    }
}

/// Appends a moment as a JSON string, as `jiff` writes it: in UTC, with as many decimals as it has.
pub fn push_time(moment: Timestamp, json: &mut Vec<u8>) {
    let at = Offset::UTC.to_datetime(moment);
    json.push(b'"');
    push_day(at.date(), json);
    for (mark, number) in [(b'T', at.hour()), (b':', at.minute()), (b':', at.second())] {
        json.push(mark);
        push_two(number, json);
    }
    let mut rest = at.subsec_nanosecond().unsigned_abs();
    if rest > 0 {
        let mut decimals = *b".000000000";
        for place in decimals.iter_mut().skip(1).rev() {
            *place += u8::try_from(rest % 10).unwrap_or_default();
            rest /= 10;
        }
        let zeros = decimals.iter().rev().take_while(|digit| **digit == b'0').count();
        json.extend_from_slice(decimals.get(..decimals.len() - zeros).unwrap_or_default());
    }
    json.extend_from_slice(b"Z\"");
}

/// Appends a day as a JSON string, as `jiff` writes it.
pub fn push_date(day: Date, json: &mut Vec<u8>) {
    json.push(b'"');
    push_day(day, json);
    json.push(b'"');
}

fn push_day(day: Date, json: &mut Vec<u8>) {
    let century = u8::try_from(day.year().div_euclid(100)).map(u8::cast_signed);
    let (Ok(century), Ok(year)) = (century, i8::try_from(day.year().rem_euclid(100))) else {
        // Years before the first have a sign and six digits.
        let _infallible = write!(json, "{day}");
        return;
    };
    push_two(century, json);
    push_two(year, json);
    for number in [day.month(), day.day()] {
        json.push(b'-');
        push_two(number, json);
    }
}

/// The two digits of a number below a hundred.
fn push_two(number: i8, json: &mut Vec<u8>) {
    let number = number.unsigned_abs();
    json.extend_from_slice(&[digit(number / 10), digit(number % 10)]);
}

/// Appends a whole number.
pub fn push_number(number: impl itoa::Integer, json: &mut Vec<u8>) {
    json.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends an id as a JSON string.
pub fn push_id(id: Uuid, json: &mut Vec<u8>) {
    let mut text = *b"\"00000000-0000-0000-0000-000000000000\"";
    let [_, inner @ .., _] = &mut text;
    id.hyphenated().encode_lower(inner);
    json.extend_from_slice(&text);
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
        fn a_text_that_was_written_is_read_back(text in "[\\x00-\\x7f]{0,40}|\\PC{0,40}|[a-z\"\\\\/]{0,40}") {
            let json = serde_json::to_string(&text).unwrap();
            prop_assert_eq!(unescaped(&json[1..json.len() - 1]), Some(text));
        }

        #[test]
        fn what_is_unescaped_is_what_serde_reads(inner in r#"([a-zé]|\\["\\/bfnrt]|\\u[0-9a-fA-F+]{3,4}|\\){0,12}"#) {
            let read = serde_json::from_str::<String>(&format!("\"{inner}\"")).ok();
            if let Some(text) = unescaped(&inner) {
                prop_assert_eq!(read, Some(text));
            }
        }

        #[test]
        fn moments_days_and_ids_are_written_as_serde_writes_them(
            seconds in prop_oneof![any::<i32>().prop_map(i64::from), -377_705_023_201..253_402_207_200_i64],
            nanoseconds in prop_oneof![Just(0), 0..1_000_i32, (0..1_000).prop_map(|n| n * 1_000_000), 0..1_000_000_000],
            id in any::<u128>(),
        ) {
            let moment = Timestamp::new(seconds, nanoseconds).unwrap();
            let (day, id) = (Offset::UTC.to_datetime(moment).date(), Uuid::from_u128(id));
            let mut json = Vec::new();
            push_time(moment, &mut json);
            push_date(day, &mut json);
            push_id(id, &mut json);
            let expected = [
                serde_json::to_string(&moment), serde_json::to_string(&day), serde_json::to_string(&id),
            ];
            let expected: String = expected.into_iter().map(Result::unwrap).collect();
            prop_assert_eq!(String::from_utf8(json).unwrap(), expected);
        }

        #[test]
        fn a_stretch_ends_at_the_first_byte_that_needs_an_escape(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let special = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\');
            let expected = bytes.iter().position(special).unwrap_or(bytes.len());
            let mut copy = vec![b'>'];
            prop_assert_eq!(push_plain(&bytes, &mut copy), expected);
            prop_assert_eq!(&copy[1..], &bytes[..expected]);
        }
    }
}
