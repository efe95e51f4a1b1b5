//! A column as `AttributeMetadata`, with what its derived type adds.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Value, json};

use super::element::Members;
use super::label::{managed, none, write};
use crate::emulator::dataverse::model::{ColumnDefinition, Environment, Kind, Required, Table};

/// The derived type, and the namespace-free name that casts use.
pub fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::String => "StringAttributeMetadata",
        Kind::Memo => "MemoAttributeMetadata",
        Kind::Integer => "IntegerAttributeMetadata",
        Kind::BigInt => "BigIntAttributeMetadata",
        Kind::Decimal => "DecimalAttributeMetadata",
        Kind::Double => "DoubleAttributeMetadata",
        Kind::Money => "MoneyAttributeMetadata",
        Kind::Boolean => "BooleanAttributeMetadata",
        Kind::DateTime => "DateTimeAttributeMetadata",
        Kind::Uniqueidentifier => "UniqueIdentifierAttributeMetadata",
        Kind::Picklist => "PicklistAttributeMetadata",
        Kind::MultiSelectPicklist => "MultiSelectPicklistAttributeMetadata",
        Kind::State => "StateAttributeMetadata",
        Kind::Status => "StatusAttributeMetadata",
        Kind::Lookup | Kind::Customer | Kind::Owner => "LookupAttributeMetadata",
        Kind::Image => "ImageAttributeMetadata",
        Kind::File => "FileAttributeMetadata",
    }
}

/// `AttributeType` and `AttributeTypeName`.
fn codes(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::String => ("String", "StringType"),
        Kind::Memo => ("Memo", "MemoType"),
        Kind::Integer => ("Integer", "IntegerType"),
        Kind::BigInt => ("BigInt", "BigIntType"),
        Kind::Decimal => ("Decimal", "DecimalType"),
        Kind::Double => ("Double", "DoubleType"),
        Kind::Money => ("Money", "MoneyType"),
        Kind::Boolean => ("Boolean", "BooleanType"),
        Kind::DateTime => ("DateTime", "DateTimeType"),
        Kind::Uniqueidentifier => ("Uniqueidentifier", "UniqueidentifierType"),
        Kind::Picklist => ("Picklist", "PicklistType"),
        Kind::MultiSelectPicklist => ("Virtual", "MultiSelectPicklistType"),
        Kind::State => ("State", "StateType"),
        Kind::Status => ("Status", "StatusType"),
        Kind::Lookup => ("Lookup", "LookupType"),
        Kind::Customer => ("Customer", "CustomerType"),
        Kind::Owner => ("Owner", "OwnerType"),
        Kind::Image => ("Virtual", "ImageType"),
        Kind::File => ("Virtual", "FileType"),
    }
}

/// The name of a requirement level.
pub fn level(required: Required) -> &'static str {
    match required {
        Required::None => "None",
        Required::ApplicationRequired => "ApplicationRequired",
        Required::SystemRequired => "SystemRequired",
        Required::Recommended => "Recommended",
    }
}

/// Its properties: those of every column, then those of its type.
pub fn members(env: &Environment, table: &Table, column: &ColumnDefinition) -> Members {
    let mut members = base(table, column);
    for (name, value) in derived(env, column) {
        members.insert(name.to_owned(), value);
    }
    members
}

/// The names that every column has.
pub fn base_names(table: &Table, column: &ColumnDefinition) -> Vec<String> {
    base(table, column).into_iter().map(|(name, _)| name).collect()
}

fn base(table: &Table, column: &ColumnDefinition) -> Members {
    let definition = &table.definition;
    let shown =
        if column.display_name.is_empty() { &column.schema_name } else { &column.display_name };
    let (code, name) = codes(column.kind);
    let primary = column.logical_name == definition.primary_id;
    let at = definition.columns.iter().position(|one| one.logical_name == column.logical_name);
    let mut members = Members::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("MetadataId", json!(column.metadata_id));
    put("LogicalName", json!(column.logical_name));
    put("SchemaName", json!(column.schema_name));
    put("EntityLogicalName", json!(definition.logical_name));
    put("AttributeType", json!(code));
    put("AttributeTypeName", json!({ "Value": name }));
    put("AttributeOf", Value::Null);
    put("ColumnNumber", json!(at.map_or(0, |at| at + 1)));
    put("DisplayName", write(shown));
    put("Description", none());
    put(
        "RequiredLevel",
        json!({
            "Value": level(column.required),
            "CanBeChanged": true,
            "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
        }),
    );
    put("IsPrimaryId", json!(primary));
    put("IsPrimaryName", json!(column.logical_name == definition.primary_name));
    put("IsValidForCreate", json!(!column.read_only && column.kind != Kind::File));
    put("IsValidForUpdate", json!(!column.read_only && !primary && column.kind != Kind::File));
    put("IsValidForRead", json!(true));
    put("IsSecured", json!(column.secured));
    put("CanBeSecuredForCreate", json!(!primary));
    put("CanBeSecuredForRead", json!(!primary));
    put("CanBeSecuredForUpdate", json!(!primary));
    put("IsCustomAttribute", json!(column.logical_name.contains('_')));
    put("IsAuditEnabled", managed(false, "canmodifyauditsettings"));
    put("IsCustomizable", managed(true, "iscustomizable"));
    put("IsRenameable", managed(true, "isrenameable"));
    put("IsGlobalFilterEnabled", managed(false, "canmodifyglobalfiltersettings"));
    put("IsSortableEnabled", managed(false, "canmodifyissortablesettings"));
    put("IsValidForAdvancedFind", managed(true, "canmodifysearchsettings"));
    for name in [
        "IsFilterable",
        "IsLogical",
        "IsManaged",
        "IsSearchable",
        "IsRequiredForForm",
        "IsDataSourceSecret",
    ] {
        put(name, json!(false));
    }
    for name in ["IsRetrievable", "IsValidForForm", "IsValidForGrid", "IsValidODataAttribute"] {
        put(name, json!(true));
    }
    for name in [
        "DeprecatedVersion",
        "ExternalName",
        "InheritsFrom",
        "IntroducedVersion",
        "LinkedAttributeId",
        "AutoNumberFormat",
    ] {
        put(name, Value::Null);
    }
    members
}

