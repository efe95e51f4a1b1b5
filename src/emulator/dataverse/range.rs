//! `Range` and `Content-Range`.

use std::ops::Range;

/// `bytes 0-99/200`: first and last byte, and the size of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u64,
    /// The last byte.
    pub end: u64,
    /// The size of the whole.
    pub total: u64,
}

/// Reads a `Content-Range`.
pub fn content(header: &str) -> Option<Span> {
    let (range, total) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (start, end) = range.split_once('-')?;
    Some(Span { start: start.parse().ok()?, end: end.parse().ok()?, total: total.parse().ok()? })
}

/// Reads a `Range` with one span, for a content of `total` bytes. A span that begins exactly at the
/// end is empty; one that begins behind it, or cannot be read, is nothing.
pub fn asked(header: &str, total: usize) -> Option<Range<usize>> {
    let (start, end) = header.strip_prefix("bytes=")?.split_once('-')?;
    if start.is_empty() {
        let last: usize = end.parse().ok()?;
        return Some(total.saturating_sub(last)..total);
    }
    let start: usize = start.parse().ok()?;
    let end = if end.is_empty() { total } else { end.parse::<usize>().ok()?.saturating_add(1) };
    let end = end.min(total);
    (start <= end).then_some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_at_the_end() {
        assert_eq!(asked("bytes=0-3", 10), Some(0..4));
        assert_eq!(asked("bytes=8-99", 10), Some(8..10));
        assert_eq!(asked("bytes=8-", 10), Some(8..10));
        assert_eq!(asked("bytes=-3", 10), Some(7..10));
        assert_eq!(asked("bytes=10-19", 10), Some(10..10));
        assert_eq!(asked("bytes=11-19", 10), None);
        assert_eq!(asked("bytes=9-2", 10), None);
    }

    #[test]
    fn a_content_range_needs_all_three_numbers() {
        assert_eq!(content("bytes 0-9/20"), Some(Span { start: 0, end: 9, total: 20 }));
        assert_eq!(content("bytes 0-9/*"), None);
    }
}
