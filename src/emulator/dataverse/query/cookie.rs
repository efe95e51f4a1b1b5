//! Paging cookies: where a page ended, as the XML that `$skiptoken`, the FetchXML annotation and the
//! `paging-cookie` attribute carry. The inner cookie is percent-encoded twice inside the outer one
//! (Dataverse Web API, FetchXML paging; observed in public clients).

use percent_encoding::percent_decode_str;
use quick_xml::XmlVersion;
use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use crate::emulator::dataverse::refusal::Refusal;

/// Where a page ended: each sort column, the primary id last, with the value of the last row there;
/// `None` for null.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Column and value.
    pub last: Vec<(String, Option<String>)>,
}

/// A cookie: the number of the next page and, unless only pages are counted, where the last one ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The next page, from 2.
    pub page: usize,
    /// Where the one before ended.
    pub place: Option<Place>,
}

impl Cookie {
    /// The outer XML element.
    pub fn outer(&self) -> String {
        let inner = self.place.as_ref().map(|place| {
            let inner = encoded(&encoded(&place.inner(self.page.saturating_sub(1))));
            format!("pagingcookie=\"{inner}\" ")
        });
        format!(
            "<cookie pagenumber=\"{}\" {}istracking=\"False\" />",
            self.page,
            inner.unwrap_or_default()
        )
    }

    /// Reads the outer XML element, as `$skiptoken` has it after decoding.
    pub fn read_outer(text: &str) -> Result<Self, Refusal> {
        let element = elements(text)?.into_iter().next().ok_or_else(malformed)?;
        let page = element.attribute("pagenumber").and_then(|page| page.parse().ok());
        let place = element.attribute("pagingcookie").map(|inner| {
            let once = percent_decode_str(inner).decode_utf8_lossy().into_owned();
            Place::read(&percent_decode_str(&once).decode_utf8_lossy())
        });
        Ok(Self { page: page.ok_or_else(malformed)?, place: place.transpose()? })
    }
}

impl Place {
    fn inner(&self, page: usize) -> String {
        let column = |(column, value): &(String, Option<String>)| match value {
            Some(value) => {
                let value = escape(value.as_str());
                format!("<{column} last=\"{value}\" first=\"{value}\" />")
            }
            None => format!("<{column} lastnull=\"1\" firstnull=\"1\" />"),
        };
        let columns: String = self.last.iter().map(column).collect();
        format!("<cookie page=\"{page}\">{columns}</cookie>")
    }

    /// Reads the inner XML, as the `paging-cookie` attribute has it.
    pub fn read(text: &str) -> Result<Self, Refusal> {
        let columns = elements(text)?.into_iter().skip(1);
        let last = columns.map(|element| {
            let value = element.attribute("last").map(str::to_owned);
            (element.name, value)
        });
        Ok(Self { last: last.collect() })
    }
}

struct Element {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// All elements in document order.
fn elements(text: &str) -> Result<Vec<Element>, Refusal> {
    let mut reader = Reader::from_str(text);
    let mut found = Vec::new();
    loop {
        match reader.read_event().map_err(|_| malformed())? {
            Event::Start(start) | Event::Empty(start) => found.push(element(&start)?),
            Event::Eof => return Ok(found),
            Event::End(_)
            | Event::Text(_)
            | Event::CData(_)
            | Event::Comment(_)
            | Event::Decl(_)
            | Event::PI(_)
            | Event::DocType(_)
            | Event::GeneralRef(_) => {}
        }
    }
}

fn element(start: &BytesStart<'_>) -> Result<Element, Refusal> {
    let mut attributes = Vec::new();
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| malformed())?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| malformed())?;
        attributes.push((name_of(attribute.key.as_ref()), value.into_owned()));
    }
    Ok(Element { name: name_of(start.name().as_ref()), attributes })
}

fn name_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Percent-encoding with small hex digits, as the service writes it.
fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
    let spell = |byte: u8| {
        if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") }
    };
    text.bytes().map(spell).collect()
}

/// 400: the cookie is none of ours.
pub fn malformed() -> Refusal {
    Refusal::bad("0x80040203", "Malformed XML in the Paging Cookie")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_comes_back_as_it_went() {
        let last = vec![
            ("name".to_owned(), Some("A & \"B\" <ü>".to_owned())),
            ("revenue".to_owned(), None),
            ("accountid".to_owned(), Some("5f0c2a11-0d3e-ef11-8409-000d3a1f2b3c".to_owned())),
        ];
        let cookie = Cookie { page: 3, place: Some(Place { last }) };
        assert!(
            cookie
                .outer()
                .starts_with("<cookie pagenumber=\"3\" pagingcookie=\"%253ccookie%2520page")
        );
        assert_eq!(Cookie::read_outer(&cookie.outer()).unwrap(), cookie);
    }

    #[test]
    fn a_cookie_may_only_count_pages() {
        let cookie = Cookie { page: 2, place: None };
        assert_eq!(Cookie::read_outer(&cookie.outer()).unwrap(), cookie);
    }

    #[test]
    fn what_is_no_cookie_is_refused() {
        for text in [
            "",
            "x",
            "<cookie/>",
            "<cookie pagenumber='a'/>",
            "<a",
            "<cookie pagenumber=\"2\" pagingcookie=\"%3\"><",
        ] {
            assert!(Cookie::read_outer(text).is_err(), "{text} was taken");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(<cookie |pagenumber=\"2\"|pagingcookie=\"%253c|/>|[a-z<>\"%=&; ]){0,20}") {
            let _unused = Cookie::read_outer(&text);
        }
    }
}
