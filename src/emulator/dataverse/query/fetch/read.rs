//! FetchXML text to a plan. Elements and attributes that are not known are passed over, as the service
//! does; what is no XML, nests deeper than [`DEEPEST`] or holds no entity is refused.

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::reader::Reader;

use super::plan::{Attribute, Condition, Fetch, Filter, Link, Node, Order};
use crate::emulator::dataverse::query::aggregate::Function;
use crate::emulator::dataverse::query::cookie::Place;
use crate::emulator::dataverse::refusal::Refusal;

/// How deep elements may be nested.
const DEEPEST: usize = 50;

/// Reads a query.
pub fn read(xml: &str) -> Result<Fetch, Refusal> {
    let root = tree(xml)?;
    if root.name != "fetch" {
        return Err(invalid("the root element must be <fetch>"));
    }
    let entity = root.children.iter().find(|child| child.name == "entity");
    let entity = entity.ok_or_else(|| invalid("there is no <entity> element"))?;
    let cookie = root.text("paging-cookie").filter(|cookie| !cookie.is_empty());
    let fetch = Fetch {
        root: node(entity, String::new(), &mut 0)?,
        top: root.number("top")?,
        count: root.number("count")?,
        page: root.number("page")?,
        place: cookie.as_deref().map(Place::read).transpose()?,
        aggregate: root.truth("aggregate"),
        distinct: root.truth("distinct"),
        total: root.truth("returntotalrecordcount"),
    };
    if fetch.top.is_some() && (fetch.page.is_some() || fetch.count.is_some()) {
        return Err(invalid("the top attribute can't be specified with paging attributes"));
    }
    Ok(fetch)
}

fn node(element: &Element, alias: String, links: &mut usize) -> Result<Node, Refusal> {
    let table = element.required("name")?;
    let mut node = Node { table, alias, ..Node::default() };
    for child in &element.children {
        match child.name.as_str() {
            "attribute" => node.attributes.push(attribute(child)?),
            "all-attributes" => node.all = true,
            "order" => node.orders.push(order(child)?),
            "filter" => node.filters.push(filter(child)?),
            "link-entity" => node.links.push(link(child, links)?),
            _ => {}
        }
    }
    Ok(node)
}

fn link(element: &Element, links: &mut usize) -> Result<Link, Refusal> {
    *links += 1;
    let alias = element.text("alias");
    let alias =
        alias.unwrap_or_else(|| format!("{}{links}", element.text("name").unwrap_or_default()));
    let (outer, exists) = match element.text("link-type").as_deref() {
        None | Some("inner" | "natural") => (false, false),
        Some("outer") => (true, false),
        Some("exists" | "in" | "any" | "matchfirstrowusingcrossapply") => (false, true),
        Some(other) => return Err(invalid(&format!("the link-type '{other}' is not supported"))),
    };
    let node = node(element, alias, links)?;
    Ok(Link { node, from: element.required("from")?, to: element.required("to")?, outer, exists })
}

fn attribute(element: &Element) -> Result<Attribute, Refusal> {
    let distinct = element.truth("distinct");
    let function = match element.text("aggregate").as_deref() {
        None => None,
        Some("count") => Some(Function::Count),
        Some("countcolumn") if distinct => Some(Function::CountDistinct),
        Some("countcolumn") => Some(Function::CountColumn),
        Some("sum") => Some(Function::Sum),
        Some("min") => Some(Function::Min),
        Some("max") => Some(Function::Max),
        Some("avg") => Some(Function::Average),
        Some(other) => return Err(invalid(&format!("the aggregate '{other}' is not supported"))),
    };
    Ok(Attribute {
        name: element.required("name")?,
        alias: element.text("alias"),
        function,
        group: element.truth("groupby"),
        date_part: element.text("dategrouping"),
    })
}

fn order(element: &Element) -> Result<Order, Refusal> {
    let name = element.text("alias").or_else(|| element.text("attribute"));
    Ok(Order {
        name: name.ok_or_else(|| invalid("an <order> names neither attribute nor alias"))?,
        table: element.text("entityname"),
        descending: element.truth("descending"),
    })
}

