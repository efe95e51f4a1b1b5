//! One compiled map: a change in, at most one row out.
//!
//! A change that does not pass the filter is removed as the map declares. Every removal is marked so that
//! only a row that was written before is touched. Nothing here reads the file's structures: they are compiled.

use std::sync::Arc;

use super::datum::Datum;
use super::document::Places;
use super::file::{Decision, Read};
use super::owner::OwnerPlan;
use super::reads::Reads;
use super::removal::Policy;
use super::rule::condition::Test;
use super::rule::{Plan, Source};
use super::scene::Scene;
use super::schema::Versions;
use super::state::StatePlan;
use super::trace::{Step, Trail};
use crate::change::{Change, Kind};
use crate::fault::{self, Fault};
use crate::row::{Action, Columns, Destination, Key, Row, State, Value};

/// One compiled map.
#[derive(Debug)]
pub struct Map {
    /// The map's name.
    pub name: Arc<str>,
    /// Where its rows go, and what every row carries of the map.
    pub destination: Arc<Destination>,
    /// The source system of `concord.toml`.
    pub system: String,
    /// The kind of thing it reads.
    pub entity: String,
    /// Whether that is a many-to-many relationship, and each thing a pair of rows.
    pub pairs: bool,
    /// The payload versions it reads.
    pub versions: Versions,
    /// The key columns.
    pub key: Vec<(Arc<str>, Plan)>,
    /// The other columns.
    pub fields: Vec<(Arc<str>, Plan)>,
    /// Which changes it is about.
    pub filter: Option<Filter>,
    /// What becomes of removed rows.
    pub removed: Policy,
    /// Whether somebody wrote that down.
    pub removal_stated: bool,
    /// The row's state.
    pub state: Option<StatePlan>,
    /// The row's owner.
    pub owner: Option<OwnerPlan>,
    /// What must hold, and what is said when it does not.
    pub validate: Vec<(Test, String)>,
    /// What its rules read.
    pub properties: Reads,
    /// Whether rows of the source are read again before they are mapped; the system's word when none.
    pub read: Option<Read>,
    /// The same, when it wants to hear of properties that none reads.
    pub reads: Option<Reads>,
    /// What people decided.
    pub decisions: Vec<Decision>,
    /// Where each key of the file stands.
    pub places: Arc<Places>,
}

/// Which changes a map is about.
#[derive(Debug)]
pub struct Filter {
    /// All of these hold.
    pub when: Test,
    /// What becomes of a row that no longer passes.
    pub leaves: Policy,
}

/// No target has a key as long as this, in bytes as it is shown, and the ledger keeps it whole.
const LONGEST_KEY: usize = 16_000;

impl Map {
    /// The row that a change becomes; none when the map leaves it out.
    pub fn row(&self, change: &Change<'_>) -> Result<Option<Row>, Fault> {
        self.mapped(&Scene::of(change), &mut Trail::off())
    }

    /// The row, together with every step that led to it, secured values masked.
    pub fn trace(&self, change: &Change<'_>) -> (Result<Option<Row>, Fault>, Vec<Step>) {
        let mut trail = Trail::on(self.secret());
        let row = self.mapped(&Scene::of(change), &mut trail);
        (row, trail.into_steps())
    }

    /// The key of the row that a change is about, as far as it can be told; also for a change that the
    /// map cannot use otherwise.
    pub fn key_of(&self, change: &Change<'_>) -> Option<Key> {
        self.key(&Scene::of(change), &mut Trail::off()).ok()
    }

    /// The row of a removal whose key is known from elsewhere; none when the map leaves removals alone.
    pub fn removal(&self, change: &Change<'_>, key: Key) -> Option<Row> {
        let action = self.removed.action(change.order.emitted)?;
        let scene = Scene::of(change);
        Some(self.to(&scene, key, action, self.filter.is_some()))
    }

    /// The property and the column of the company, or whatever else divides the table: the first part of
    /// a key of several, when it is a property as it stands.
    pub fn company(&self) -> Option<(Arc<str>, Arc<str>)> {
        let [(column, plan), _, ..] = self.key.as_slice() else { return None };
        match &plan.source {
            Source::Properties(names) if plan.shape.lookup.is_none() => {
                names.first().map(|name| (name.as_str().into(), Arc::clone(column)))
            }
            Source::Properties(_)
            | Source::Fact(_)
            | Source::Constant(_)
            | Source::Code(_)
            | Source::Edge(_)
            | Source::Join { .. }
            | Source::When(..)
            | Source::Expr(_)
            | Source::Composite { .. } => None,
        }
    }

    /// Why a change is not for this map: its payload version.
    pub(super) fn unread(&self, change: &Change<'_>) -> Fault {
        let version = change.schema.unwrap_or_default();
        let text = format!("no map reads payload version {version} of {}", self.entity);
        Fault::new(fault::Kind::SchemaUnknown, text)
    }

    /// Whether its two sides can be compared: pairs of rows come by events alone and are read nowhere.
    pub fn compares(&self) -> bool {
        !self.pairs && !self.destination.pairs
    }

