//! Definitions as JSON: `$filter`, `$select`, `$expand` and `$orderby` over them. Lists are never paged;
//! `MetadataId` is always there (Dataverse Web API, query table definitions).

use serde_json::{Value, json};

use super::element::{Beyond, Element, Members};
use super::{choice, column, relationship};
use crate::emulator::dataverse::model::Environment;
use crate::emulator::dataverse::query::expression::Subject;
use crate::emulator::dataverse::query::operand::{Family, Operand};
use crate::emulator::dataverse::query::options::Options;
use crate::emulator::dataverse::query::shape::{self, Shape};
use crate::emulator::dataverse::refusal::Refusal;

/// A list being asked for: what is in it, and as which type it was asked.
#[derive(Debug)]
pub struct List<'a> {
    /// The environment.
    pub env: &'a Environment,
    /// What is in it.
    pub elements: Vec<Element<'a>>,
    /// `AttributeMetadata`, or the type of a cast.
    pub type_name: &'a str,
}

/// Types of which only derived ones exist: what is shown as one of them says what it is.
const ABSTRACT: [&str; 3] =
    ["AttributeMetadata", "RelationshipMetadataBase", "OptionSetMetadataBase"];

impl<'a> List<'a> {
    /// The rows of the answer's `value`, and how many there are.
    pub fn rows(&self, options: &Options) -> Result<Vec<Value>, Refusal> {
        let shape =
            Named { env: self.env, type_name: self.type_name, sample: self.elements.first() };
        if let Some(filter) = &options.filter {
            shape::check(filter, &shape)?;
        }
        shape.check(options)?;
        let mut found: Vec<Document<'a>> =
            self.elements.iter().map(|element| Document::new(self.env, *element)).collect();
        if let Some(filter) = &options.filter {
            found.retain(|document| filter.holds(document));
        }
        for sort in options.order.iter().rev() {
            found.sort_by(|left, right| {
                let order = left.value(&sort.path).sort(&right.value(&sort.path));
                if sort.descending { order.reverse() } else { order }
            });
        }
        found.truncate(options.top.unwrap_or(usize::MAX));
        found.into_iter().map(|document| document.show(options, self.type_name)).collect()
    }
}

/// The type that the members of a collection are shown as.
pub fn type_of(collection: &str) -> &'static str {
    match collection {
        "EntityDefinitions" => "EntityMetadata",
        "Attributes" => "AttributeMetadata",
        "Keys" => "EntityKeyMetadata",
        "ManyToManyRelationships" => "ManyToManyRelationshipMetadata",
        "ManyToOneRelationships" | "OneToManyRelationships" => "OneToManyRelationshipMetadata",
        "RelationshipDefinitions" => "RelationshipMetadataBase",
        "GlobalOptionSetDefinitions" => "OptionSetMetadataBase",
        _ => "MetadataBase",
    }
}

/// One definition as JSON.
pub fn one(
    env: &Environment,
    element: Element<'_>,
    type_name: &str,
    options: &Options,
) -> Result<Value, Refusal> {
    Named { env, type_name, sample: Some(&element) }.check(options)?;
    Document::new(env, element).show(options, type_name)
}

/// A definition with its properties.
struct Document<'a> {
    env: &'a Environment,
    element: Element<'a>,
    members: Members,
}

impl<'a> Document<'a> {
    fn new(env: &'a Environment, element: Element<'a>) -> Self {
        Self { env, element, members: element.members(env) }
    }

    fn show(self, options: &Options, type_name: &str) -> Result<Value, Refusal> {
        let Self { env, element, members } = self;
        let mut shown = Members::new();
        if ABSTRACT.contains(&type_name) {
            let name = format!("#Microsoft.Dynamics.CRM.{}", element.type_name());
            shown.insert("@odata.type".to_owned(), json!(name));
        }
        let wanted = |name: &String| {
            options.select.is_empty() || name == "MetadataId" || options.select.contains(name)
        };
        shown.extend(members.into_iter().filter(|(name, _)| wanted(name)));
        for expand in &options.expand {
            let name = &expand.navigation;
            let beyond = element
                .beyond(env, name)
                .ok_or_else(|| Refusal::no_property(name, element.type_name()))?;
            let value = match beyond {
                Beyond::One(Some(element)) => {
                    Document::new(env, element).show(&expand.options, element.type_name())?
                }
                Beyond::One(None) => Value::Null,
                Beyond::Many(elements) => {
                    let type_name = type_of(name);
                    Value::Array(List { env, elements, type_name }.rows(&expand.options)?)
                }
            };
            shown.insert(name.clone(), value);
        }
        Ok(Value::Object(shown))
    }
}

impl Subject for Document<'_> {
    fn value(&self, path: &[String]) -> Operand {
        let Some((first, rest)) = path.split_first() else { return Operand::Null };
        let value = self.members.get(first);
        let value = rest.iter().fold(value, |value, name| value.and_then(|value| value.get(name)));
        value.map_or(Operand::Null, Operand::of_json)
    }

    fn members(&self, path: &[String]) -> Vec<Box<dyn Subject + '_>> {
        let [name] = path else { return Vec::new() };
        match self.element.beyond(self.env, name) {
            Some(Beyond::Many(elements)) => elements
                .into_iter()
                .map(|element| Box::new(Document::new(self.env, element)) as Box<dyn Subject>)
                .collect(),
            Some(Beyond::One(_)) | None => Vec::new(),
        }
    }
}

