//! The work queue, served as the host's queue trigger serves it: pieces of a comparison, and events.

use std::time::{Duration, Instant};

use concord::app::App;
use concord::job::{self, Asked};

/// How long one message may take.
const WITHIN: Duration = Duration::from_secs(20);

/// Does all events that can be taken now. Answers how many messages there were.
pub(crate) async fn now(app: &App) -> usize {
    let mut done = 0;
    loop {
        let taken = app.stores.work.take(32, Duration::from_mins(1)).await.unwrap();
        if taken.is_empty() {
            return done;
        }
        for message in taken {
            event(app, &message.body).await;
            app.stores.work.remove(&message).await.unwrap();
            done += 1;
        }
    }
}

/// Does whatever waits, also what comes later, to the end.
pub(crate) async fn to_the_end(app: &App) {
    let (reconciler, work) = (app.reconciler(), &app.stores.work);
    let deadline = Instant::now() + Duration::from_mins(4);
    while work.depth().await.unwrap() > 0 {
        assert!(Instant::now() < deadline, "the work comes to no end");
        let taken = work.take(32, Duration::from_mins(1)).await.unwrap();
        if taken.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for message in taken {
            match reconciler.work(&message.body, WITHIN).await {
                Some(piece) => drop(piece.unwrap()),
                None => event(app, &message.body).await,
            }
            work.remove(&message).await.unwrap();
        }
    }
}

async fn event(app: &App, message: &[u8]) {
    let (function, invocation) = ("work".into(), "1".into());
    let asked = Asked { function, invocation, traceparent: None, within: WITHIN };
    job::work(&app.pipeline, message, asked).await.unwrap();
}