fn filter(element: &Element) -> Result<Filter, Refusal> {
    let part = |child: &Element| match child.name.as_str() {
        "filter" => filter(child).map(Some),
        "condition" => condition(child).map(Filter::Condition).map(Some),
        _ => Ok(None),
    };
    let parts = element.children.iter().map(part).filter_map(Result::transpose);
    let parts = parts.collect::<Result<_, _>>()?;
    match element.text("type").as_deref() {
        None | Some("and") => Ok(Filter::And(parts)),
        Some("or") => Ok(Filter::Or(parts)),
        Some(other) => Err(invalid(&format!("the filter type '{other}' is not supported"))),
    }
}

fn condition(element: &Element) -> Result<Condition, Refusal> {
    let inner = element.children.iter().filter(|child| child.name == "value");
    let values = inner.map(|child| child.content.clone());
    Ok(Condition {
        table: element.text("entityname"),
        column: element.required("attribute")?,
        operator: element.required("operator")?,
        values: element.text("value").into_iter().chain(values).collect(),
        value_of: element.text("valueof"),
    })
}

#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    content: String,
}

impl Element {
    fn text(&self, name: &str) -> Option<String> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
    }

    fn required(&self, name: &str) -> Result<String, Refusal> {
        let missing = || invalid(&format!("<{}> has no attribute '{name}'", self.name));
        self.text(name).ok_or_else(missing)
    }

    fn truth(&self, name: &str) -> bool {
        matches!(self.text(name).as_deref(), Some("true" | "1"))
    }

    fn number(&self, name: &str) -> Result<Option<usize>, Refusal> {
        let wrong = |_| invalid(&format!("the attribute '{name}' must be a whole number"));
        self.text(name).map(|text| text.parse()).transpose().map_err(wrong)
    }
}

/// The whole document.
fn tree(xml: &str) -> Result<Element, Refusal> {
    let mut reader = Reader::from_str(xml);
    let mut open: Vec<Element> = vec![Element::default()];
    loop {
        let event = reader.read_event().map_err(|error| invalid(&error.to_string()))?;
        match event {
            Event::Start(start) if open.len() > DEEPEST => {
                let name = String::from_utf8_lossy(start.name().as_ref()).into_owned();
                return Err(invalid(&format!("<{name}> is nested too deeply")));
            }
            Event::Start(start) => open.push(element(&start)?),
            Event::Empty(start) => adopt(&mut open, element(&start)?),
            Event::End(_) => {
                if let Some(done) = open.pop() {
                    adopt(&mut open, done);
                }
            }
            Event::Text(text) => {
                let text = text.xml_content(XmlVersion::Implicit1_0);
                let text = text.map_err(|error| invalid(&error.to_string()))?;
                append(&mut open, &text);
            }
            Event::GeneralRef(name) => {
                let name = String::from_utf8_lossy(&name).into_owned();
                append(&mut open, &entity(&name)?);
            }
            Event::CData(data) => append(&mut open, &String::from_utf8_lossy(&data)),
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    let only = open.pop().and_then(|mut document| document.children.pop());
    only.filter(|_| open.is_empty())
        .ok_or_else(|| invalid("the document has no complete root element"))
}

fn adopt(open: &mut [Element], child: Element) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(child);
    }
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        element.content.push_str(text);
    }
}

/// `amp`, `lt`, `#39` and the like.
fn entity(name: &str) -> Result<String, Refusal> {
    let text = format!("&{name};");
    let found = quick_xml::escape::unescape(&text).map_err(|error| invalid(&error.to_string()))?;
    Ok(found.into_owned())
}

fn element(start: &BytesStart<'_>) -> Result<Element, Refusal> {
    let mut element = Element {
        name: String::from_utf8_lossy(start.name().as_ref()).into_owned(),
        ..Element::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|error| invalid(&error.to_string()))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|error| invalid(&error.to_string()))?.into_owned();
        let key = String::from_utf8_lossy(attribute.key.as_ref()).into_owned();
        element.attributes.push((key, value));
    }
    Ok(element)
}

/// 400 `0x80041111`: the query is no FetchXML.
pub(super) fn invalid(what: &str) -> Refusal {
    Refusal::bad("0x80041111", format!("Invalid FetchXML: {what}."))
}
