//! The print of a row: a hash of its key and one of every compared column, a few dozen bytes that stand
//! for the row while both sides are matched. Prints are kept in segments, sorted by key, so that two
//! sides of any size and any collation are merged in little memory, whatever order they were read in.
//!
//! Two keys share a hash once in 2^128; a column that differs is overlooked once in 2^32.

use bytes::Bytes;

use super::shape::{Cell, Face};
use crate::digest;
use crate::fault::{Fault, Kind};

/// What a row's side says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stand {
    /// It is there.
    There,
    /// The map leaves it out, and what is at the target stays.
    LeftOut,
    /// The map removes it.
    Gone,
    /// The map cannot read it.
    Refused,
}

/// One row of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Print {
    /// The hash of its key; of its id where there is no key.
    pub(super) key: [u8; 16],
    pub(super) stand: Stand,
    /// How its side finds it again.
    pub(super) id: Box<[u8]>,
    /// The hash of each compared column; zero where nothing is said.
    pub(super) cells: Box<[u32]>,
}

impl Print {
    /// Of a row with a face.
    pub(super) fn of(face: &Face, stand: Stand, id: &[u8]) -> Self {
        let key = match &face.key {
            Some(key) => digest::of([b"key".as_slice(), key.as_bytes()]),
            None => digest::of([b"id".as_slice(), id]),
        };
        let cells = face.cells.iter().map(cell).collect();
        Self { key, stand, id: id.into(), cells }
    }

    /// Whether nothing that both sides say differs.
    pub(super) fn agrees(&self, other: &Self) -> bool {
        let mut cells = self.cells.iter().zip(&other.cells);
        cells.all(|(one, two)| *one == 0 || *two == 0 || one == two)
    }
}

fn cell(cell: &Cell) -> u32 {
    let hash = |text: &[u8]| {
        let [a, b, c, d, ..] = digest::of([text]);
        u32::from_be_bytes([a, b, c, d]).max(2)
    };
    match cell {
        Cell::Unset => 0,
        Cell::Null => 1,
        Cell::Is(text) => hash(text.as_bytes()),
    }
}

/// Prints as they are stored: the number of columns, then each print, ascending by key.
pub(super) fn segment(mut prints: Vec<Print>, width: usize) -> Bytes {
    prints.sort_by(|one, two| (one.key, one.stand, &one.id).cmp(&(two.key, two.stand, &two.id)));
    let mut bytes = Vec::with_capacity(2 + prints.len() * (40 + 4 * width));
    bytes.extend(u16::try_from(width).unwrap_or(u16::MAX).to_be_bytes());
    for Print { key, stand, id, cells } in prints {
        bytes.extend(key);
        bytes.push(stand as u8);
        bytes.extend(u16::try_from(id.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend(&*id);
        cells.iter().for_each(|cell| bytes.extend(cell.to_be_bytes()));
    }
    bytes.into()
}

/// The number of columns of a segment.
pub(super) fn width(head: &[u8]) -> Option<usize> {
    let (width, _) = head.split_first_chunk::<2>()?;
    Some(u16::from_be_bytes(*width).into())
}

/// Takes the first print off the bytes of a segment; none when they break off within it.
pub(super) fn take(bytes: &mut &[u8], width: usize) -> Result<Option<Print>, Fault> {
    let Some((key, rest)) = bytes.split_first_chunk::<16>() else { return Ok(None) };
    let Some((stand, rest)) = rest.split_first() else { return Ok(None) };
    let Some((length, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
    let Some((id, rest)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else {
        return Ok(None);
    };
    let Some((cells, rest)) = rest.split_at_checked(4 * width) else { return Ok(None) };
    let stand = match stand {
        0 => Stand::There,
        1 => Stand::LeftOut,
        2 => Stand::Gone,
        3 => Stand::Refused,
        _ => return Err(Fault::new(Kind::Misconfigured, "a segment of prints is not one of ours")),
    };
    let (chunks, _) = cells.as_chunks::<4>();
    let cells = chunks.iter().map(|cell| u32::from_be_bytes(*cell)).collect();
    *bytes = rest;
    Ok(Some(Print { key: *key, stand, id: id.into(), cells }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(key: &str, cells: Vec<Cell>) -> Print {
        let face = Face { key: Some(key.to_owned()), cells };
        Print::of(&face, Stand::There, key.as_bytes())
    }

    fn is(text: &str) -> Cell {
        Cell::Is(text.to_owned())
    }

    #[test]
    fn a_segment_gives_its_prints_back_in_the_order_of_their_keys() {
        let prints: Vec<Print> =
            ["b", "a", "", "long key"].map(|key| print(key, vec![is(key), Cell::Null])).into();
        let bytes = segment(prints.clone(), 2);
        let mut rest = &bytes[2..];
        let mut back = Vec::new();
        while let Some(print) = take(&mut rest, width(&bytes).unwrap()).unwrap() {
            back.push(print);
        }
        assert!(rest.is_empty() && back.is_sorted_by_key(|print| print.key));
        assert!(prints.iter().all(|print| back.contains(print)));
        let mut broken = &bytes[2..bytes.len() - 1];
        assert_eq!(std::iter::from_fn(|| take(&mut broken, 2).unwrap()).count(), 3);
    }

    #[test]
    fn only_what_both_sides_say_can_differ() {
        let ours = print("a", vec![is("x"), Cell::Unset, Cell::Null]);
        assert!(ours.agrees(&print("a", vec![is("x"), is("y"), Cell::Null])));
        assert!(!ours.agrees(&print("a", vec![is("z"), Cell::Unset, Cell::Null])));
        assert!(!ours.agrees(&print("a", vec![is("x"), Cell::Unset, is("")])));
    }
}