    /// Every rule that yields a column: those of the key, of the fields, and of the owner.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        let columns = self.key.iter().chain(&self.fields).map(|(_, plan)| plan);
        let owner = self.owner.iter().flat_map(OwnerPlan::plans).map(|(_, plan)| plan);
        columns.chain(owner)
    }

    fn mapped(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<Option<Row>, Fault> {
        if scene.change().kind == Kind::Remove {
            // it may come without the properties that the filter looks at
            return self.remove(self.removed, scene, trail);
        }
        if self.passes(scene, trail)? {
            return self.upsert(scene, trail).map(Some);
        }
        let leaves = self.filter.as_ref().map_or(Policy::Ignore, |filter| filter.leaves);
        match self.remove(leaves, scene, trail) {
            // without a key it was never written
            Err(fault) if fault.kind == fault::Kind::KeyMissing => Ok(None),
            other => other,
        }
    }

    fn passes(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<bool, Fault> {
        let Some(filter) = &self.filter else { return Ok(true) };
        trail.column("[filter]", false);
        filter.when.holds(scene, trail).map_err(|fault| fault.field("[filter]"))
    }

    /// A removal concerns rows that this system wrote, and no others.
    fn remove(
        &self,
        policy: Policy,
        scene: &Scene<'_>,
        trail: &mut Trail,
    ) -> Result<Option<Row>, Fault> {
        let Some(action) = policy.action(scene.change().order.emitted) else { return Ok(None) };
        let key = self.key(scene, trail)?;
        Ok(Some(self.to(scene, key, action, true)))
    }

    fn upsert(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<Row, Fault> {
        let key = self.key(scene, trail)?;
        self.valid(scene, trail)?;
        let mut values = self.columns(scene, trail)?;
        trail.column("[state]", false);
        let state = match &self.state {
            Some(state) => state.value(scene, trail).map_err(|fault| fault.field("[state]"))?,
            None => self.reactivation(),
        };
        trail.column("[owner]", false);
        let owned = self.owner.as_ref().map(|owner| owner.value(scene, trail)).transpose();
        let owned = owned.map_err(|fault| fault.field("[owner]"))?.unwrap_or_default();
        values.extend(owned.columns);
        let columns = Columns { values, state, owner: owned.owner };
        Ok(self.to(scene, key, Action::Upsert(columns), false))
    }

    /// A row that this map deactivates becomes active again when its thing comes back.
    fn reactivation(&self) -> Option<State> {
        let leaves = self.filter.as_ref().and_then(|filter| filter.leaves.state());
        let deactivates = self.removed.state().or(leaves).is_some();
        deactivates.then_some(State { state: 0, status: None })
    }

    fn to(&self, scene: &Scene<'_>, key: Key, action: Action, only_if_known: bool) -> Row {
        let change = scene.change();
        Row {
            to: Arc::clone(&self.destination),
            key,
            action: action.into(),
            order: change.order.clone(),
            correlation: change.correlation,
            only_if_known,
            thing: None,
        }
    }

    fn key(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<Key, Fault> {
        let mut key = Vec::with_capacity(self.key.len());
        for (column, plan) in &self.key {
            trail.column(column, self.masks(column));
            let datum = plan.datum(scene, trail).map_err(|fault| self.about(column, fault))?;
            let missing = || {
                let text = format!("{} is missing, null or empty, so there is no key", plan.shown);
                Fault::new(fault::Kind::KeyMissing, text).field(&**column)
            };
            if datum.is_blank() || datum == Datum::Typed(Value::Text(String::new())) {
                return Err(missing());
            }
            key.push((Arc::clone(column), datum.into_value().ok_or_else(missing)?));
        }
        let key = Key(key);
        let length = key.shown().len();
        if length > LONGEST_KEY {
            let text = format!("the key has {length} bytes; {LONGEST_KEY} are the most");
            return Err(Fault::new(fault::Kind::TooLong, text));
        }
        Ok(key)
    }

    fn valid(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<(), Fault> {
        trail.column("[validate]", false);
        for (test, message) in &self.validate {
            if !test.holds(scene, trail).map_err(|fault| fault.field("[validate]"))? {
                return Err(
                    Fault::new(fault::Kind::RuleBroken, message.clone()).field("[validate]")
                );
            }
        }
        Ok(())
    }

    /// All columns are tried, so that one fault can name the others.
    fn columns(
        &self,
        scene: &Scene<'_>,
        trail: &mut Trail,
    ) -> Result<Vec<(Arc<str>, Value)>, Fault> {
        let mut values = Vec::with_capacity(self.fields.len());
        let mut first: Option<Fault> = None;
        let mut others = Vec::new();
        for (column, plan) in &self.fields {
            trail.column(column, self.masks(column));
            match (plan.value(scene, trail), &first) {
                (Ok(Some(value)), _) => values.push((Arc::clone(column), value)),
                (Ok(None), _) => {}
                (Err(fault), None) => first = Some(self.about(column, fault)),
                (Err(_), Some(_)) => others.push(&**column),
            }
        }
        match first {
            None => Ok(values),
            Some(mut fault) => {
                if !others.is_empty() {
                    let others = others.join(", ");
                    fault.message = format!("{}; also refused: {others}", fault.message).into();
                }
                Err(fault)
            }
        }
    }

    /// Names the column; what is secured leaves no value behind, wherever in the rule it was refused.
    fn about(&self, column: &str, mut fault: Fault) -> Fault {
        if self.masks(column) {
            fault.detail = None;
        }
        fault.field(column)
    }

    fn masks(&self, column: &str) -> bool {
        self.destination.secured.iter().any(|secured| secured == column)
    }

    /// The properties that secured columns read.
    fn secret(&self) -> Vec<String> {
        let mut names = Vec::new();
        let all = self.key.iter().chain(&self.fields);
        for (_, plan) in all.filter(|(column, _)| self.masks(column)) {
            plan.visit(&mut |plan| match &plan.source {
                Source::Properties(from) | Source::Join { from, .. } => names.extend(from.clone()),
                Source::Fact(_)
                | Source::Constant(_)
                | Source::Code(_)
                | Source::Edge(_)
                | Source::When(..)
                | Source::Expr(_)
                | Source::Composite { .. } => {}
            });
        }
        names
    }
}
