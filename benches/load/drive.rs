//! Delivers the work: every partition its batches one after the other, all partitions at once, as the
//! Functions host does.

use std::time::Instant;

use bytes::Bytes;
use futures::future::join_all;

use crate::process::{Process, Used};
use crate::work::Work;

/// One batch, from posting it to its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delivered {
    pub(crate) partition: usize,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

/// What was used when so many events were through.
pub(crate) type Growth = Vec<(usize, Used)>;

/// Delivers everything; with `growth`, also tells what was used after each tenth of it.
pub(crate) async fn drive(
    work: &Work,
    process: &Process,
    batch: usize,
    growth: bool,
) -> (Vec<Delivered>, Growth) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://127.0.0.1:{}/events", process.port);
    let all: usize = work.batches.iter().map(Vec::len).sum();
    let tenth = all.div_ceil(10);
    let progress = std::sync::Mutex::new((0, Vec::new()));
    let partitions = work.batches.iter().enumerate().map(|(partition, batches)| {
        let (http, url, progress) = (&http, &url, &progress);
        async move {
            let mut delivered = Vec::with_capacity(batches.len());
            for body in batches {
                let from = Instant::now();
                post(http, url, body).await;
                delivered.push(Delivered { partition, from, to: Instant::now() });
                let (done, steps) = &mut *progress.lock().unwrap();
                *done += 1;
                if growth && *done % tenth == 0 {
                    steps.extend(process.used().map(|used| (*done * batch, used)));
                }
            }
            delivered
        }
    });
    let delivered = join_all(partitions).await.concat();
    (delivered, progress.into_inner().unwrap().1)
}

async fn post(http: &reqwest::Client, url: &str, body: &Bytes) {
    let request = http
        .post(url)
        .header("Content-Type", "application/json; charset=utf-8")
        .header("X-Azure-Functions-InvocationId", uuid::Uuid::new_v4().to_string())
        .body(body.clone());
    let answer = request.send().await.expect("the handler answers");
    let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
    assert!(status.is_success(), "the handler answered {status}: {text}");
}
