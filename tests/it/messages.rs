//! What environments say beyond the creation, change and deletion of one row: pairs of rows, merges, many
//! rows at once, states and owners. Said by one emulated environment, it arrives in the other.

use serde_json::{Value, json};

use crate::support::twins::{GUESTS, Twins};

const ACCOUNTS: &str = "
map = 'accounts'
version = 1
from = { system = 'one', entity = 'account' }
to = { system = 'two', table = 'account' }
key = { accountnumber = 'accountnumber' }
fields = { name = 'name', telephone1 = 'telephone1' }
removed = { action = 'delete' }
[state]
by = 'statecode'
values = { 0 = { state = 0, status = 1 }, 1 = { state = 1, status = 2 } }
";

async fn create(twins: &Twins, set: &str, row: Value) {
    twins.write(&twins.one, "POST", set, row).await;
}

/// The hotels of a customer in the second environment.
async fn stays(twins: &Twins) -> Vec<String> {
    let path = "acme_customers(acme_number='C-1')/acme_customer_acme_hotel?$select=acme_code";
    let (_, page) = twins.call(&twins.two, "GET", path, Value::Null).await;
    let rows = page["value"].as_array().into_iter().flatten();
    let mut codes: Vec<String> =
        rows.map(|row| row["acme_code"].as_str().unwrap().to_owned()).collect();
    codes.sort();
    codes
}

#[tokio::test]
async fn rows_that_are_associated_or_parted_are_so_in_the_other_environment() {
    let twins = Twins::start("read = 'fetch'", &GUESTS.map(str::to_owned)).await;
    assert_eq!(twins.register().await, 12, "an endpoint, three tables, two messages of no table");
    create(&twins, "acme_customers", json!({ "acme_number": "C-1", "acme_name": "A" })).await;
    for code in ["H1", "H2"] {
        create(&twins, "acme_hotels", json!({ "acme_code": code, "acme_name": code })).await;
    }
    twins.rest().await;
    let other = |path: &str| json!({ "@odata.id": format!("{}{path}", twins.one.url()) });
    let guest = "acme_customers(acme_number='C-1')";
    let hotels = format!("{guest}/acme_customer_acme_hotel");
    let tie = format!("{hotels}/$ref");
    twins.write(&twins.one, "POST", &tie, other("acme_hotels(acme_code='H1')")).await;
    // From the other end: the same relationship, the ends in the other order.
    let back = "acme_hotels(acme_code='H2')/acme_customer_acme_hotel/$ref";
    twins.write(&twins.one, "POST", back, other(guest)).await;
    twins.rest().await;
    assert_eq!(stays(&twins).await, ["H1", "H2"]);
    // Tied from one end, parted from the other.
    let (_, row) = twins.call(&twins.one, "GET", guest, Value::Null).await;
    let id = row["acme_customerid"].as_str().unwrap();
    let part = format!("acme_hotels(acme_code='H1')/acme_customer_acme_hotel({id})/$ref");
    twins.write(&twins.one, "DELETE", &part, Value::Null).await;
    twins.rest().await;
    let waits = twins.app.stores.work.depth().await.unwrap();
    assert_eq!(stays(&twins).await, ["H2"], "{waits} wait");
    let told = twins.one.state.trouble().told;
    assert_eq!((told.failed, told.caused), (0, 6), "{told:?}");
    assert_eq!(twins.app.stores.poisoned.depth().await.unwrap(), 0);
}

#[tokio::test]
async fn a_pair_waits_for_its_rows_and_is_written_when_they_are_there() {
    let twins = Twins::start("read = 'fetch'", &GUESTS.map(str::to_owned)).await;
    create(&twins, "acme_customers", json!({ "acme_number": "C-1", "acme_name": "A" })).await;
    create(&twins, "acme_hotels", json!({ "acme_code": "H1", "acme_name": "H" })).await;
    // Neither row was heard of before the pair.
    twins.register().await;
    let other = json!({ "@odata.id": format!("{}acme_hotels(acme_code='H1')", twins.one.url()) });
    let tie = "acme_customers(acme_number='C-1')/acme_customer_acme_hotel/$ref";
    twins.write(&twins.one, "POST", tie, other).await;
    twins.rest().await;
    for row in ["acme_customers(acme_number='C-1')", "acme_hotels(acme_code='H1')"] {
        assert!(stays(&twins).await.is_empty());
        twins.write(&twins.one, "PATCH", row, json!({ "acme_name": "B" })).await;
        twins.rest().await;
        twins.work().await;
    }
    assert_eq!(stays(&twins).await, ["H1"]);
}

