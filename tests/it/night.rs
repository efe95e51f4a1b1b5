//! One night between two environments: events were lost, rows edited and removed on either side, and in
//! the morning both sides are equal and everything is explained.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use concord::app::App;
use concord::clock::{Clock, SystemClock};
use concord::config::Settings;
use concord::delivery::{Attempt, Delivery, Event};
use concord::emulator::dataverse::seed::other_user;
use concord::emulator::dataverse::server::{Server, serve};
use concord::emulator::dataverse::state::Options;
use concord::reconcile::{Act, Class, Depth, Does, Done, Planner, Removals, Report, Wish};
use concord::store::Call;
use concord::system::source::{Asked, Selection};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::azurite;
use crate::support::work;

const CONFIGURATION: &str = "
[systems.primary]
kind = 'dataverse'
url = '${PRIMARY_URL}'
auth = 'none'
[systems.secondary]
kind = 'dataverse'
url = '${SECONDARY_URL}'
auth = 'none'
[reconcile]
rest_percent = 0
";

const REGION: &str = "
map = 'region'
version = 1
from = { system = 'primary', entity = 'acme_region' }
to = { system = 'secondary', table = 'acme_region' }
[key]
acme_code = 'acme_code'
[fields]
acme_name = 'acme_name'
[removed]
action = 'delete'
";

const CUSTOMER: &str = "
map = 'customer'
version = 1
from = { system = 'primary', entity = 'acme_customer' }
to = { system = 'secondary', table = 'acme_customer' }
[key]
acme_number = 'acme_number'
[fields]
acme_name = { from = 'acme_name', max = 20 }
acme_credit = { from = 'acme_credit', decimal = { digits = 4 } }
acme_regionid = { from = 'acme_regionid.acme_code', lookup = 'acme_region.acme_code', missing = 'park' }
[filter]
when = [{ none = [{ if = 'acme_notes', is = 'secret' }] }]
leaves = 'keep'
[removed]
action = 'delete'
";

/// Both environments are so many minutes behind, so that nothing looks as if it was on its way.
#[derive(Debug)]
pub(crate) struct Behind(pub(crate) AtomicI64);

impl Clock for Behind {
    fn now(&self) -> jiff::Timestamp {
        let minutes = self.0.load(Ordering::Relaxed);
        SystemClock.now() - jiff::SignedDuration::from_mins(minutes)
    }
}

/// Writes the configuration and both maps to a folder.
pub(crate) fn write_maps(folder: &std::path::Path) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, text) in [("concord", CONFIGURATION), ("region", REGION), ("customer", CUSTOMER)] {
        std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
    }
}

struct Twins {
    app: App,
    behind: Arc<Behind>,
    primary: Server,
    secondary: Server,
    web: reqwest::Client,
    _folder: TempDir,
}

impl Twins {
    async fn start(storage: Option<String>) -> Self {
        let behind = Arc::new(Behind(AtomicI64::new(120)));
        let clock = || Arc::clone(&behind) as Arc<dyn Clock>;
        let options = || Options { clock: clock(), ..Options::default() };
        let (primary, secondary) =
            (serve(options()).await.unwrap(), serve(options()).await.unwrap());
        let folder = tempfile::tempdir().unwrap();
        let maps = folder.path().join("maps");
        write_maps(&maps);
        let local = || format!("local:{}", folder.path().join("storage").display());
        let url = |server: &Server| server.url().replace("/api/data/v9.2/", "");
        let settings = Settings::of([
            ("CONCORD_MAPS", maps.display().to_string()),
            ("CONCORD_STORAGE", storage.unwrap_or_else(local)),
            ("PRIMARY_URL", url(&primary)),
            ("SECONDARY_URL", url(&secondary)),
        ]);
        let app = App::open(&settings).await.unwrap();
        Self { app, behind, primary, secondary, web: reqwest::Client::new(), _folder: folder }
    }

    async fn call(&self, server: &Server, verb: &str, path: &str, body: Value) {
        let url = format!("{}{path}", server.url());
        let request = self.web.request(verb.parse().unwrap(), url);
        // a person, not the application that Concord is
        let request = request.header("MSCRMCallerID", other_user().to_string());
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{verb} {path}: {status} {}", answer.text().await.unwrap());
    }

