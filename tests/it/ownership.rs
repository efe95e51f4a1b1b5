//! Whose a row is at the target, and who says whether it is active: owners and business units by business key,
//! and states that are handed off to a process of the target's own.

use serde_json::{Value, json};

use crate::support::twins::Twins;

const HANDED: &str = "
map = 'customers'
version = 1
from = { system = 'one', entity = 'acme_customer' }
to = { system = 'two', table = 'acme_customer' }
key = { acme_number = 'acme_number' }
fields = { acme_name = 'acme_name' }
removed = { action = 'deactivate', state = 1, status = 2 }
[state]
by = 'statecode'
values = { 0 = { state = 0, status = 1 }, 1 = { state = 1, status = 2 } }
[state.hand_off]
column = 'acme_syncstatus'
values = [
  { state = 0, status = 1, value = 100000000 },
  { state = 1, status = 2, value = 100000001 },
]
";

const OWNED: &str = "
map = 'accounts'
version = 1
from = { system = 'one', entity = 'account' }
to = { system = 'two', table = 'account' }
key = { accountnumber = 'accountnumber' }
fields = { name = { from = 'name', max = 160 } }
removed = { action = 'delete' }
[owner]
team = { from = 'description', lookup = 'team.name' }
";
const UNIT: &str = "unit = { from = 'address1_city', lookup = 'businessunit.name' }\n";

async fn handed(twins: &Twins) -> Vec<String> {
    let columns = ["acme_number", "acme_syncstatus", "statecode", "statuscode"];
    twins.rows(&twins.two, "acme_customers", &columns).await
}

#[tokio::test]
async fn a_state_is_handed_off_in_a_column_and_the_target_carries_it_out() {
    let twins = Twins::start("read = 'fetch'", &[HANDED.to_owned()]).await;
    twins.register().await;
    let (one, two, row) = (&twins.one, &twins.two, "acme_customers(acme_number='C-1')");
    let edit = async |server, body: Value| {
        twins.write(server, "PATCH", row, body).await;
        twins.rest().await;
    };
    edit(one, json!({ "acme_name": "A" })).await;
    assert_eq!(handed(&twins).await, ["C-1 100000000 0 1"]);
    edit(one, json!({ "statecode": 1, "statuscode": 2 })).await;
    assert_eq!(handed(&twins).await, ["C-1 100000001 0 1"], "the state is not ours to set");
    // The target's own process reads the column after the run, and sets what it says.
    edit(two, json!({ "statecode": 1, "statuscode": 2 })).await;
    edit(one, json!({ "statecode": 0, "statuscode": 1 })).await;
    assert_eq!(handed(&twins).await, ["C-1 100000000 1 2"]);
    twins.write(one, "DELETE", row, Value::Null).await;
    twins.rest().await;
    assert_eq!(handed(&twins).await, ["C-1 100000001 1 2"], "removals are handed off too");
    assert_eq!(one.state.trouble().told.failed, 0);
}

/// A business unit of the second environment with the team that it always has, and one more team.
async fn units(twins: &Twins) -> (String, String) {
    twins.write(&twins.two, "POST", "businessunits", json!({ "name": "North" })).await;
    let id = async |query: &str, column: &str| {
        let (_, page) = twins.call(&twins.two, "GET", query, Value::Null).await;
        page["value"][0][column].as_str().unwrap().to_owned()
    };
    let unit = id("businessunits?$filter=name eq 'North'", "businessunitid").await;
    let root = id("businessunits?$filter=name eq 'acme'", "businessunitid").await;
    let sales =
        json!({ "name": "Sales", "businessunitid@odata.bind": format!("/businessunits({root})") });
    twins.write(&twins.two, "POST", "teams", sales).await;
    (unit, id("teams?$filter=name eq 'Sales'", "teamid").await)
}

async fn across_units(twins: &Twins) {
    let (_, page) = twins.call(&twins.two, "GET", "organizations", Value::Null).await;
    let id = page["value"][0]["organizationid"].as_str().unwrap();
    let settings = "<OrgSettings><EnableOwnershipAcrossBusinessUnits>true</EnableOwnershipAcrossBusinessUnits></OrgSettings>";
    let row = format!("organizations({id})");
    twins.write(&twins.two, "PATCH", &row, json!({ "orgdborgsettings": settings })).await;
}

async fn owners(twins: &Twins) -> Vec<String> {
    let columns = ["accountnumber", "_ownerid_value", "_owningbusinessunit_value"];
    twins.rows(&twins.two, "accounts", &columns).await
}

#[tokio::test]
async fn a_row_goes_to_the_team_and_the_unit_that_its_source_names() {
    let twins = Twins::start("read = 'image'", &[OWNED.to_owned() + UNIT]).await;
    let (unit, team) = units(&twins).await;
    let (code, told) = twins.command(&["check", "--json"]).await;
    assert!(code == Some(1) && told.contains("unit-fixed"), "{told}");
    let (_, told) = twins.command(&["doctor", "--json"]).await;
    assert!(told.contains("EnableOwnershipAcrossBusinessUnits"), "{told}");
    across_units(&twins).await;
    let (code, told) = twins.command(&["check", "--json"]).await;
    assert!(code == Some(0) && !told.contains("unit-fixed"), "{told}");
    twins.register().await;
    let account = |number: &str, team: &str| {
        json!({
            "accountnumber": number, "name": "A", "description": team, "address1_city": "North",
        })
    };
    twins.write(&twins.one, "POST", "accounts", account("A-1", "Sales")).await;
    // A row whose team is not there yet waits for it.
    twins.write(&twins.one, "POST", "accounts", account("A-2", "Support")).await;
    twins.rest().await;
    assert_eq!(owners(&twins).await, [format!("A-1 {team} {unit}")]);
    let mut waiting = 0;
    for bucket in 0..concord::parking::BUCKETS {
        let page = twins.app.pipeline.parking.page(bucket, None).await.unwrap();
        waiting += page.parked.len();
    }
    assert_eq!(waiting, 1);
}

#[tokio::test]
async fn without_that_setting_a_unit_gets_a_row_by_its_own_team() {
    let by_team = OWNED.replace(
        "team = { from = 'description', lookup = 'team.name' }",
        "team = { lookup = { table = 'team', by = { name = 'address1_city', isdefault = { value = true } } } }",
    );
    let twins = Twins::start("read = 'image'", &[by_team]).await;
    let (unit, _) = units(&twins).await;
    let (code, told) = twins.command(&["check", "--json"]).await;
    assert_eq!(code, Some(0), "{told}");
    twins.register().await;
    let row = json!({ "accountnumber": "A-1", "name": "A", "address1_city": "North" });
    twins.write(&twins.one, "POST", "accounts", row).await;
    twins.rest().await;
    let (_, page) =
        twins.call(&twins.two, "GET", "teams?$filter=name eq 'North'", Value::Null).await;
    let team = page["value"][0]["teamid"].as_str().unwrap();
    assert_eq!(owners(&twins).await, [format!("A-1 {team} {unit}")]);
}