/// The names that a type has, told from one of its kind.
struct Named<'a> {
    env: &'a Environment,
    type_name: &'a str,
    sample: Option<&'a Element<'a>>,
}

impl Named<'_> {
    fn knows(&self, name: &str) -> bool {
        if self.type_name == "ManyToManyRelationshipMetadata" && MISSING_IN_PAIRS.contains(&name) {
            return false;
        }
        let Some(sample) = self.sample else { return true };
        if self.type_name == "AttributeMetadata"
            && let Element::Column(table, one) = sample
        {
            return column::base_names(table, one).iter().any(|known| known == name);
        }
        if self.type_name == "RelationshipMetadataBase" {
            return relationship::base_names().iter().any(|known| known == name);
        }
        if self.type_name == "OptionSetMetadataBase" && choice::DERIVED.contains(&name) {
            return false;
        }
        sample.members(self.env).contains_key(name) || sample.beyond(self.env, name).is_some()
    }

    fn check(&self, options: &Options) -> Result<(), Refusal> {
        let sorts = options.order.iter().filter_map(|sort| sort.path.first());
        for name in options.select.iter().chain(sorts) {
            if !self.knows(name) {
                return Err(Refusal::no_property(name, self.type_name));
            }
        }
        Ok(())
    }
}

/// What only one-to-many relationships have; asked of an empty list, too, these are refused.
const MISSING_IN_PAIRS: [&str; 4] =
    ["ReferencedEntity", "ReferencedAttribute", "ReferencingEntity", "ReferencingAttribute"];

impl Shape for Named<'_> {
    fn family(&self, path: &[String]) -> Result<Family, Refusal> {
        match path.first() {
            Some(name) if !self.knows(name) => Err(Refusal::no_property(name, self.type_name)),
            _ => Ok(Family::Any),
        }
    }

    fn element(&self, path: &[String]) -> Result<Box<dyn Shape + '_>, Refusal> {
        self.family(path)?;
        Ok(Box::new(Named { env: self.env, type_name: "MetadataBase", sample: None }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::dataverse::metadata::element::{columns, relationships, tables};
    use crate::emulator::dataverse::query::fixture::environment;

    fn rows(
        elements: impl Fn(&Environment) -> Vec<Element<'_>>,
        type_name: &str,
        query: &[(&str, &str)],
    ) -> Result<Vec<Value>, Refusal> {
        let env = environment();
        let pairs: Vec<(String, String)> =
            query.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let options = Options::read(&pairs)?;
        List { env: &env, elements: elements(&env), type_name }.rows(&options)
    }

    fn account(env: &Environment) -> Vec<Element<'_>> {
        columns(&env.tables["account"])
    }

    fn text(env: &Environment) -> Vec<Element<'_>> {
        account(env).into_iter().filter(|one| one.name().1 == "name").collect()
    }

    fn none(_: &Environment) -> Vec<Element<'_>> {
        Vec::new()
    }

    #[test]
    fn a_table_is_found_by_name_with_its_id_always_there() {
        let query = [("$select", "EntitySetName"), ("$filter", "LogicalName eq 'account'")];
        let found = rows(tables, "EntityMetadata", &query).unwrap();
        assert_eq!(found.len(), 1);
        let members: Vec<&String> = found[0].as_object().unwrap().keys().collect();
        assert_eq!(members, ["MetadataId", "EntitySetName"]);
    }

    #[test]
    fn enums_and_managed_properties_are_filtered_by_their_own_words() {
        let kind = "AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'Money' and \
                    RequiredLevel/Value eq Microsoft.Dynamics.CRM.AttributeRequiredLevel'None'";
        let found = rows(account, "AttributeMetadata", &[("$filter", kind)]).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["@odata.type"], "#Microsoft.Dynamics.CRM.MoneyAttributeMetadata");
    }

    #[test]
    fn what_a_derived_type_has_needs_its_cast() {
        let select = [("$select", "MaxLength")];
        assert_eq!(rows(account, "AttributeMetadata", &select).unwrap_err().code, "0x0");
        assert_eq!(rows(text, "StringAttributeMetadata", &select).unwrap()[0]["MaxLength"], 100);
    }

    #[test]
    fn expansions_are_filtered_and_selected_too() {
        let expand = "Attributes($select=LogicalName;$filter=LogicalName eq 'name'),Keys";
        let query =
            [("$select", "LogicalName"), ("$expand", expand), ("$filter", "LogicalName eq 'tag'")];
        let found = rows(tables, "EntityMetadata", &query).unwrap();
        assert_eq!(found[0]["Attributes"].as_array().unwrap().len(), 1);
        assert_eq!(found[0]["Keys"], json!([]));
        assert!(rows(tables, "EntityMetadata", &[("$expand", "Nope")]).is_err());
    }

    #[test]
    fn pairs_have_no_referenced_entity() {
        let query = [("$select", "ReferencedEntity")];
        assert!(rows(none, "ManyToManyRelationshipMetadata", &query).is_err());
        let query = [("$filter", "SchemaName eq 'contact_customer_accounts'")];
        let found = rows(relationships, "RelationshipMetadataBase", &query).unwrap();
        assert_eq!(found[0]["ReferencedEntity"], "account");
    }
}