    async fn create(&self, customers: std::ops::Range<u32>) {
        for code in ["EU", "US"] {
            let region = json!({"acme_code": code, "acme_name": code});
            self.call(&self.primary, "POST", "acme_regions", region).await;
        }
        let rows: Vec<Value> = customers
            .map(|n| {
                let code = if n % 2 == 0 { "EU" } else { "US" };
                json!({"@odata.type": "Microsoft.Dynamics.CRM.acme_customer",
                       "acme_number": format!("C-{n:04}"), "acme_name": format!("Name {n}"),
                       "acme_credit": 12.5,
                       "acme_RegionId@odata.bind": format!("acme_regions(acme_code='{code}')")})
            })
            .collect();
        let path = "acme_customers/Microsoft.Dynamics.CRM.CreateMultiple";
        self.call(&self.primary, "POST", path, json!({ "Targets": rows })).await;
    }

    /// What the primary has, brought as events, but for those whose number is lost.
    async fn deliver(&self, table: &str, columns: &[&str], lost: impl Fn(&str) -> bool) {
        let columns = Selection::of(columns.iter().copied());
        let asked = Asked { table: table.to_owned(), columns, since: None };
        let page = self.app.pipeline.sources["primary"].page(&asked, None).await.unwrap();
        let now = SystemClock.now();
        let key = |body: &[u8]| {
            let row: Value = serde_json::from_slice(body).unwrap();
            row["acme_number"].as_str().unwrap_or_default().to_owned()
        };
        let rows = page.rows.iter().filter(|record| !lost(&key(&record.body)));
        let events: Vec<Event> = rows.map(|record| record.event(table, now)).collect();
        let delivery = Delivery {
            system: "primary".into(),
            function: "webhook".into(),
            invocation: "1".into(),
            traceparent: None,
            attempt: Attempt { count: 0, last: false },
            within: Duration::from_mins(1),
            events,
        };
        self.app.pipeline.run(&delivery).await;
    }

    /// Begins a night and does everything that it put on the work queue: its pieces, and events that
    /// it woke.
    async fn night(&self) -> BTreeMap<String, Report> {
        let reconciler = self.app.reconciler();
        reconciler.night().await.unwrap();
        work::to_the_end(&self.app).await;
        let mut reports = BTreeMap::new();
        for map in ["region", "customer"] {
            let report = reconciler.reports().get(map, None).await.unwrap().unwrap();
            reports.insert(map.to_owned(), report);
        }
        reports
    }

    async fn compare(&self, wish: Wish) -> Report {
        let reconciler = Arc::new(self.app.reconciler());
        let pieces = reconciler.begin(&["customer".to_owned()], wish).await.unwrap();
        reconciler.finish(pieces).await.unwrap().pop().unwrap().unwrap()
    }

    async fn rows(&self, server: &Server) -> Vec<Value> {
        let path = "acme_customers?$select=acme_number,acme_name,acme_credit&$orderby=acme_number&\
                    $expand=acme_RegionId($select=acme_code)";
        let answer = self.web.get(format!("{}{path}", server.url())).send().await.unwrap();
        let page: Value = answer.json().await.unwrap();
        let rows = page["value"].as_array().unwrap().iter();
        rows.map(|row| {
            json!([
                row["acme_number"],
                row["acme_name"],
                row["acme_credit"],
                row["acme_RegionId"]["acme_code"]
            ])
        })
        .collect()
    }
}

const COLUMNS: [&str; 5] =
    ["acme_number", "acme_name", "acme_credit", "acme_notes", "acme_regionid.acme_code"];

fn found(report: &Report) -> Vec<(Class, u64)> {
    report.found.iter().map(|(class, rows)| (*class, *rows)).collect()
}

/// Loses one in twenty, then much goes wrong on both sides.
async fn troubled(twins: &Twins) {
    twins.create(0..200).await;
    twins.deliver("acme_region", &["acme_code", "acme_name"], |_| false).await;
    twins
        .deliver("acme_customer", &COLUMNS, |key| key[2..].parse::<u32>().unwrap() % 20 == 7)
        .await;
    let (primary, secondary) = (&twins.primary, &twins.secondary);
    let customer = |n: u32| format!("acme_customers(acme_number='C-{n:04}')");
    // changes and removals that no event told of
    for n in [20, 21, 22] {
        twins.call(primary, "PATCH", &customer(n), json!({"acme_name": "changed"})).await;
    }
    twins.call(primary, "DELETE", &customer(30), json!({})).await;
    // a row that the map cannot write, and one that left the filter
    let long = json!({"acme_name": "a name that is far too long for the map"});
    twins.call(primary, "PATCH", &customer(40), long).await;
    twins.call(primary, "PATCH", &customer(41), json!({"acme_notes": "secret"})).await;
    // people at the secondary
    twins.call(secondary, "PATCH", &customer(50), json!({"acme_credit": 99})).await;
    twins.call(secondary, "DELETE", &customer(51), json!({})).await;
    let theirs = json!({"acme_number": "X-1", "acme_name": "theirs"});
    twins.call(secondary, "POST", "acme_customers", theirs).await;
    // a column that the map does not write is nobody's business
    twins.call(secondary, "PATCH", &customer(52), json!({"acme_notes": "ours"})).await;
}