type Added = Vec<(&'static str, Value)>;

/// What the derived type adds.
fn derived(env: &Environment, column: &ColumnDefinition) -> Added {
    match column.kind {
        Kind::String => text(column, "Text", 100),
        Kind::Memo => text(column, "TextArea", 2_000),
        Kind::Integer => vec![
            ("MinValue", whole(column.min, i32::MIN.into())),
            ("MaxValue", whole(column.max, i32::MAX.into())),
            ("Format", json!("None")),
        ],
        Kind::BigInt => vec![("MinValue", json!(i64::MIN)), ("MaxValue", json!(i64::MAX))],
        Kind::Decimal | Kind::Double => number(column, 2),
        Kind::Money => {
            let source = [("PrecisionSource", json!(0)), ("IsBaseCurrency", json!(false))];
            number(column, 4).into_iter().chain(source).collect()
        }
        Kind::Boolean => vec![("DefaultValue", json!(false)), ("FormulaDefinition", Value::Null)],
        Kind::DateTime => date(column),
        Kind::Picklist | Kind::MultiSelectPicklist | Kind::State | Kind::Status => {
            let states = matches!(column.kind, Kind::State | Kind::Status);
            let first = env.options(column).first().map(|option| option.value);
            vec![
                ("DefaultFormValue", json!(first.filter(|_| states).unwrap_or(-1))),
                ("ParentPicklistLogicalName", Value::Null),
                ("ChildPicklistLogicalNames", json!([])),
            ]
        }
        Kind::Lookup | Kind::Customer | Kind::Owner => {
            let targets: Vec<&str> = column.targets.iter().map(|one| one.table.as_str()).collect();
            vec![("Targets", json!(targets)), ("Format", json!("None"))]
        }
        Kind::Image => vec![
            ("MaxSizeInKB", json!(10_240)),
            ("CanStoreFullImage", json!(true)),
            ("IsPrimaryImage", json!(false)),
            ("MaxHeight", json!(144)),
            ("MaxWidth", json!(144)),
        ],
        Kind::File => vec![("MaxSizeInKB", json!(32_768))],
        Kind::Uniqueidentifier => Vec::new(),
    }
}

fn text(column: &ColumnDefinition, format: &str, longest: u32) -> Added {
    vec![
        ("MaxLength", json!(column.max_length.unwrap_or(longest))),
        ("Format", json!(format)),
        ("FormatName", json!({ "Value": format })),
        ("ImeMode", json!("Auto")),
    ]
}

fn number(column: &ColumnDefinition, precision: u32) -> Added {
    let bound = |bound: Option<Decimal>, other: f64| {
        json!(bound.and_then(|bound| bound.to_f64()).unwrap_or(other))
    };
    vec![
        ("MinValue", bound(column.min, -100_000_000_000.0)),
        ("MaxValue", bound(column.max, 100_000_000_000.0)),
        ("Precision", json!(column.precision.unwrap_or(precision))),
        ("ImeMode", json!("Auto")),
    ]
}

fn whole(bound: Option<Decimal>, other: i64) -> Value {
    json!(bound.and_then(|bound| bound.to_i64()).unwrap_or(other))
}

fn date(column: &ColumnDefinition) -> Added {
    let behavior = column.behavior.as_deref().unwrap_or("UserLocal");
    let format = if behavior == "DateOnly" { "DateOnly" } else { "DateAndTime" };
    vec![
        ("Format", json!(format)),
        ("DateTimeBehavior", json!({ "Value": behavior })),
        ("CanChangeDateTimeBehavior", managed(true, "canchangedatetimebehavior")),
        ("ImeMode", json!("Inactive")),
    ]
}
