//! `$metadata`: the CSDL document of the tables, their columns, keys and navigation properties; with
//! annotations it also says what is computed, read-only or tracked (Dataverse Web API, service documents).

use quick_xml::escape::escape;

use super::element::{Element, relationships};
use crate::emulator::dataverse::model::{
    ColumnDefinition, Definition, Environment, KeyDefinition, Kind, LookupTarget,
};
use crate::emulator::dataverse::query::related::collection;
use crate::emulator::dataverse::render::property;

const HEAD: &str = r#"<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:Reference Uri="http://vocabularies.odata.org/OData.Community.Keys.V1.xml"><edmx:Include Namespace="OData.Community.Keys.V1" Alias="Keys"/></edmx:Reference><edmx:DataServices><Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm"><EntityType Name="crmbaseentity" Abstract="true"/>"#;

const TAIL: &str = "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>";

/// The whole document.
pub fn document(env: &Environment, annotations: bool) -> String {
    let definitions = || env.tables.values().map(|table| &table.definition);
    let types: String = definitions().map(|one| entity(env, one, annotations)).collect();
    let sets: String = definitions().map(|one| set(env, one, annotations)).collect();
    format!("{HEAD}{types}<EntityContainer Name=\"System\">{sets}{TAIL}")
}

fn entity(env: &Environment, definition: &Definition, annotations: bool) -> String {
    let name = escape(definition.logical_name.as_str());
    let primary = escape(definition.primary_id.as_str());
    let cells: String = definition.columns.iter().map(|one| cell(one, annotations)).collect();
    let lookups: String =
        definition.columns.iter().map(|one| lookup(env, definition, one)).collect();
    let collections: String =
        collections(env, &definition.logical_name).into_iter().map(|one| one.shown()).collect();
    let keys: String = definition.keys.iter().map(|one| key(definition, one)).collect();
    format!(
        "<EntityType Name=\"{name}\" BaseType=\"mscrm.crmbaseentity\">\
         <Key><PropertyRef Name=\"{primary}\"/></Key>{cells}{lookups}{collections}{keys}</EntityType>"
    )
}

fn lookup(env: &Environment, definition: &Definition, column: &ColumnDefinition) -> String {
    let name = property(column);
    let name = escape(name.as_str());
    let one = |target: &LookupTarget| {
        let navigation = escape(target.navigation.as_str());
        let table = escape(target.table.as_str());
        let partner = collection(definition, column, target);
        let partner = escape(partner.as_str());
        let primary = primary_of(env, &target.table);
        let primary = escape(primary.as_str());
        format!(
            "<NavigationProperty Name=\"{navigation}\" Type=\"mscrm.{table}\" Nullable=\"true\" \
             Partner=\"{partner}\"><ReferentialConstraint Property=\"{name}\" \
             ReferencedProperty=\"{primary}\"/></NavigationProperty>"
        )
    };
    column.targets.iter().map(one).collect()
}

fn key(definition: &Definition, key: &KeyDefinition) -> String {
    let parts: String = key.columns.iter().map(|name| key_part(definition, name)).collect();
    format!(
        "<Annotation Term=\"Keys.AlternateKeys\"><Collection><Record Type=\"Keys.AlternateKey\">\
         <PropertyValue Property=\"Key\"><Collection>{parts}</Collection></PropertyValue></Record>\
         </Collection></Annotation>"
    )
}

fn key_part(definition: &Definition, name: &str) -> String {
    let name = definition.column(name).map_or_else(|| name.to_owned(), property);
    let name = escape(name);
    format!(
        "<Record Type=\"Keys.PropertyRef\"><PropertyValue Property=\"Alias\" String=\"{name}\"/>\
         <PropertyValue Property=\"Name\" PropertyPath=\"{name}\"/></Record>"
    )
}

fn cell(column: &ColumnDefinition, annotations: bool) -> String {
    let name = property(column);
    let (name, kind) = (escape(name.as_str()), edm(column));
    let computed = if annotations && (column.read_only || column.kind.is_lookup()) {
        "<Annotation Term=\"Org.OData.Core.V1.Computed\" Bool=\"true\"/>\
         <Annotation Term=\"Org.OData.Core.V1.Permissions\"><EnumMember>\
         Org.OData.Core.V1.PermissionType/Read</EnumMember></Annotation>"
    } else {
        ""
    };
    format!("<Property Name=\"{name}\" Type=\"{kind}\">{computed}</Property>")
}

