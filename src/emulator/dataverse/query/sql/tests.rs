//! SQL against the small environment.

use super::super::fetch::{Pages, answer};
use super::super::fixture::environment;
use super::super::shown::Asked;
use super::*;
use crate::emulator::dataverse::prefer::Prefer;
use crate::emulator::dataverse::render::View;

fn ask(sql: &str) -> Result<serde_json::Value, Refusal> {
    let env = environment();
    let view = View { env: &env, table: &env.tables["account"], prefer: &Prefer::default() };
    let asked = Asked { view, base: "http://host/api/data/v9.2", query: &[] };
    let body = answer(asked, &read(sql)?, Pages::Link, jiff::Timestamp::UNIX_EPOCH)?;
    let mut body: serde_json::Value = serde_json::from_str(&body).unwrap();
    Ok(body["value"].take())
}

fn names(sql: &str) -> Vec<String> {
    let rows = ask(sql).unwrap();
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn rows_are_chosen_and_sorted() {
    assert_eq!(
        names("SELECT name FROM account WHERE revenue > 20 ORDER BY revenue DESC"),
        ["Alpha", "beta"]
    );
    assert_eq!(names("select TOP 1 a.name from account a order by a.name"), ["Alpha"]);
    assert_eq!(
        names(
            "SELECT name FROM account WHERE name LIKE 'al%' OR (revenue IS NULL AND NOT name = 'x')"
        )
        .len(),
        2
    );
    assert_eq!(
        names(
            "SELECT [name] FROM account WHERE name IN ('alpha', 'o''x') AND revenue BETWEEN 1 AND 500"
        ),
        ["Alpha"]
    );
}

#[test]
fn null_is_not_unequal_in_sql() {
    assert_eq!(names("SELECT name FROM account WHERE revenue <> 500"), ["beta"]);
}

#[test]
fn joins_and_totals_work_on_one_plan() {
    let rows = ask("SELECT a.name, c.name AS contact FROM account a INNER JOIN contact c ON c.parentcustomerid = a.accountid ORDER BY c.name").unwrap();
    assert_eq!(rows[0]["contact"], "Anna");
    let rows = ask("SELECT parentaccountid, COUNT(*) AS n FROM account GROUP BY parentaccountid ORDER BY n DESC").unwrap();
    assert_eq!((&rows[0]["n"], &rows[1]["n"]), (&2.into(), &1.into()));
    assert_eq!(ask("SELECT COUNT(*) FROM account").unwrap()[0]["count"], 3);
    assert_eq!(ask("SELECT DISTINCT name FROM account").unwrap().as_array().unwrap().len(), 2);
}

#[test]
fn everything_else_is_refused() {
    let deep = format!("SELECT name FROM account WHERE {}name = 'x'", "(".repeat(100_000));
    let many =
        format!("SELECT name FROM account {}", "join account on account.a = account.b ".repeat(50));
    for sql in [
        "",
        "DELETE FROM account",
        "SELECT * FROM account",
        "SELECT name FROM account; SELECT 1",
        "SELECT name FROM account WHERE name = 'x",
        "SELECT name FROM account UNION SELECT name FROM contact",
        "SELECT name FROM account GROUP BY name HAVING COUNT(*) > 1",
        "SELECT name FROM account WHERE name IN (SELECT name FROM contact)",
        "SELECT nope FROM account",
        "SELECT name FROM nothing",
        &deep,
        &many,
    ] {
        assert!(ask(sql).is_err(), "{sql:.60} was taken");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "(select|from|where|join|on|[a-z.,'()*=<>ü ]){0,30}") {
        let _unused = read(&text);
    }
}
