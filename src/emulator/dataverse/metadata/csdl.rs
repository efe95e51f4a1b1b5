//! `$metadata`: the CSDL document of the tables, their columns, keys and navigation properties; with
//! annotations it also says what is computed, read-only or tracked (Dataverse Web API, service documents).

use quick_xml::escape::escape;

use super::element::{Element, Lookup, relationships};
use crate::emulator::dataverse::model::{
    ColumnDefinition, Definition, Environment, Kind, ManyToMany,
};
use crate::emulator::dataverse::query::related::collection;
use crate::emulator::dataverse::render::property;

const HEAD: &str = r#"<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:Reference Uri="http://vocabularies.odata.org/OData.Community.Keys.V1.xml"><edmx:Include Namespace="OData.Community.Keys.V1" Alias="Keys"/></edmx:Reference><edmx:DataServices><Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm"><EntityType Name="crmbaseentity" Abstract="true"/>"#;

const TAIL: &str = "</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>";

/// The whole document.
pub fn document(env: &Environment, annotations: bool) -> String {
    let mut text = HEAD.to_owned();
    for table in env.tables.values() {
        entity(&mut text, env, &table.definition, annotations);
    }
    text.push_str("<EntityContainer Name=\"System\">");
    for table in env.tables.values() {
        set(&mut text, env, &table.definition, annotations);
    }
    text.push_str(TAIL);
    text
}

fn entity(text: &mut String, env: &Environment, definition: &Definition, annotations: bool) {
    let Definition { logical_name, primary_id, .. } = definition;
    text.push_str(&format!(
        "<EntityType Name=\"{}\" BaseType=\"mscrm.crmbaseentity\"><Key><PropertyRef Name=\"{}\"/></Key>",
        escape(logical_name.as_str()),
        escape(primary_id.as_str())
    ));
    for column in &definition.columns {
        cell(text, column, annotations);
    }
    for column in &definition.columns {
        for target in &column.targets {
            text.push_str(&format!(
                "<NavigationProperty Name=\"{}\" Type=\"mscrm.{}\" Nullable=\"true\" Partner=\"{}\">\
                 <ReferentialConstraint Property=\"{}\" ReferencedProperty=\"{}\"/></NavigationProperty>",
                escape(target.navigation.as_str()),
                escape(target.table.as_str()),
                escape(collection(definition, column, target)),
                escape(property(column)),
                escape(primary_of(env, &target.table)),
            ));
        }
    }
    for (name, table, partner) in collections(env, logical_name) {
        text.push_str(&format!(
            "<NavigationProperty Name=\"{}\" Type=\"Collection(mscrm.{})\" Partner=\"{}\"/>",
            escape(name),
            escape(table),
            escape(partner)
        ));
    }
    for key in &definition.keys {
        text.push_str(&format!(
            "<Annotation Term=\"Keys.AlternateKeys\"><Collection><Record Type=\"Keys.AlternateKey\">\
             <PropertyValue Property=\"Key\"><Collection>{}</Collection></PropertyValue></Record>\
             </Collection></Annotation>",
            key.columns.iter().map(|name| key_part(definition, name)).collect::<String>()
        ));
    }
    text.push_str("</EntityType>");
}

fn key_part(definition: &Definition, name: &str) -> String {
    let name = definition.column(name).map_or_else(|| name.to_owned(), property);
    let name = escape(name);
    format!(
        "<Record Type=\"Keys.PropertyRef\"><PropertyValue Property=\"Alias\" String=\"{name}\"/>\
         <PropertyValue Property=\"Name\" PropertyPath=\"{name}\"/></Record>"
    )
}

fn cell(text: &mut String, column: &ColumnDefinition, annotations: bool) {
    let name = property(column);
    let unicode = if edm(column) == "Edm.String" { " Unicode=\"false\"" } else { "" };
    text.push_str(&format!(
        "<Property Name=\"{}\" Type=\"{}\"{unicode}",
        escape(name),
        edm(column)
    ));
    let read_only = column.read_only || column.kind.is_lookup();
    if annotations && read_only {
        text.push_str(
            "><Annotation Term=\"Org.OData.Core.V1.Computed\" Bool=\"true\"/>\
             <Annotation Term=\"Org.OData.Core.V1.Permissions\"><EnumMember>\
             Org.OData.Core.V1.PermissionType/Read</EnumMember></Annotation></Property>",
        );
    } else {
        text.push_str("/>");
    }
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

/// The collection-valued navigation properties of a table: name, type and partner.
fn collections(env: &Environment, here: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for element in relationships(env) {
        match element {
            Element::Lookup(Lookup { child, target, .. }) if target.table == here => {
                let name = element.name().1;
                found.push((
                    name,
                    child.definition.logical_name.clone(),
                    target.navigation.clone(),
                ));
            }
            Element::Pairs(ManyToMany { first, second, .. }) => {
                for (one, other) in [(first, second), (second, first)] {
                    if one.table == here {
                        let (name, table) = (one.navigation.clone(), other.table.clone());
                        found.push((name, table, other.navigation.clone()));
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn set(text: &mut String, env: &Environment, definition: &Definition, annotations: bool) {
    let Definition { entity_set, logical_name, .. } = definition;
    text.push_str(&format!(
        "<EntitySet Name=\"{}\" EntityType=\"Microsoft.Dynamics.CRM.{}\">",
        escape(entity_set.as_str()),
        escape(logical_name.as_str())
    ));
    for column in &definition.columns {
        for target in &column.targets {
            if let Some(table) = env.tables.get(&target.table) {
                text.push_str(&format!(
                    "<NavigationPropertyBinding Path=\"{}\" Target=\"{}\"/>",
                    escape(target.navigation.as_str()),
                    escape(table.definition.entity_set.as_str())
                ));
            }
        }
    }
    if annotations && definition.change_tracking {
        text.push_str(
            "<Annotation Term=\"Org.OData.Capabilities.V1.ChangeTracking\"><Record>\
             <PropertyValue Property=\"Supported\" Bool=\"true\"/></Record></Annotation>",
        );
    }
    text.push_str("</EntitySet>");
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