fn edm(column: &ColumnDefinition) -> &'static str {
    match column.kind {
        Kind::String | Kind::Memo | Kind::MultiSelectPicklist => "Edm.String",
        Kind::Integer | Kind::Picklist | Kind::State | Kind::Status => "Edm.Int32",
        Kind::BigInt => "Edm.Int64",
        Kind::Decimal | Kind::Money => "Edm.Decimal",
        Kind::Double => "Edm.Double",
        Kind::Boolean => "Edm.Boolean",
        Kind::DateTime if column.behavior.as_deref() == Some("DateOnly") => "Edm.Date",
        Kind::DateTime => "Edm.DateTimeOffset",
        Kind::Uniqueidentifier | Kind::Lookup | Kind::Customer | Kind::Owner | Kind::File => {
            "Edm.Guid"
        }
        Kind::Image => "Edm.Binary",
    }
}

fn primary_of(env: &Environment, table: &str) -> String {
    env.tables
        .get(table)
        .map_or_else(|| format!("{table}id"), |table| table.definition.primary_id.clone())
}

/// A collection-valued navigation property.
struct Collection {
    name: String,
    table: String,
    partner: String,
}

impl Collection {
    fn shown(&self) -> String {
        let name = escape(self.name.as_str());
        let (table, partner) = (escape(self.table.as_str()), escape(self.partner.as_str()));
        format!(
            "<NavigationProperty Name=\"{name}\" Type=\"Collection(mscrm.{table})\" \
             Partner=\"{partner}\"/>"
        )
    }
}

/// The collection-valued navigation properties of a table.
fn collections(env: &Environment, here: &str) -> Vec<Collection> {
    let mut found = Vec::new();
    for element in relationships(env) {
        if let Element::Lookup(lookup) = element
            && lookup.target.table == here
        {
            found.push(Collection {
                name: lookup.name(),
                table: lookup.child.definition.logical_name.clone(),
                partner: lookup.target.navigation.clone(),
            });
        }
    }
    for many in &env.many_to_many {
        for (one, other) in [(&many.first, &many.second), (&many.second, &many.first)] {
            if one.table == here {
                found.push(Collection {
                    name: one.navigation.clone(),
                    table: other.table.clone(),
                    partner: other.navigation.clone(),
                });
            }
        }
    }
    found
}

fn set(env: &Environment, definition: &Definition, annotations: bool) -> String {
    let binding = |target: &LookupTarget| {
        let set = env.tables.get(&target.table).map(|table| &table.definition.entity_set)?;
        let (path, set) = (escape(target.navigation.as_str()), escape(set.as_str()));
        Some(format!("<NavigationPropertyBinding Path=\"{path}\" Target=\"{set}\"/>"))
    };
    let targets = definition.columns.iter().flat_map(|column| &column.targets);
    let bindings: String = targets.filter_map(binding).collect();
    let tracked = if annotations && definition.change_tracking {
        "<Annotation Term=\"Org.OData.Capabilities.V1.ChangeTracking\"><Record>\
         <PropertyValue Property=\"Supported\" Bool=\"true\"/></Record></Annotation>"
    } else {
        ""
    };
    let name = escape(definition.entity_set.as_str());
    let table = escape(definition.logical_name.as_str());
    format!(
        "<EntitySet Name=\"{name}\" EntityType=\"Microsoft.Dynamics.CRM.{table}\">\
         {bindings}{tracked}</EntitySet>"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::dataverse::query::fixture::environment;

    #[test]
    fn the_document_is_well_formed_and_names_both_sides_of_a_relationship() {
        let text = document(&environment(), true);
        let mut reader = quick_xml::Reader::from_str(&text);
        while reader.read_event().unwrap() != quick_xml::events::Event::Eof {}
        assert!(text.contains(
            "<NavigationProperty Name=\"parentcustomerid_account\" Type=\"mscrm.account\""
        ));
        assert!(
            text.contains("Name=\"contact_customer_accounts\" Type=\"Collection(mscrm.contact)\"")
        );
        assert!(text.contains("<Property Name=\"_parentaccountid_value\" Type=\"Edm.Guid\">"));
    }

    #[test]
    fn annotations_come_only_when_asked() {
        assert!(!document(&environment(), false).contains("Computed"));
    }
}
