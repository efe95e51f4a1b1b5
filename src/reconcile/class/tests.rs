use super::*;
use crate::change::Correlation;
use crate::ledger::entry::{Applied, Claim, Held, Intent, Version};
use crate::row::{Columns, RowHash, State};

fn at(minute: i64) -> Timestamp {
    Timestamp::from_second(minute * 60).unwrap()
}

fn order(minute: i64) -> Order {
    Order::emitted_at(at(minute))
}

fn version(minute: i64, action: Action) -> Version {
    Version {
        order: order(minute),
        hash: RowHash::DOUBTED,
        action: Some(std::sync::Arc::new(action)),
        map_version: 1,
        correlation: Correlation::default(),
        thing: None,
    }
}

fn written(minute: i64) -> Entry {
    let version = version(minute, Action::Upsert(Columns::default()));
    Entry {
        applied: Some(Applied { version, target_id: None, at: at(minute) }.into()),
        ..Entry::default()
    }
}

fn removed(removal: Removal) -> Entry {
    let version = version(20, Action::Remove(removal));
    Entry {
        applied: Some(Applied { version, target_id: None, at: at(20) }.into()),
        ..Entry::default()
    }
}

fn facts(entry: &Entry) -> Facts<'_> {
    Facts {
        wanted: Wanted::Row(order(10)),
        source_changed: Some(at(10)),
        target: Some((Some(at(10)), None)),
        inactive: false,
        entry,
        poisoned: false,
        parked: false,
        mode: Mode::Upsert,
        removes: true,
        me: None,
        started: at(90),
        now: at(100),
    }
}

#[test]
fn a_row_that_waits_somewhere_is_explained_by_that_before_anything_else() {
    let entry = written(5);
    let intent = Intent {
        version: version(10, Action::Upsert(Columns::default())),
        claim: Claim(Uuid::nil()),
        lease: at(100),
    };
    let busy = Entry { intent: Some(intent.into()), ..entry.clone() };
    let of = |facts: Facts<'_>| classify(&facts).unwrap();
    assert_eq!(of(Facts { poisoned: true, ..facts(&busy) }), Class::InFlight);
    assert_eq!(of(Facts { poisoned: true, parked: true, ..facts(&entry) }), Class::Poisoned);
    assert_eq!(of(Facts { parked: true, ..facts(&entry) }), Class::Parked);
    let held = Held {
        order: order(10),
        due: at(200),
        then: Removal::Delete,
        correlation: Correlation::default(),
    };
    let held = Entry { held: Some(held.into()), ..entry };
    assert_eq!(of(Facts { wanted: Wanted::Nothing, ..facts(&held) }), Class::Held);
}

#[test]
fn a_change_of_the_source_that_never_arrived_is_told_from_an_edit_at_the_target() {
    let (older, same, none) = (written(5), written(10), Entry::default());
    let of = |facts: Facts<'_>| classify(&facts).unwrap();
    assert_eq!(of(facts(&none)), Class::NeverSeen);
    assert_eq!(of(facts(&older)), Class::Missed);
    assert_eq!(of(Facts { source_changed: Some(at(99)), ..facts(&older) }), Class::InFlight);
    assert_eq!(of(Facts { target: None, ..facts(&same) }), Class::Deleted);
    assert_eq!(of(facts(&same)), Class::Altered);
    assert_eq!(of(Facts { target: Some((Some(at(11)), None)), ..facts(&same) }), Class::Edited);
    let (me, other) = (Some(Uuid::from_u128(1)), Some(Uuid::from_u128(2)));
    let by_other = Some((Some(at(10)), other));
    assert_eq!(of(Facts { target: by_other, me, ..facts(&same) }), Class::Edited);
    assert_eq!(of(Facts { target: Some((Some(at(10)), me)), me, ..facts(&same) }), Class::Altered);
    let refused = Wanted::Refused(fault::Kind::TooLong);
    assert_eq!(of(Facts { wanted: refused, ..facts(&older) }), Class::Refused);
}

#[test]
fn what_the_source_does_not_give_the_target_is_removed_only_if_we_wrote_it() {
    let (ours, none) = (written(5), Entry::default());
    let nothing = |entry| Facts { wanted: Wanted::Nothing, ..facts(entry) };
    assert_eq!(classify(&nothing(&ours)), Some(Class::MissedRemoval));
    assert_eq!(classify(&nothing(&none)), Some(Class::Theirs));
    assert_eq!(classify(&Facts { removes: false, ..nothing(&ours) }), Some(Class::Filtered));
    let left_out = |entry| Facts { wanted: Wanted::LeftOut, ..facts(entry) };
    assert_eq!(classify(&left_out(&ours)), Some(Class::Filtered));
    let gone = Facts { wanted: Wanted::Gone(None), ..facts(&ours) };
    assert_eq!(classify(&gone), Some(Class::MissedRemoval));
    assert_eq!(classify(&Facts { target: None, ..nothing(&ours) }), None);
    let meanwhile = Facts { started: at(4), ..nothing(&ours) };
    assert_eq!(classify(&meanwhile), Some(Class::InFlight), "it was made while rows were read");
}

#[test]
fn a_row_that_was_deactivated_stays_and_one_that_was_deleted_and_came_back_is_theirs() {
    let inactive = removed(Removal::Deactivate(State { state: 1, status: None }));
    let nothing = |entry| Facts { wanted: Wanted::Nothing, ..facts(entry) };
    assert_eq!(classify(&Facts { inactive: true, ..nothing(&inactive) }), None);
    assert_eq!(classify(&nothing(&removed(Removal::Delete))), Some(Class::Theirs));
}

#[test]
fn the_mode_of_a_map_decides_what_it_owes() {
    let none = Entry::default();
    let update = Facts { mode: Mode::Update, target: None, ..facts(&none) };
    assert_eq!(classify(&update), None);
    assert_eq!(classify(&Facts { mode: Mode::Insert, ..facts(&none) }), None);
    let insert = Facts { mode: Mode::Insert, target: None, ..facts(&none) };
    assert_eq!(classify(&insert), Some(Class::NeverSeen));
}

#[test]
fn only_what_is_wrong_is_acted_on_and_only_what_is_meant_is_no_difference() {
    assert_eq!(Class::Missed.act(), Act::Write);
    assert_eq!(Class::Edited.act(), Act::Write);
    assert_eq!(Class::MissedRemoval.act(), Act::Remove);
    assert_eq!(Class::Poisoned.act(), Act::Nothing);
    assert!(Class::Theirs.is_meant() && !Class::Poisoned.is_meant());
    assert!(Class::NeverSeen.is_hole() && !Class::Edited.is_hole());
}
