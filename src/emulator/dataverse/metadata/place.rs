//! Where a metadata path leads: segments come in, one definition or a list of them goes out, as the type
//! that the path names. Ids, names and casts that fit nothing are refused with 404.

use super::element::{Beyond, Element, choices, relationships, tables};
use super::list::type_of;
use crate::emulator::dataverse::address::{Arguments, Segment};
use crate::emulator::dataverse::model::Environment;
use crate::emulator::dataverse::multiple::NAMESPACE;
use crate::emulator::dataverse::refusal::Refusal;

/// Where a path leads.
#[derive(Debug)]
pub struct Place<'a> {
    /// What is there.
    pub found: Found<'a>,
    /// The type it is shown as.
    pub type_name: String,
    /// The definition that the last list hangs on.
    pub owner: Option<Element<'a>>,
    /// The name of the last list.
    pub list: String,
}

/// What is at a place.
#[derive(Debug)]
pub enum Found<'a> {
    /// A definition.
    One(Element<'a>),
    /// Definitions.
    Many(Vec<Element<'a>>),
    /// A navigation property that leads nowhere here.
    Nothing,
    /// A single property.
    Property(serde_json::Value),
}

/// Whether a path is one of metadata.
pub fn is_metadata(first: &Segment) -> bool {
    matches!(
        first.name.as_str(),
        "EntityDefinitions" | "RelationshipDefinitions" | "GlobalOptionSetDefinitions"
    )
}

impl<'a> Place<'a> {
    /// Follows a path.
    pub fn at(env: &'a Environment, path: &[Segment]) -> Result<Self, Refusal> {
        let (first, rest) = path.split_first().ok_or_else(|| Refusal::no_segment(""))?;
        let all = match first.name.as_str() {
            "EntityDefinitions" => tables(env),
            "RelationshipDefinitions" => relationships(env),
            "GlobalOptionSetDefinitions" => choices(env),
            other => return Err(Refusal::no_segment(other)),
        };
        let mut place = Self::list(&first.name, all, None).pick(first)?;
        for segment in rest {
            place = place.step(env, segment)?;
        }
        Ok(place)
    }

    fn list(name: &str, elements: Vec<Element<'a>>, owner: Option<Element<'a>>) -> Self {
        let type_name = type_of(name).to_owned();
        Self { found: Found::Many(elements), type_name, owner, list: name.to_owned() }
    }

    /// The one that the segment's parentheses name, or the whole list without them.
    fn pick(self, segment: &Segment) -> Result<Self, Refusal> {
        let Some(arguments) = &segment.arguments else { return Ok(self) };
        let Found::Many(elements) = self.found else { return Err(absent(segment)) };
        let chosen = |element: &Element<'_>| match arguments {
            Arguments::Id(id) => element.id() == *id,
            Arguments::Named(named) => {
                let (property, name) = element.name();
                matches!(named.as_slice(), [(key, value)]
                    if (key == property || key == "MetadataId")
                        && (value.content().eq_ignore_ascii_case(&name)
                            || value.content() == element.id().to_string()))
            }
        };
        let element = elements.into_iter().find(chosen).ok_or_else(|| absent(segment))?;
        Ok(Self { found: Found::One(element), ..self })
    }

    fn step(self, env: &'a Environment, segment: &Segment) -> Result<Self, Refusal> {
        let name = &segment.name;
        if let Some(cast) = name.strip_prefix(NAMESPACE) {
            return self.cast(cast, segment);
        }
        let Found::One(element) = self.found else { return Err(Refusal::no_segment(name)) };
        match element.beyond(env, name) {
            Some(Beyond::Many(elements)) => Self::list(name, elements, Some(element)).pick(segment),
            Some(Beyond::One(Some(one))) => Ok(Self {
                found: Found::One(one),
                type_name: one.type_name().to_owned(),
                owner: Some(element),
                list: name.clone(),
            }),
            Some(Beyond::One(None)) => Ok(Self { found: Found::Nothing, ..self }),
            None => {
                let value = element.members(env).remove(name);
                let value = value.ok_or_else(|| Refusal::no_segment(name))?;
                Ok(Self { found: Found::Property(value), ..self })
            }
        }
    }

    /// The same as a derived type: a list keeps those of it, one must be of it.
    fn cast(mut self, type_name: &str, segment: &Segment) -> Result<Self, Refusal> {
        let is = |element: &Element<'_>| element.type_name() == type_name;
        match &mut self.found {
            Found::Many(elements) => elements.retain(is),
            Found::One(element) if is(element) => {}
            Found::One(_) | Found::Nothing | Found::Property(_) => return Err(absent(segment)),
        }
        type_name.clone_into(&mut self.type_name);
        self.pick(segment)
    }
}

/// 404 `0x80040217`: no such definition.
fn absent(segment: &Segment) -> Refusal {
    let shown = match &segment.arguments {
        Some(Arguments::Id(id)) => id.to_string(),
        Some(Arguments::Named(named)) => {
            named.iter().map(|(_, value)| value.content()).collect::<Vec<_>>().join(",")
        }
        None => segment.name.clone(),
    };
    let message = format!("Could not find a definition in {} for '{shown}'.", segment.name);
    Refusal::new(404, "0x80040217", message)
}
