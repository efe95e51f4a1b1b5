//! What becomes of rows when the service refuses, pauses or falls silent.

use super::stub::{Asked, Reply, Stub, each, error, say, throttled};
use super::*;

/// Refuses every bulk message, and the parts that `judge` answers.
async fn refusing(judge: impl Fn(&Asked) -> Option<Reply> + Send + 'static) -> Stub {
    Stub::start(move |asked| match asked.is("POST", "UpsertMultiple") {
        true => error(400, "0x80044331", "The length of the 'acme_name' attribute is too long"),
        false if asked.is("POST", "$batch") => {
            each(asked, |part| judge(part).unwrap_or_else(|| say(204, "")))
        }
        false => judge(asked).unwrap_or_else(|| say(200, r#"{"value":[]}"#)),
    })
    .await
}

#[tokio::test]
async fn a_refused_chunk_costs_one_more_call_which_names_the_bad_row() {
    let stub = refusing(|part| {
        part.path.contains("'bad'").then(|| {
            error(400, "0x80044331", "The length of the 'acme_name' attribute of 'x' exceeded")
        })
    })
    .await;
    let target = target(&stub.url);
    let answers = target.write(&[named("1"), named("bad"), named("3")], soon()).await;
    assert_eq!(told(&answers), ["written", "not refused-by-target acme_name", "written"]);
    assert_eq!(target.calls(), 2);
    let parts = stub.asked()[1].parts();
    assert!(
        parts.iter().all(|part| part.verb == "PATCH" && !part.headers.contains_key("if-match"))
    );
    assert_eq!(parts[0].body, r#"{"acme_name":"N"}"#);
}

#[tokio::test]
async fn a_missing_parent_parks_clears_or_poisons_as_the_lookup_says() {
    let stub = refusing(|part| {
        part.body.contains("/acme_regions(").then(|| {
            error(
                404,
                "0x80060891",
                "A record with the specified key values does not exist in acme_region entity",
            )
        })
    })
    .await;
    let target = target(&stub.url);
    let writes = [Missing::Park, Missing::Null, Missing::Poison].map(|missing| {
        let region = lookup("acme_region", &["acme_code"], "XX", missing);
        let parent = lookup("acme_customer", &["acme_number"], "C-0", Missing::Park);
        upsert("1", &[("acme_regionid", region), ("acme_parentid", parent)])
    });
    let answers = target.write(&writes, soon()).await;
    assert_eq!(
        told(&answers),
        ["not parent-missing acme_regionid", "written", "not value-unknown acme_regionid"]
    );
    assert_eq!(target.calls(), 3);
    let again = stub.asked()[2].parts();
    assert_eq!(again.len(), 1);
    assert_eq!(again[0].json()["acme_RegionId@odata.bind"], serde_json::Value::Null);
    assert_eq!(again[0].json()["acme_ParentId@odata.bind"], "/acme_customers(acme_number='C-0')");
}

#[tokio::test]
async fn when_the_text_names_no_table_the_lookups_are_asked_which_is_missing() {
    let stub = refusing(|part| match part.verb.as_str() {
        "GET" if part.path.starts_with("acme_customers") => {
            Some(say(200, format!(r#"{{"value":[{{"acme_customerid":"{CORRELATION}"}}]}}"#)))
        }
        "GET" => Some(say(200, r#"{"value":[]}"#)),
        _ => Some(error(404, "0x80040217", "Does Not Exist")),
    })
    .await;
    let target = target(&stub.url);
    let region = lookup("acme_region", &["acme_code"], "XX", Missing::Park);
    let parent = lookup("acme_customer", &["acme_number"], "C-0", Missing::Park);
    let writes = [upsert("1", &[("acme_parentid", parent), ("acme_regionid", region)])];
    assert_eq!(told(&target.write(&writes, soon()).await), ["not parent-missing acme_regionid"]);
}

#[tokio::test]
async fn a_resolved_lookup_without_a_row_follows_its_policy_and_two_rows_are_ambiguous() {
    let stub = Stub::start(|asked| match asked.is("POST", "$batch") {
        true => each(asked, |part| match part.path.contains("'a/b'") {
            true => say(200, r#"{"value":[{"acme_regionid":"1"},{"acme_regionid":"2"}]}"#),
            false => say(200, r#"{"value":[]}"#),
        }),
        false => say(204, ""),
    })
    .await;
    let target = target(&stub.url);
    let writes = [
        upsert(
            "1",
            &[("acme_regionid", lookup("acme_region", &["acme_code"], "a/b", Missing::Null))],
        ),
        upsert(
            "2",
            &[("acme_regionid", lookup("acme_region", &["acme_code"], "c/d", Missing::Park))],
        ),
        upsert(
            "3",
            &[("acme_regionid", lookup("acme_region", &["acme_code"], "e/f", Missing::Null))],
        ),
    ];
    assert_eq!(
        told(&target.write(&writes, soon()).await),
        ["not ambiguous acme_regionid", "not parent-missing acme_regionid", "written"]
    );
    assert_eq!(stub.asked()[1].json()["Targets"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_clash_of_keys_is_looked_up_once_and_written_by_id() {
    let stub = refusing(|part| match part.verb.as_str() {
        "GET" if part.path.contains("'C-1'") => {
            Some(say(200, format!(r#"{{"value":[{{"acme_customerid":"{CORRELATION}"}}]}}"#)))
        }
        "PATCH" if part.path.contains("acme_number") => {
            Some(error(412, "0x80060892", "Entity Key violated"))
        }
        "GET" => Some(say(200, r#"{"value":[]}"#)),
        _ => None,
    })
    .await;
    let target = target(&stub.url);
    let answers = target.write(&[named("C-1"), named("C-2")], soon()).await;
    assert_eq!(told(&answers), ["written", "not key-taken"]);
    assert!(stub.asked().last().unwrap().parts()[0].is("PATCH", &format!("({CORRELATION})")));
}

#[tokio::test]
async fn a_table_without_bulk_messages_is_found_out_once() {
    let stub = Stub::start(|asked| match asked.is("POST", "UpsertMultiple") {
        true => error(
            404,
            "0x8006088a",
            "Resource not found for the segment 'Microsoft.Dynamics.CRM.UpsertMultiple'.",
        ),
        false => each(asked, |_| say(204, "")),
    })
    .await;
    let target = target(&stub.url);
    assert_eq!(told(&target.write(&[named("1"), named("2")], soon()).await), ["written"; 2]);
    assert_eq!(told(&target.write(&[named("1")], soon()).await), ["written"]);
    assert_eq!(stub.story().len(), 3);
    assert_eq!(stub.story()[2], "POST $batch");
}

#[tokio::test]
async fn too_large_or_too_slow_chunks_are_halved() {
    for reply in [say(413, ""), error(500, "0x80044151", "Sql Number: -2")] {
        let stub =
            Stub::start(move |asked| match asked.json()["Targets"].as_array().unwrap().len() {
                0..=3 => say(204, ""),
                _ => reply.clone(),
            })
            .await;
        let target = target(&stub.url);
        let writes: Vec<Write> = (0..8).map(|n| named(&n.to_string())).collect();
        assert_eq!(told(&target.write(&writes, soon()).await), ["written"; 8]);
        assert_eq!(target.calls(), 1 + 2 + 4);
        assert_eq!(told(&target.write(&writes, soon()).await), ["written"; 8]);
        assert_eq!(target.calls(), 7 + 3, "the size is remembered");
    }
}

#[tokio::test]
async fn what_may_pass_is_repeated_until_it_does() {
    let replies = [
        throttled("0"),
        error(500, "0x80044150", "Sql Number: 1205"),
        say(503, ""),
        Reply::Cut,
        say(502, "<html>"),
        Reply::Say(200, vec![("content-type", "text/html".into())], "<html>sign in</html>".into()),
    ];
    let wanted = replies.len() as u64 + 1;
    let mut replies = replies.into_iter();
    let stub = Stub::start(move |_| replies.next().unwrap_or_else(|| say(204, ""))).await;
    let target = target(&stub.url);
    assert_eq!(told(&target.write(&[named("1")], soon()).await), ["written"]);
    assert_eq!(target.calls(), wanted);
}

#[tokio::test]
async fn a_part_of_a_batch_that_may_pass_is_repeated_alone() {
    let mut first = true;
    let stub = Stub::start(move |asked| {
        each(asked, |part| match part.path.contains("'2'") && std::mem::take(&mut first) {
            true => Reply::Say(429, vec![("Retry-After", "0".into())], String::new()),
            false => say(204, ""),
        })
    })
    .await;
    let target = target(&stub.url);
    let delete = |number: &str| write(number, Action::Remove(Removal::Delete));
    let answers = target.write(&[delete("1"), delete("2"), delete("3")], soon()).await;
    assert_eq!(told(&answers), ["written"; 3]);
    assert_eq!(stub.asked()[1].parts().len(), 1);
}

#[tokio::test]
async fn certain_failures_are_not_and_lost_answers_unknown() {
    for (reply, wanted) in [
        (throttled("9"), "not throttled"),
        (error(500, "0x80044150", "Sql Number: 1205"), "not deadlock"),
        (say(500, ""), "unknown unreachable"),
        (say(504, "<html>"), "unknown unreachable"),
        (Reply::Cut, "unknown unreachable"),
    ] {
        let stub = Stub::start(move |_| reply.clone()).await;
        let target = target(&stub.url);
        assert_eq!(told(&target.write(&[named("1")], shortly()).await), [wanted]);
    }
    let nobody = target("http://127.0.0.1:9");
    assert_eq!(told(&nobody.write(&[named("1")], shortly()).await), ["not unreachable"]);
    assert_eq!(nobody.ready().await.unwrap_err().kind, Kind::Unreachable);
}

#[tokio::test]
async fn after_a_lost_answer_a_pause_does_not_make_the_fate_certain_but_a_refusal_does() {
    for (last, wanted) in
        [(throttled("9"), "unknown throttled"), (error(403, "0x80040220", ""), "not forbidden")]
    {
        let mut lost = true;
        let stub = Stub::start(move |asked| match std::mem::take(&mut lost) {
            true => say(502, ""),
            false if asked.path == "$batch" => each(asked, |_| last.clone()),
            false => last.clone(),
        })
        .await;
        let target = target(&stub.url);
        assert_eq!(told(&target.write(&[named("1")], shortly()).await), [wanted]);
    }
}

#[tokio::test]
async fn silence_ends_with_the_call_and_is_unknown() {
    let stub = Stub::start(|_| Reply::Silence).await;
    let target = built(Config { longest: Duration::from_millis(50), ..config(&stub.url) });
    let deadline = Instant::now() + Duration::from_millis(40);
    assert_eq!(told(&target.write(&[named("1")], deadline.into()).await), ["unknown timeout"]);
    assert_eq!(target.calls(), 1, "no call starts after the deadline");
}

#[tokio::test]
async fn after_the_deadline_nothing_is_sent() {
    let stub = Stub::start(|_| say(204, "")).await;
    let target = target(&stub.url);
    assert_eq!(told(&target.write(&[named("1")], Instant::now().into()).await), ["not timeout"]);
    assert_eq!(target.calls(), 0);
}

#[tokio::test]
async fn a_state_that_is_refused_fails_its_row_and_a_state_that_is_late_leaves_it_unknown() {
    for (reply, wanted) in [
        (error(400, "0x80048408", "5 is not a valid status code"), "not refused-by-target"),
        (error(404, "0x80040217", ""), "not conflict"),
        (say(429, ""), "unknown throttled"),
    ] {
        let stub = Stub::start(move |asked| match asked.path.as_str() {
            "$batch" => each(asked, |_| reply.clone()),
            _ => say(204, ""),
        })
        .await;
        let columns = Columns { state: Some(State { state: 1, status: Some(5) }), ..columns(&[]) };
        let writes = [write("1", Action::Upsert(columns))];
        let target = target(&stub.url);
        assert_eq!(told(&target.write(&writes, shortly()).await), [wanted]);
    }
}

#[tokio::test]
async fn a_batch_that_nobody_serves_deletes_nothing() {
    for body in ["", r#"{"error":{"code":"","message":""}}"#, "<html>"] {
        let stub = Stub::start(move |_| say(404, body)).await;
        let writes = [write("1", Action::Remove(Removal::Delete))];
        let answers = target(&stub.url).write(&writes, soon()).await;
        assert_eq!(told(&answers), ["not schema-gone"], "{body}");
    }
}

#[tokio::test]
async fn a_row_that_spoils_its_batch_as_a_whole_is_found_and_harms_nobody_else() {
    let stub = Stub::start(|asked| match asked.body.contains("'bad'") {
        true => error(400, "0x80048d19", "Stream was not readable"),
        false => each(asked, |_| say(204, "")),
    })
    .await;
    let writes = ["1", "2", "bad", "4"].map(|n| write(n, Action::Remove(Removal::Delete)));
    let answers = target(&stub.url).write(&writes, soon()).await;
    assert_eq!(told(&answers), ["written", "written", "not refused-by-target", "written"]);
}

#[tokio::test]
async fn a_refused_chunk_whose_rows_can_no_longer_be_named_poisons_nobody() {
    let stub = Stub::start(|asked| match asked.is("POST", "UpsertMultiple") {
        true => error(400, "0x80044331", "too long"),
        false => Reply::Silence,
    })
    .await;
    let target = target(&stub.url);
    let answers = target.write(&[named("1"), named("2")], shortly()).await;
    assert_eq!(told(&answers), ["unknown timeout"; 2]);
}

#[tokio::test]
async fn a_batch_answer_that_cannot_be_read_leaves_its_rows_unknown() {
    let kind = || vec![("content-type", "multipart/mixed; boundary=b".to_owned())];
    for body in ["", "--b\r\n\r\nnonsense\r\n--b--", "--c\r\nHTTP/1.1 204 x\r\n"] {
        let stub = Stub::start(move |_| Reply::Say(200, kind(), body.into())).await;
        let target = target(&stub.url);
        let writes = [write("1", Action::Remove(Removal::Delete))];
        let answers = target.write(&writes, shortly()).await;
        assert_eq!(told(&answers), ["unknown unreachable"], "{body}");
    }
}

#[tokio::test]
async fn an_empty_key_or_a_lookup_the_table_does_not_have_harms_its_row_alone() {
    let stub = Stub::start(|_| say(204, "")).await;
    let mut empty = named("1");
    Arc::make_mut(&mut empty.row).key = Key(vec![("acme_number".into(), Value::Null)]);
    let wrong = lookup("acme_country", &["acme_iso"], "DK", Missing::Park);
    let writes = [empty, upsert("2", &[("acme_regionid", wrong)]), named("3")];
    assert_eq!(
        told(&target(&stub.url).write(&writes, soon()).await),
        ["not key-missing acme_number", "not schema-gone acme_regionid", "written"]
    );
}