/// What is wrong after a day's trouble.
const DIFFERENCES: [(Class, u64); 8] = [
    (Class::Filtered, 1),
    (Class::Refused, 1),
    (Class::Missed, 3),
    (Class::NeverSeen, 10),
    (Class::MissedRemoval, 1),
    (Class::Edited, 1),
    (Class::Deleted, 1),
    (Class::Theirs, 1),
];

/// A dry run tells everything and changes nothing.
async fn foretold(twins: &Twins) {
    let report = twins.compare(Wish { depth: Depth::Full, dry: true, ..Wish::default() }).await;
    assert_eq!(found(&report), DIFFERENCES);
    assert!(report.findings.iter().all(|finding| finding.done != Done::Mended));
    assert_eq!(report.mark.as_ref().and_then(|mark| mark.through), None);
}

/// One night mends what it may and says why it leaves the rest.
async fn mended(twins: &Twins) {
    let reports = twins.night().await;
    assert!(reports["region"].is_equal(), "{:#?}", reports["region"]);
    let report = &reports["customer"];
    assert_eq!(found(report), DIFFERENCES);
    for finding in &report.findings {
        let mended = finding.done == Done::Mended;
        assert_eq!(mended, finding.act != Act::Nothing, "{finding:?}");
    }
    // what the map cannot write is what keeps the mark where it is
    assert_eq!(report.open, 1);
    let gap = report.mark.as_ref().and_then(|mark| mark.gap.as_ref()).unwrap();
    assert_eq!((gap.rows, gap.key.as_str()), (1, "C-0040"));
}

