//! Sorting rows and cutting a page out of them. Rows with equal sort columns stand in the order of their
//! ids, so that a page can start after the last row of the one before even when rows came or went.

use std::cmp::Ordering;

use uuid::Uuid;

use super::cookie::{Cookie, Place, malformed};
use super::operand::Operand;
use crate::emulator::dataverse::model::Kind;
use crate::emulator::dataverse::refusal::Refusal;

/// The most rows of a page, and their number when nothing else is asked.
pub const LARGEST: usize = 5_000;

/// Something to be sorted: its sort values and its row's id.
#[derive(Clone, Debug)]
pub struct Keyed<T> {
    /// The values to sort by, in order.
    pub keys: Vec<Operand>,
    /// The row's id, the last sort key.
    pub id: Uuid,
    /// What it is.
    pub item: T,
}

/// One column to sort by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct By {
    /// The column as the cookie names it.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Highest first.
    pub descending: bool,
}

/// How a query is paged.
#[derive(Clone, Debug)]
pub struct Paging {
    /// Rows a page.
    pub size: usize,
    /// The page asked for, from 1.
    pub page: usize,
    /// Where the page before ended, when the caller said.
    pub place: Option<Place>,
    /// Whether a place tells the next page exactly: every row stands once, sorted by its own columns.
    pub exact: bool,
}

impl Paging {
    /// The page after which `cookie` was handed out; the first without one.
    pub fn after(cookie: Option<Cookie>, size: usize) -> Self {
        let (page, place) = cookie.map_or((1, None), |cookie| (cookie.page, cookie.place));
        Self { size: size.clamp(1, LARGEST), page: page.max(1), place, exact: true }
    }

    /// The same for items that are sorted by their ids alone: only what stands on the page is sorted.
    pub fn cut_by_id<T>(
        &self,
        items: impl Iterator<Item = (Uuid, T)>,
        primary: &str,
    ) -> Result<(Vec<T>, Option<Cookie>), Refusal> {
        let after = match &self.place {
            Some(place) => Some(place.read_as(&[], primary)?.1),
            None => None,
        };
        let mut items: Vec<(Uuid, T)> =
            items.filter(|(id, _)| after.is_none_or(|after| *id > after)).collect();
        // without a place, pages are only counted
        let skip = if after.is_some() { 0 } else { self.size.saturating_mul(self.page - 1) };
        let end = skip.saturating_add(self.size);
        let more = items.len() > end;
        if more {
            items.select_nth_unstable_by_key(end, |(id, _)| *id);
            items.truncate(end);
        }
        items.sort_unstable_by_key(|(id, _)| *id);
        let page: Vec<(Uuid, T)> = items.into_iter().skip(skip).collect();
        let last = page.last().map(|(id, _)| *id).filter(|_| more);
        let cookie = last.map(|id| {
            let place = Place { last: vec![(primary.to_owned(), Some(format!("{{{id}}}")))] };
            Cookie { page: self.page.saturating_add(1), place: Some(place) }
        });
        Ok((page.into_iter().map(|(_, item)| item).collect(), cookie))
    }

    /// Sorts and cuts: the page, and the cookie of the next one when there is one.
    pub fn cut<T>(
        &self,
        mut items: Vec<Keyed<T>>,
        by: &[By],
        primary: &str,
    ) -> Result<(Vec<T>, Option<Cookie>), Refusal> {
        items.sort_by(|left, right| order(by, (&left.keys, left.id), (&right.keys, right.id)));
        let skip = match &self.place {
            Some(place) if self.exact => {
                let (keys, id) = place.read_as(by, primary)?;
                items.partition_point(|one| {
                    order(by, (&one.keys, one.id), (&keys, id)) != Ordering::Greater
                })
            }
            _ => self.size.saturating_mul(self.page - 1),
        };
        let more = items.len().saturating_sub(skip) > self.size;
        let page: Vec<Keyed<T>> = items.into_iter().skip(skip).take(self.size).collect();
        let place = page.last().filter(|_| self.exact).map(|last| Place::of(last, by, primary));
        let cookie = more.then_some(Cookie { page: self.page.saturating_add(1), place });
        Ok((page.into_iter().map(|one| one.item).collect(), cookie))
    }
}

