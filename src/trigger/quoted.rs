//! A batch as the host quotes it: a string that holds a JSON array of strings. Its texts come out side by
//! side in one buffer, both layers of quotes taken off in one pass. None when it is anything else: an
//! element that is no text, or no text that Unicode can hold, or too many of them; other readers say why.

use bytes::Bytes;

use crate::quote;

/// A quote in a text of the array, which is by far the most frequent escape there.
const QUOTE: &[u8] = br#"\\\""#;

/// Reads the body of a call from its start.
pub(super) struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

/// A character of a quoted text, and whether it stood there as it is.
type Char = (char, bool);

impl<'b> Reader<'b> {
    pub(super) fn new(body: &'b [u8]) -> Self {
        Self { bytes: body, at: 0 }
    }

    /// Where it has come to.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Steps over one of JSON's own characters.
    pub(super) fn mark(&mut self, mark: u8) -> Option<()> {
        let rest = self.bytes.get(self.at..)?;
        let space = rest.iter().position(|byte| !b" \t\r\n".contains(byte))?;
        self.at += space + 1;
        (rest.get(space) == Some(&mark)).then_some(())
    }

    /// Steps over a name without escapes, and the colon behind it.
    pub(super) fn name(&mut self) -> Option<&'b str> {
        self.mark(b'"')?;
        let end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let (name, _) = self.rest().split_at_checked(self.rest().iter().position(end)?)?;
        self.at += name.len();
        (self.next()? == b'"').then_some(())?;
        self.mark(b':')?;
        std::str::from_utf8(name).ok()
    }

    /// Steps over a string that holds an array of at most `most` strings, and answers their texts.
    pub(super) fn batch(&mut self, most: usize) -> Option<Vec<Bytes>> {
        self.mark(b'"')?;
        // Whatever is copied is copied by the word.
        let mut buffer = Vec::with_capacity(self.bytes.len() - self.at + size_of::<u64>());
        let mut ends = Vec::new();
        self.inner(&['['])?;
        let mut mark = self.inner(&['"', ']'])?;
        while mark == '"' {
            if ends.len() == most {
                return None;
            }
            self.text(&mut buffer)?;
            ends.push(buffer.len());
            mark = self.inner(&[',', ']'])?;
            if mark == ',' {
                mark = self.inner(&['"'])?;
            }
        }
        self.mark(b'"')?;
        let (buffer, mut start) = (Bytes::from(buffer), 0);
        Some(
            ends.into_iter()
                .map(|end| buffer.slice(std::mem::replace(&mut start, end)..end))
                .collect(),
        )
    }

    /// Appends one text of the array, whose opening quote was stepped over.
    fn text(&mut self, buffer: &mut Vec<u8>) -> Option<()> {
        loop {
            // What has no escape in the outer string has none in the inner.
            self.at += quote::push_plain(self.rest(), buffer);
            if self.rest().starts_with(QUOTE) {
                self.at += QUOTE.len();
                buffer.push(b'"');
                continue;
            }
            match self.char()? {
                ('"', _) => return Some(()),
                ('\\', _) => match self.char()? {
                    (char @ ('"' | '\\' | '/'), _) => push(char, buffer),
                    ('n', _) => buffer.push(b'\n'),
                    ('t', _) => buffer.push(b'\t'),
                    ('r', _) => buffer.push(b'\r'),
                    ('b', _) => buffer.push(8),
                    ('f', _) => buffer.push(12),
                    ('u', _) => push(self.unicode(|reader| Some(reader.char()?.0))?, buffer),
                    _ => return None,
                },
                (char, _) if char < ' ' => return None,
                (char, _) => push(char, buffer),
            }
        }
    }

    /// Steps over one of JSON's own characters in the inner text.
    fn inner(&mut self, marks: &[char]) -> Option<char> {
        loop {
            match self.char()?.0 {
                ' ' | '\t' | '\r' | '\n' => {}
                char => return marks.contains(&char).then_some(char),
            }
        }
    }

    fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next character of the outer string; none at its end.
    fn char(&mut self) -> Option<Char> {
        let byte = self.next()?;
        if byte != b'\\' {
            // Only ASCII is asked for here: all else is part of a run.
            return (byte.is_ascii() && byte >= b' ' && byte != b'"')
                .then(|| (char::from(byte), true));
        }
        let char = match self.next()? {
            byte @ (b'"' | b'\\' | b'/') => char::from(byte),
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => self.unicode(|reader| reader.next().map(char::from))?,
            _ => return None,
        };
        Some((char, false))
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte
    }

    /// What stands behind `\u`: a character, or the two halves of one.
    fn unicode(&mut self, mut next: impl FnMut(&mut Self) -> Option<char>) -> Option<char> {
        let first = self.unit(&mut next)?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        let escaped = next(self)? == '\\' && next(self)? == 'u';
        let second = self.unit(&mut next).filter(|_| escaped)?;
        let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low)
    }

    fn unit(&mut self, next: &mut impl FnMut(&mut Self) -> Option<char>) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit << 4 | next(self)?.to_digit(16)?))
    }
}

fn push(char: char, buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn batch(json: &str, most: usize) -> Option<Vec<String>> {
        let quoted = serde_json::to_string(json).unwrap();
        let mut reader = Reader::new(quoted.as_bytes());
        let read = reader.batch(most)?;
        assert_eq!(reader.at(), quoted.len());
        Some(read.iter().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect())
    }

    #[test]
    fn texts_come_out_as_they_were_quoted_and_nothing_else_does() {
        let read = batch(r#" ["{\"a\":1}", "", "é\u00e9\n\ud83d\ude00/\/"] "#, 3).unwrap();
        assert_eq!(read, ["{\"a\":1}", "", "éé\n😀//"]);
        assert_eq!(batch("[]", 0), Some(Vec::new()));
        for other in [
            r#"["a", 1]"#,
            r#"[{"a":1}]"#,
            r#"["\ud800"]"#,
            r#"["\ud800\u0041"]"#,
            r#"["\x"]"#,
            "[\"\n\"]",
            "\"a\"",
            r#"["a"] x"#,
            r#"["a",]"#,
            r#"["a" "b"]"#,
            "[",
            "",
        ] {
            assert_eq!(batch(other, 3), None, "{other}");
        }
        assert_eq!(batch(r#"["a", "b"]"#, 1), None, "too many");
        assert_eq!(Reader::new("\"[\"a\"]\"".as_bytes()).batch(3), None, "quotes must be escaped");
    }

    proptest! {
        #[test]
        fn whatever_was_quoted_twice_comes_back(
            texts in prop::collection::vec("\\PC{0,20}|[\\x00-\\x7f]{0,20}", 0..5),
            ascii in any::<bool>(),
        ) {
            let json = serde_json::to_string(&texts).unwrap();
            // Some serialisers escape whatever is not ASCII.
            let mut escaped = String::new();
            for char in json.chars() {
                match char {
                    char if char.is_ascii() || !ascii => escaped.push(char),
                    char => for unit in char.encode_utf16(&mut [0; 2]) {
                        write!(escaped, "\\u{unit:04x}").unwrap();
                    },
                }
            }
            prop_assert_eq!(batch(&escaped, 5), Some(texts));
        }
    }
}
