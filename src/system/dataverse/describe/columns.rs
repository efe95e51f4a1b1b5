//! The columns of a table, put together from the attribute list and one query per type: lengths,
//! precisions, date behaviours and choices stand on the types, not on the list (Dataverse Web API,
//! metadata).

use std::collections::HashMap;

use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use serde::Deserialize;

use super::super::Dataverse;
use super::super::classify::Failure;
use super::super::client::Errand;
use crate::system::{Choice, Column, ColumnKind};

/// What is asked of every attribute.
pub(super) const ATTRIBUTE: &str = "$select=LogicalName,SchemaName,AttributeType,RequiredLevel,\
    IsValidForCreate,IsValidForUpdate,IsValidForRead,IsSecured";

/// The types that say more, and what is asked of each.
const CASTS: &[(&str, &str)] = &[
    ("String", "$select=LogicalName,MaxLength"),
    ("Memo", "$select=LogicalName,MaxLength"),
    ("Decimal", "$select=LogicalName,Precision"),
    ("Money", "$select=LogicalName,Precision"),
    ("DateTime", "$select=LogicalName,DateTimeBehavior"),
    ("Picklist", "$select=LogicalName&$expand=OptionSet($select=Options),GlobalOptionSet"),
    (
        "MultiSelectPicklist",
        "$select=LogicalName&$expand=OptionSet($select=Options),GlobalOptionSet",
    ),
    ("State", "$select=LogicalName&$expand=OptionSet($select=Options)"),
    ("Status", "$select=LogicalName&$expand=OptionSet($select=Options)"),
];

/// One attribute of the list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Attribute {
    logical_name: String,
    #[serde(rename = "@odata.type", default)]
    class: String,
    #[serde(default)]
    #[serde(rename = "AttributeType")]
    listed: Option<String>,
    #[serde(default)]
    required_level: Option<Managed>,
    #[serde(default)]
    is_valid_for_create: Option<bool>,
    #[serde(default)]
    is_valid_for_update: Option<bool>,
    #[serde(default)]
    is_secured: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Managed {
    #[serde(default)]
    value: Option<String>,
}

/// What a type adds to an attribute.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Detail {
    logical_name: String,
    #[serde(default)]
    max_length: Option<u32>,
    #[serde(default)]
    precision: Option<u32>,
    #[serde(default)]
    date_time_behavior: Option<Managed>,
    #[serde(default)]
    option_set: Option<OptionSet>,
    #[serde(default)]
    global_option_set: Option<OptionSet>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OptionSet {
    #[serde(default)]
    options: Vec<OptionValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OptionValue {
    value: i32,
    #[serde(default)]
    label: Option<Label>,
    #[serde(default)]
    state: Option<i32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Label {
    #[serde(default)]
    user_localized_label: Option<Localized>,
    #[serde(default)]
    localized_labels: Vec<Localized>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Localized {
    #[serde(default)]
    label: Option<String>,
}

impl OptionValue {
    fn choice(&self) -> Choice {
        let label = self.label.as_ref().and_then(|label| {
            let first = label.localized_labels.first();
            label.user_localized_label.as_ref().or(first)?.label.clone()
        });
        Choice { value: self.value, label: label.unwrap_or_default(), state: self.state }
    }
}

/// What the types say, by attribute.
pub(super) struct Details(HashMap<String, (&'static str, Detail)>);

impl Dataverse {
    /// Asks every type once.
    pub(super) async fn read_details(
        &self,
        root: &str,
        errand: &Errand,
    ) -> Result<Details, Failure> {
        let mut asked = Vec::new();
        for (class, select) in CASTS {
            asked.push(self.read_cast(root, class, select, errand).boxed());
        }
        let found: Vec<_> = stream::iter(asked).buffer_unordered(CASTS.len()).try_collect().await?;
        let found = found.into_iter().flatten();
        Ok(Details(found.map(|cast| (cast.1.logical_name.clone(), cast)).collect()))
    }

    async fn read_cast(
        &self,
        root: &str,
        class: &'static str,
        select: &str,
        errand: &Errand,
    ) -> Result<Vec<(&'static str, Detail)>, Failure> {
        let path =
            format!("{root}/Attributes/Microsoft.Dynamics.CRM.{class}AttributeMetadata?{select}");
        let found = self.list::<Detail>(&path, errand).await?;
        Ok(found.into_iter().map(|detail| (class, detail)).collect())
    }
}

impl Details {
    /// The column that an attribute is, with its name.
    pub(super) fn column(&self, attribute: Attribute) -> (String, Column) {
        let cast = self.0.get(&attribute.logical_name);
        let detail = cast.map(|(_, detail)| detail);
        let sets = detail.map(|detail| [&detail.option_set, &detail.global_option_set]);
        let choices = sets.into_iter().flatten().flatten().find(|set| !set.options.is_empty());
        let required = attribute.required_level.as_ref().and_then(|level| level.value.as_deref());
        let column = Column {
            kind: kind(&attribute, cast),
            max: detail.and_then(|detail| detail.max_length),
            precision: detail.and_then(|detail| detail.precision),
            choices: choices.map(OptionSet::choices).unwrap_or_default(),
            required: matches!(required, Some("SystemRequired" | "ApplicationRequired")),
            creatable: attribute.is_valid_for_create.unwrap_or(true),
            updatable: attribute.is_valid_for_update.unwrap_or(true),
            secured: attribute.is_secured.unwrap_or_default(),
        };
        (attribute.logical_name, column)
    }
}

impl OptionSet {
    fn choices(&self) -> Vec<Choice> {
        self.options.iter().map(OptionValue::choice).collect()
    }
}

fn kind(attribute: &Attribute, cast: Option<&(&'static str, Detail)>) -> ColumnKind {
    let class = attribute.class.trim_start_matches("#Microsoft.Dynamics.CRM.");
    let class = class.trim_end_matches("AttributeMetadata");
    // Multi-choices, files and images are all listed as Virtual.
    let listed = attribute.listed.as_deref().filter(|name| *name != "Virtual");
    let name = listed.or(cast.map(|(name, _)| *name)).unwrap_or(class);
    let date_only = cast.and_then(|(_, detail)| detail.date_time_behavior.as_ref());
    match name {
        "String" | "Memo" => ColumnKind::Text,
        "Integer" | "BigInt" => ColumnKind::Integer,
        "Decimal" => ColumnKind::Decimal,
        "Double" => ColumnKind::Double,
        "Money" => ColumnKind::Money,
        "Boolean" => ColumnKind::Boolean,
        "DateTime" if date_only.is_some_and(|date| date.value.as_deref() == Some("DateOnly")) => {
            ColumnKind::Date
        }
        "DateTime" => ColumnKind::Time,
        "Uniqueidentifier" => ColumnKind::Guid,
        "Picklist" => ColumnKind::Choice,
        "MultiSelectPicklist" => ColumnKind::Choices,
        "State" => ColumnKind::State,
        "Status" => ColumnKind::Status,
        "Lookup" | "Customer" => ColumnKind::Lookup,
        "Owner" => ColumnKind::Owner,
        "File" => ColumnKind::File,
        "Image" => ColumnKind::Image,
        _ => ColumnKind::Other,
    }
}