#[tokio::test]
async fn a_child_that_is_tied_through_its_parent_arrives_with_its_reference() {
    let rooms = "
map = 'rooms'
version = 1
from = { system = 'one', entity = 'acme_room' }
to = { system = 'two', table = 'acme_room' }
fields = { acme_name = 'acme_name' }
removed = { action = 'delete' }
[key]
acme_hotelid = { from = 'acme_hotelid.acme_code', lookup = 'acme_hotel.acme_code' }
acme_number = 'acme_number'
";
    let twins = Twins::start("read = 'fetch'", &[GUESTS[1].to_owned(), rooms.to_owned()]).await;
    create(&twins, "acme_hotels", json!({ "acme_code": "H1", "acme_name": "H" })).await;
    create(&twins, "acme_rooms", json!({ "acme_number": "7", "acme_name": "R" })).await;
    twins.register().await;
    twins
        .write(&twins.one, "PATCH", "acme_hotels(acme_code='H1')", json!({ "acme_name": "I" }))
        .await;
    let (_, page) = twins.call(&twins.one, "GET", "acme_rooms", Value::Null).await;
    let room = format!("acme_rooms({})", page["value"][0]["acme_roomid"].as_str().unwrap());
    let other = json!({ "@odata.id": format!("{}{room}", twins.one.url()) });
    let tie = "acme_hotels(acme_code='H1')/acme_hotel_acme_room_HotelId/$ref";
    twins.rest().await;
    twins.write(&twins.one, "POST", tie, other).await;
    twins.rest().await;
    let (_, page) = twins
        .call(&twins.two, "GET", "acme_rooms?$expand=acme_HotelId($select=acme_code)", Value::Null)
        .await;
    assert_eq!(page["value"][0]["acme_HotelId"]["acme_code"], "H1", "{page}");
}

#[tokio::test]
async fn a_merge_fills_the_master_and_deactivates_the_loser_there_too() {
    let twins = Twins::start("read = 'image'", &[ACCOUNTS.to_owned()]).await;
    assert_eq!(twins.register().await, 5, "an endpoint and four messages, Merge among them");
    for number in ["A-1", "A-2"] {
        create(&twins, "accounts", json!({ "accountnumber": number, "name": number })).await;
    }
    twins.rest().await;
    let id = async |number: &str| {
        let path = format!("accounts(accountnumber='{number}')");
        let (_, row) = twins.call(&twins.one, "GET", &path, Value::Null).await;
        row["accountid"].clone()
    };
    let (master, loser) = (id("A-1").await, id("A-2").await);
    let kind = "Microsoft.Dynamics.CRM.account";
    let merge = json!({
        "Target": { "@odata.type": kind, "accountid": master },
        "Subordinate": { "@odata.type": kind, "accountid": loser },
        "UpdateContent": { "@odata.type": kind, "telephone1": "+45 33" },
        "PerformParentingChecks": false,
    });
    twins.write(&twins.one, "POST", "Merge", merge.clone()).await;
    twins.rest().await;
    let columns = ["accountnumber", "telephone1", "statecode", "statuscode"];
    assert_eq!(
        twins.rows(&twins.two, "accounts", &columns).await,
        ["A-1 +45 33 0 1", "A-2 null 1 2"]
    );
    let (status, _) = twins.call(&twins.one, "POST", "Merge", merge).await;
    assert_eq!(status, 400, "a row is merged once");
}

#[tokio::test]
async fn a_state_and_an_owner_arrive_as_updates_of_their_row() {
    let owned = ACCOUNTS.replace("[state]", "[owner]\nuser = { from = 'ownerid' }\n[state]");
    let twins = Twins::start("read = 'image'", &[owned]).await;
    twins.register().await;
    create(&twins, "accounts", json!({ "accountnumber": "A-1", "name": "A" })).await;
    twins.rest().await;
    let path = "systemusers?$filter=domainname eq 'robin@acme.example'";
    let (_, users) = twins.call(&twins.one, "GET", path, Value::Null).await;
    let user = users["value"][0]["systemuserid"].as_str().unwrap().to_owned();
    let row = "accounts(accountnumber='A-1')";
    // One request, and two updates of it: the columns with their owner, then the state.
    let edit = json!({
        "name": "B", "ownerid@odata.bind": format!("/systemusers({user})"),
        "statecode": 1, "statuscode": 2,
    });
    let before = twins.one.state.trouble().told.caused;
    twins.write(&twins.one, "PATCH", row, edit).await;
    twins.rest().await;
    assert_eq!(twins.one.state.trouble().told.caused - before, 2);
    let columns = ["accountnumber", "name", "statecode", "statuscode", "_ownerid_value"];
    let expected = format!("A-1 B 1 2 {user}");
    assert_eq!(twins.rows(&twins.two, "accounts", &columns).await, [expected]);
}