async fn one_night(storage: Option<String>) {
    let twins = Twins::start(storage).await;
    troubled(&twins).await;
    foretold(&twins).await;
    mended(&twins).await;
    // somebody mends the last one, and the next night finds nothing
    let short = json!({"acme_name": "short"});
    twins.call(&twins.primary, "PATCH", "acme_customers(acme_number='C-0040')", short).await;
    let reports = twins.night().await;
    assert!(reports["customer"].is_equal(), "{:#?}", reports["customer"].findings);
    let reports = twins.night().await;
    let last = &reports["customer"];
    assert_eq!(found(last), [(Class::Filtered, 1), (Class::Theirs, 1)]);
    assert!(last.mark.as_ref().is_some_and(|mark| mark.gap.is_none() && mark.through.is_some()));
    assert_eq!(last.before.len(), 3);
    let mut theirs = twins.rows(&twins.secondary).await;
    theirs.retain(|row| row[0] != "X-1");
    assert_eq!(theirs, twins.rows(&twins.primary).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_night_heals_what_a_day_lost() {
    one_night(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_night_heals_what_a_day_lost_on_azurite() {
    one_night(Some(azurite::connection())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_drawn_from_both_sides_and_counts_are_told() {
    let twins = Twins::start(None).await;
    twins.create(0..60).await;
    twins.deliver("acme_region", &["acme_code", "acme_name"], |_| false).await;
    twins.deliver("acme_customer", &COLUMNS, |_| false).await;
    let credit = json!({"acme_credit": 1});
    for n in 0..60 {
        let path = format!("acme_customers(acme_number='C-{n:04}')");
        twins.call(&twins.secondary, "PATCH", &path, credit.clone()).await;
    }
    let wish = Wish { depth: Depth::Sample, sample: Some(7), seed: Some(5), ..Wish::default() };
    let report = twins.compare(wish).await;
    let drawn = report.found[&Class::Edited];
    assert!((8..=14).contains(&drawn), "each side draws seven of its own: {drawn}");
    let column = &report.findings[0].columns[0];
    assert_eq!(column.column, "acme_credit");
    assert_eq!((column.source.as_deref(), column.target.as_deref()), (Some("12.5"), Some("1")));
    let again = twins.compare(wish).await;
    let keys = |report: &Report| {
        report.findings.iter().map(|finding| finding.key.clone()).collect::<Vec<_>>()
    };
    assert_eq!(keys(&report), keys(&again));
    let counts = twins.compare(Wish { depth: Depth::Counts, ..Wish::default() }).await;
    assert_eq!(counts.counts[""], (60, 60));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_source_empties_no_target() {
    let twins = Twins::start(None).await;
    twins.create(0..30).await;
    twins.deliver("acme_region", &["acme_code", "acme_name"], |_| false).await;
    twins.deliver("acme_customer", &COLUMNS, |_| false).await;
    for n in 0..30 {
        let path = format!("acme_customers(acme_number='C-{n:04}')");
        twins.call(&twins.primary, "DELETE", &path, json!({})).await;
    }
    let report = twins.night().await.remove("customer").unwrap();
    assert_eq!(found(&report), [(Class::MissedRemoval, 30)]);
    assert!(report.findings.iter().all(|finding| matches!(finding.done, Done::Withheld(_))));
    assert_eq!(twins.rows(&twins.secondary).await.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_rows_that_the_night_brings_arrives_in_the_same_night() {
    let twins = Twins::start(None).await;
    twins.create(0..20).await;
    // the regions are lost, so every customer waits for one
    twins.deliver("acme_customer", &COLUMNS, |_| false).await;
    let reports = twins.night().await;
    let report = &reports["customer"];
    assert_eq!(found(report), [(Class::Parked, 20)]);
    assert!(report.findings.iter().all(|finding| finding.done == Done::Arrived), "{report:#?}");
    assert_eq!((report.mended, report.open), (20, 0));
    assert!(report.mark.as_ref().is_some_and(|mark| mark.gap.is_none()), "{:?}", report.mark);
    assert_eq!(twins.rows(&twins.secondary).await, twins.rows(&twins.primary).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_tells_what_would_be_done_and_writes_nothing() {
    let twins = Twins::start(None).await;
    twins.create(0..20).await;
    twins.deliver("acme_region", &["acme_code", "acme_name"], |key| key == "US").await;
    twins.deliver("acme_customer", &COLUMNS, |key| key.is_empty() || key > "C-0010").await;
    let changed = json!({"acme_name": "changed"});
    twins.call(&twins.primary, "PATCH", "acme_customers(acme_number='C-0002')", changed).await;
    let long = json!({"acme_name": "a name that is far too long for the map"});
    twins.call(&twins.primary, "PATCH", "acme_customers(acme_number='C-0004')", long).await;
    let written = || async {
        twins
            .web
            .get(format!("http://{}/_emulator/counters", twins.secondary.address))
            .send()
            .await
            .unwrap()
            .json::<Value>()
            .await
            .unwrap()["rows"]
            .clone()
    };
    let stored = || {
        let counters = &twins.app.stores.counters;
        [Call::Transact, Call::Put, Call::BlobWrite].map(|call| counters.of(call))
    };
    let (rows, calls) = (written().await, stored());
    let mut planner = Planner::new(Arc::clone(&twins.app.pipeline), None);
    planner.whole_sources().await.unwrap();
    let plan = planner.into_plan();
    assert_eq!((written().await, stored()), (rows, calls));
    assert!(plan.changes());
    let counts = &plan.counts["customer"];
    assert_eq!(counts[&Does::Update], 1, "{plan:#?}");
    assert_eq!((counts[&Does::Create], counts[&Does::Refuse]), (9, 1), "{plan:#?}");
    let update = plan.rows.iter().find(|row| row.does == Does::Update).unwrap();
    assert_eq!((update.key.as_str(), update.columns.len()), ("C-0002", 1));
    assert!(update.unsure.is_some(), "only the target can say whether it takes the row");
    let column = &update.columns[0];
    assert_eq!(
        (column.target.as_deref(), column.source.as_deref()),
        (Some("Name 2"), Some("changed"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_since_is_compared_alone_and_silence_is_no_removal() {
    let twins = Twins::start(None).await;
    twins.create(0..40).await;
    twins.deliver("acme_region", &["acme_code", "acme_name"], |_| false).await;
    twins.deliver("acme_customer", &COLUMNS, |_| false).await;
    assert!(twins.night().await["customer"].is_equal());
    // an hour before the mark is looked at again, and these are younger
    twins.behind.0.store(50, Ordering::Relaxed);
    let path = |n: u32| format!("acme_customers(acme_number='C-{n:04}')");
    twins.call(&twins.primary, "PATCH", &path(3), json!({"acme_name": "changed"})).await;
    twins.call(&twins.secondary, "PATCH", &path(5), json!({"acme_name": "edited"})).await;
    let wish = Wish { depth: Depth::Since, repair: true, ..Wish::default() };
    let report = twins.compare(wish).await;
    assert_eq!((report.order.depth, report.source.rows, report.target.rows), (Depth::Since, 1, 1));
    assert_eq!(found(&report), [(Class::Missed, 1), (Class::Edited, 1)]);
    assert!(report.is_equal(), "{:#?}", report.findings);
    assert_eq!(twins.rows(&twins.primary).await, twins.rows(&twins.secondary).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_change_that_nobody_heard_of_is_mended_by_night() {
    let twins = Twins::start(None).await;
    let region = json!({"acme_code": "ZZ", "acme_name": "Nowhere"});
    twins.call(&twins.primary, "POST", "acme_regions", region).await;
    twins.deliver("acme_region", &["acme_code", "acme_name"], |_| false).await;
    let asked = Asked { table: "acme_region".into(), columns: Selection::all(), since: None };
    let page = twins.app.pipeline.sources["primary"].page(&asked, None).await.unwrap();
    let path = format!("acme_regions({})", page.rows[0].id);
    twins.call(&twins.primary, "PATCH", &path, json!({"acme_code": "AA"})).await;
    let reports = twins.night().await;
    let found = found(&reports["region"]);
    assert_eq!(found, [(Class::NeverSeen, 1), (Class::MissedRemoval, 1)]);
    assert!(reports["region"].is_equal(), "{:#?}", reports["region"].findings);
    let url = format!("{}acme_regions?$select=acme_code", twins.secondary.url());
    let page: Value = twins.web.get(url).send().await.unwrap().json().await.unwrap();
    let codes = page["value"].as_array().unwrap().iter().map(|row| row["acme_code"].clone());
    assert_eq!(codes.collect::<Vec<_>>(), ["AA"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_source_removed_since_is_seen_in_its_history() {
    let twins = Twins::start(None).await;
    twins.create(0..40).await;
    twins.deliver("acme_region", &["acme_code", "acme_name"], |_| false).await;
    twins.deliver("acme_customer", &COLUMNS, |_| false).await;
    let since = Wish { depth: Depth::Since, repair: true, ..Wish::default() };
    let customer = |n: u32| format!("acme_customers(acme_number='C-{n:04}')");
    // without a place in the history that is said, and nothing is concluded from silence
    assert!(twins.night().await["customer"].is_equal());
    twins.behind.0.store(50, Ordering::Relaxed);
    twins.call(&twins.primary, "DELETE", &customer(7), json!({})).await;
    let report = twins.compare(since).await;
    let Removals::Unseen(why) = &report.order.removals else { panic!("{:?}", report.order) };
    assert!(why.contains("`changes`") && found(&report).is_empty(), "{why}");
    // once the timer has asked, a full comparison keeps the place, and what goes after it is seen
    twins.app.tracking().run(Duration::from_mins(1)).await.unwrap();
    assert_eq!(found(&twins.night().await["customer"]), [(Class::MissedRemoval, 1)]);
    twins.behind.0.store(40, Ordering::Relaxed);
    for n in [8, 9] {
        twins.call(&twins.primary, "DELETE", &customer(n), json!({})).await;
    }
    let secret = json!({"acme_name": "changed"});
    twins.call(&twins.primary, "PATCH", &customer(10), secret).await;
    let dry = twins.compare(Wish { dry: true, repair: false, ..since }).await;
    assert_eq!(found(&dry), [(Class::Missed, 1), (Class::MissedRemoval, 2)]);
    let report = twins.compare(since).await;
    assert!(matches!(report.order.removals, Removals::Since(_)));
    assert_eq!(found(&report), [(Class::Missed, 1), (Class::MissedRemoval, 2)]);
    assert!(report.is_equal(), "{:#?}", report.findings);
    assert_eq!(twins.rows(&twins.primary).await, twins.rows(&twins.secondary).await);
    assert_eq!(twins.rows(&twins.secondary).await.len(), 37);
    assert!(found(&twins.compare(since).await).is_empty());
}
