//! A table as `EntityMetadata`.

use serde_json::{Value, json};

use super::element::Members;
use super::label::{managed, none, write};
use crate::emulator::dataverse::model::{Environment, Ownership, Table};
use crate::emulator::dataverse::privileges;

/// Its properties.
pub fn members(env: &Environment, table: &Table) -> Members {
    let definition = &table.definition;
    let shown = if definition.display_name.is_empty() {
        &definition.schema_name
    } else {
        &definition.display_name
    };
    let custom = definition.logical_name.contains('_');
    let owned = match definition.ownership {
        Ownership::User => "UserOwned",
        Ownership::Organization => "OrganizationOwned",
        Ownership::None => "None",
    };
    let mut members = Members::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("MetadataId", json!(definition.metadata_id));
    put("LogicalName", json!(definition.logical_name));
    put("SchemaName", json!(definition.schema_name));
    put("LogicalCollectionName", json!(definition.entity_set));
    put("CollectionSchemaName", json!(format!("{}s", definition.schema_name)));
    put("EntitySetName", json!(definition.entity_set));
    put("ObjectTypeCode", json!(type_code(env, table)));
    put("PrimaryIdAttribute", json!(definition.primary_id));
    put("PrimaryNameAttribute", json!(definition.primary_name));
    put("PrimaryImageAttribute", Value::Null);
    put("DisplayName", write(shown));
    put("DisplayCollectionName", write(&format!("{shown}s")));
    put("Description", none());
    put("OwnershipType", json!(owned));
    put("TableType", json!("Standard"));
    put("ChangeTrackingEnabled", json!(definition.change_tracking));
    put("IsOptimisticConcurrencyEnabled", json!(definition.optimistic_concurrency));
    put("IsCustomEntity", json!(custom));
    put("CanChangeTrackingBeEnabled", managed(true, "canchangetrackingbeenabled"));
    put("Privileges", privileges::of_table(definition));
    put("IsAuditEnabled", managed(false, "canmodifyauditsettings"));
    put("IsCustomizable", managed(true, "iscustomizable"));
    put("IsRenameable", managed(true, "isrenameable"));
    put("CanCreateAttributes", managed(true, "cancreateattributes"));
    put("IsDuplicateDetectionEnabled", managed(false, "canmodifyduplicatedetectionsettings"));
    for (name, value) in FLAGS {
        put(name, json!(value));
    }
    for name in EMPTY {
        put(name, Value::Null);
    }
    members
}

/// What is the same for every emulated table.
const FLAGS: [(&str, bool); 26] = [
    ("IsPrivate", false),
    ("IsActivity", false),
    ("IsActivityParty", false),
    ("IsIntersect", false),
    ("IsLogicalEntity", false),
    ("IsManaged", false),
    ("IsStateModelAware", true),
    ("IsValidForAdvancedFind", true),
    ("IsVisibleInMobileClient", false),
    ("IsImportable", true),
    ("IsKnowledgeManagementEnabled", false),
    ("IsDocumentManagementEnabled", false),
    ("IsBusinessProcessEnabled", false),
    ("IsBPFEntity", false),
    ("IsChildEntity", false),
    ("IsAvailableOffline", true),
    ("IsEnabledForExternalChannels", false),
    ("IsEnabledForTrace", false),
    ("IsQuickCreateEnabled", false),
    ("IsReadingPaneEnabled", true),
    ("IsSolutionAware", false),
    ("HasActivities", false),
    ("HasNotes", false),
    ("HasFeedback", false),
    ("AutoCreateAccessTeams", false),
    ("AutoRouteToOwnerQueue", false),
];

/// What no emulated table has.
const EMPTY: [&str; 12] = [
    "ActivityTypeMask",
    "DataProviderId",
    "DataSourceId",
    "EntityColor",
    "EntityHelpUrl",
    "ExternalCollectionName",
    "ExternalName",
    "IconVectorName",
    "IntroducedVersion",
    "MobileOfflineFilters",
    "RecurrenceBaseEntityLogicalName",
    "ReportViewName",
];

/// The well-known codes of the first system tables; all others are numbered from 10000.
fn type_code(env: &Environment, table: &Table) -> usize {
    match table.definition.logical_name.as_str() {
        "account" => 1,
        "contact" => 2,
        "opportunity" => 3,
        "lead" => 4,
        "systemuser" => 8,
        "team" => 9,
        "businessunit" => 10,
        name => 10_000 + env.tables.get_index_of(name).unwrap_or_default(),
    }
}
