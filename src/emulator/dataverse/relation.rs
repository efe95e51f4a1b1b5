//! Collection-valued navigation properties: what lies on the other side of one, and tying and untying
//! two rows through it.

use uuid::Uuid;

use crate::emulator::dataverse::model::{Cell, Environment};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::session::{Besides, Message, Session};

/// What a collection-valued navigation property leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Relation {
    /// Rows of `table` whose lookup `column` refers to this row.
    Children {
        /// The relationship's schema name.
        name: String,
        /// The table of the children.
        table: String,
        /// Their lookup column.
        column: String,
    },
    /// Rows associated through the many-to-many relationship at this place.
    Pairs {
        /// The relationship's schema name.
        name: String,
        /// Its place in the environment's list.
        place: usize,
        /// The table on the other side.
        table: String,
        /// Whether this side is the first of each pair.
        first: bool,
    },
}

impl Relation {
    /// The table on the other side.
    pub fn table(&self) -> &str {
        match self {
            Self::Children { table, .. } | Self::Pairs { table, .. } => table,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Children { name, .. } | Self::Pairs { name, .. } => name,
        }
    }
}

/// The relation behind a collection-valued navigation property of a table.
pub fn find(env: &Environment, table: &str, navigation: &str) -> Option<Relation> {
    children(env, table, navigation).or_else(|| pairs(env, table, navigation))
}

fn children(env: &Environment, table: &str, navigation: &str) -> Option<Relation> {
    env.tables.values().find_map(|child| {
        let definition = &child.definition;
        let column = definition.columns.iter().find(|column| {
            let mut targets = column.targets.iter();
            targets.any(|target| target.table == table && target.collection == navigation)
        })?;
        let (name, table) = (navigation.to_owned(), definition.logical_name.clone());
        Some(Relation::Children { name, table, column: column.logical_name.clone() })
    })
}

fn pairs(env: &Environment, table: &str, navigation: &str) -> Option<Relation> {
    env.many_to_many.iter().enumerate().find_map(|(place, relation)| {
        let leaves = |side: &crate::emulator::dataverse::model::Side| {
            side.table == table && side.navigation == navigation
        };
        let name = relation.schema_name.clone();
        if leaves(&relation.first) {
            let table = relation.second.table.clone();
            return Some(Relation::Pairs { name, place, table, first: true });
        }
        let table = relation.first.table.clone();
        leaves(&relation.second).then_some(Relation::Pairs { name, place, table, first: false })
    })
}

/// Ties `other` to `id` through a relation, which raises Associate; where a lookup is set by it, the
/// child's Update too. Refuses rows of the wrong table.
pub fn tie(
    session: &mut Session<'_>,
    relation: &Relation,
    (id, owner): (Uuid, &str),
    (table, other): (&str, Uuid),
) -> Result<(), Refusal> {
    if relation.table() != table {
        let message = format!("A '{table}' cannot be associated through this relationship.");
        return Err(Refusal::payload(message));
    }
    match relation {
        Relation::Children { column, .. } => {
            let parent = Cell::Lookup { table: owner.to_owned(), id };
            point(session, table, other, column, Some(parent))?;
        }
        Relation::Pairs { place, first, .. } => {
            if !session.pair(*place, if *first { (id, other) } else { (other, id) }) {
                return Ok(());
            }
        }
    }
    let besides = Besides::Related(relation.name().to_owned(), (table.to_owned(), other));
    session.raise(Message::Associate, (owner, id), Vec::new(), besides);
    Ok(())
}

/// Unties `other` from `id`, which raises Disassociate.
pub fn untie(
    session: &mut Session<'_>,
    relation: &Relation,
    (id, owner): (Uuid, &str),
    other: Uuid,
) -> Result<(), Refusal> {
    match relation {
        Relation::Children { table, column, .. } => point(session, table, other, column, None)?,
        Relation::Pairs { place, first, .. } => {
            if !session.part(*place, if *first { (id, other) } else { (other, id) }) {
                return Ok(());
            }
        }
    }
    let other = (relation.table().to_owned(), other);
    let besides = Besides::Related(relation.name().to_owned(), other);
    session.raise(Message::Disassociate, (owner, id), Vec::new(), besides);
    Ok(())
}

/// Sets one lookup of one row.
pub fn point(
    session: &mut Session<'_>,
    table: &str,
    id: Uuid,
    column: &str,
    parent: Option<Cell>,
) -> Result<(), Refusal> {
    let draft = super::draft::Draft {
        cells: vec![(column.to_owned(), parent)],
        ..super::draft::Draft::default()
    };
    super::rows::update(session, table, id, draft)
}
