//! The zip: entries in order, one fixed time, Unix permissions, deflate as small as it can be.
//!
//! Written here because every byte of it matters: the same entries give the same archive, and the
//! executable bit must be in it (the format is PKWARE's application note, sections 4.3 and 4.4). An
//! archive past 4 GiB would need another form of it; a function app may have one.

use std::num::NonZeroU64;

use flate2::Crc;
use zopfli::{Format, Options};

use super::layout::Entry;

/// 1980-01-01, the first day that a zip can tell.
const DATE: u16 = 0x0021;
const MIDNIGHT: u16 = 0;
/// Version 2.0: deflate and folders.
const NEEDED: u16 = 20;
/// Made on Unix (3), so that permissions count.
const MADE_BY: u16 = 3 << 8 | NEEDED;
/// Names are UTF-8.
const UTF8: u16 = 1 << 11;
const DEFLATED: u16 = 8;
/// How often the best blocks are looked for.
const ROUNDS: NonZeroU64 = NonZeroU64::MIN.saturating_add(4);
/// A regular file, beside its permissions.
const REGULAR: u32 = 0o100_000;

/// The archive.
pub(super) fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    for entry in entries {
        let offset = small(archive.len());
        let content = deflated(&entry.content);
        let about = about(entry, &content);
        archive.extend(*b"PK\x03\x04");
        put16(&mut archive, [NEEDED]);
        archive.extend(&about);
        put16(&mut archive, [0]);
        archive.extend(entry.name.as_bytes());
        archive.extend(content);

        directory.extend(*b"PK\x01\x02");
        put16(&mut directory, [MADE_BY, NEEDED]);
        directory.extend(&about);
        // Extra field, comment, disk and internal attributes: none.
        put16(&mut directory, [0, 0, 0, 0]);
        put32(&mut directory, [(REGULAR | entry.mode()) << 16, offset]);
        directory.extend(entry.name.as_bytes());
    }
    let (start, count) = (small(archive.len()), u16::try_from(entries.len()).unwrap_or(u16::MAX));
    let length = small(directory.len());
    archive.extend(directory);
    archive.extend(*b"PK\x05\x06");
    put16(&mut archive, [0, 0, count, count]);
    put32(&mut archive, [length, start]);
    put16(&mut archive, [0]);
    archive
}

/// What both headers say of an entry.
fn about(entry: &Entry, content: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(&entry.content);
    let mut about = Vec::new();
    put16(&mut about, [UTF8, DEFLATED, MIDNIGHT, DATE]);
    put32(&mut about, [crc.sum(), small(content.len()), small(entry.content.len())]);
    put16(&mut about, [u16::try_from(entry.name.len()).unwrap_or(u16::MAX)]);
    about
}

fn deflated(content: &[u8]) -> Vec<u8> {
    // More rounds take longer and save next to nothing.
    let options = Options { iteration_count: ROUNDS, ..Options::default() };
    let mut deflated = Vec::new();
    // A vector takes everything.
    zopfli::compress(options, Format::Deflate, content, &mut deflated).ok();
    deflated
}

fn small(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

fn put16<const N: usize>(into: &mut Vec<u8>, values: [u16; N]) {
    into.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn put32<const N: usize>(into: &mut Vec<u8>, values: [u32; N]) {
    into.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}
