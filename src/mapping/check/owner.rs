//! Owner and business unit: the table has them, the environment lets them be set, and what they are looked
//! up by is there.

use super::Lint;
use crate::mapping::owner::{OWNER, UNIT};
use crate::system::TableSchema;

impl Lint<'_> {
    pub(super) fn owner(&mut self, table: &TableSchema) {
        let map = self.map;
        let Some(owner) = &map.owner else { return };
        if !table.columns.contains_key(OWNER) {
            let message =
                format!("rows of {} belong to the organization and have no owner", table.name);
            return self.problems.error("owner", "owner-none", message);
        }
        let unit = table.columns.get(UNIT);
        if owner.unit.is_some() && !unit.is_some_and(|unit| unit.creatable && unit.updatable) {
            let message = "this environment gives every row the business unit of its owner; let it allow \
                           record ownership across business units (EnableOwnershipAcrossBusinessUnits), \
                           or give the row to the unit's own team: team = { lookup = { table = \"team\", \
                           by = { name = \"unit\", isdefault = { value = true } } } }";
            self.problems.error("owner/unit", "unit-fixed", message);
        }
        for (path, plan) in owner.plans() {
            let Some((name, keys)) = &plan.shape.lookup else { continue };
            let path = format!("{path}/lookup");
            let Some(principals) = self.table(&path, name) else { continue };
            for column in keys.iter().filter_map(|hops| hops.first()) {
                if !principals.columns.contains_key(column) {
                    self.unknown_column(&path, column, principals);
                }
            }
        }
    }
}