fn order(by: &[By], left: (&[Operand], Uuid), right: (&[Operand], Uuid)) -> Ordering {
    let columns = by.iter().zip(left.0).zip(right.0).map(|((by, left), right)| {
        let order = left.sort(right);
        if by.descending { order.reverse() } else { order }
    });
    columns.fold(Ordering::Equal, Ordering::then).then(left.1.cmp(&right.1))
}

impl Place {
    fn of<T>(one: &Keyed<T>, by: &[By], primary: &str) -> Self {
        let columns = by.iter().zip(&one.keys).map(|(by, value)| {
            let text = (*value != Operand::Null).then(|| value.text());
            (by.name.clone(), text)
        });
        let id = (primary.to_owned(), Some(format!("{{{}}}", one.id)));
        Self { last: columns.chain(std::iter::once(id)).collect() }
    }

    fn read_as(&self, by: &[By], primary: &str) -> Result<(Vec<Operand>, Uuid), Refusal> {
        let text = |name: &str| {
            let found = self.last.iter().rfind(|(column, _)| column == name);
            found.map(|(_, text)| text.as_deref()).ok_or_else(malformed)
        };
        let value = |by: &By| match text(&by.name)? {
            Some(text) => Operand::read(by.kind, text).ok_or_else(malformed),
            None => Ok(Operand::Null),
        };
        let keys = by.iter().map(value).collect::<Result<_, _>>()?;
        let id = text(primary)?.and_then(|text| Uuid::parse_str(text).ok());
        Ok((keys, id.ok_or_else(malformed)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u128, name: &str) -> Keyed<u128> {
        let keys = vec![match name {
            "" => Operand::Null,
            name => Operand::Text(name.into()),
        }];
        Keyed { keys, id: Uuid::from_u128(number), item: number }
    }

    fn by(descending: bool) -> [By; 1] {
        [By { name: "name".into(), kind: Kind::String, descending }]
    }

    #[test]
    fn pages_follow_each_other_though_rows_vanish() {
        let rows = || vec![row(1, "b"), row(2, "a"), row(3, "a"), row(4, ""), row(5, "c")];
        let first = Paging::after(None, 2);
        let (page, cookie) = first.cut(rows(), &by(false), "id").unwrap();
        assert_eq!(page, [4, 2]);
        let rest = rows().into_iter().filter(|one| one.item != 2).collect();
        let second = Paging::after(cookie, 2);
        let (page, cookie) = second.cut(rest, &by(false), "id").unwrap();
        assert_eq!(page, [3, 1]);
        let (page, cookie) = Paging::after(cookie, 2).cut(rows(), &by(false), "id").unwrap();
        assert_eq!((page, cookie), (vec![5], None));
    }

    #[test]
    fn pages_by_id_are_those_of_a_sorted_table() {
        let rows = || [5_u128, 3, 9, 1, 7].map(|n| (Uuid::from_u128(n), n)).into_iter();
        let (page, cookie) = Paging::after(None, 2).cut_by_id(rows(), "id").unwrap();
        assert_eq!(page, [1, 3]);
        let (page, cookie) = Paging::after(cookie, 2).cut_by_id(rows(), "id").unwrap();
        assert_eq!(page, [5, 7]);
        let (page, cookie) = Paging::after(cookie, 2).cut_by_id(rows(), "id").unwrap();
        assert_eq!((page, cookie), (vec![9], None));
        let counted = Cookie { page: 2, place: None };
        let (page, _) = Paging::after(Some(counted), 3).cut_by_id(rows(), "id").unwrap();
        assert_eq!(page, [7, 9]);
    }

    #[test]
    fn descending_puts_null_last_and_keeps_ids_ascending() {
        let rows = vec![row(1, ""), row(3, "a"), row(2, "a")];
        let (page, _) = Paging::after(None, 9).cut(rows, &by(true), "id").unwrap();
        assert_eq!(page, [2, 3, 1]);
    }

    #[test]
    fn a_cookie_of_another_query_is_refused() {
        let place = Place { last: vec![("other".into(), None)] };
        let paging = Paging::after(Some(Cookie { page: 2, place: Some(place) }), 2);
        assert!(paging.cut(vec![row(1, "a")], &by(false), "id").is_err());
    }
}
