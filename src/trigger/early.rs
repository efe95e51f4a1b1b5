//! An answer before everything is there: the host is told at once that somebody listens, and its calls
//! wait until what carries them out has been opened. So a cold start does not wait for storage twice.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::Answer;

/// Answers readiness now, and everything else by the router that comes, if it comes within this time.
pub fn early(coming: watch::Receiver<Option<Router>>, within: Duration) -> Router {
    let later = move |request: Request| routed((coming.clone(), within), request);
    Router::new().route("/", get(async || Answer::done([]))).fallback(later)
}

async fn routed(
    (mut coming, within): (watch::Receiver<Option<Router>>, Duration),
    request: Request,
) -> Response {
    let router = match tokio::time::timeout(within, coming.wait_for(Option::is_some)).await {
        Ok(Ok(router)) => router.clone(),
        Ok(Err(_)) => None,
        Err(_) => return Answer::again("storage is out of reach").into_response(),
    };
    match router {
        Some(router) => match router.oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
        None => Answer::again("the handler ended before it could begin").into_response(),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use futures::FutureExt as _;

    use super::*;

    const WITHIN: Duration = Duration::from_secs(100);

    fn asked(path: &str) -> Request {
        Request::builder().uri(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn readiness_is_answered_at_once_and_a_call_when_its_router_is_there() {
        let (opened, coming) = watch::channel(None);
        let router = early(coming, WITHIN);
        let ready = router.clone().oneshot(asked("/")).await.unwrap();
        assert_eq!(ready.status(), 200);
        let mut call = Box::pin(router.clone().oneshot(asked("/events")));
        assert!(call.as_mut().now_or_never().is_none(), "nothing can carry it out yet");
        let later = Router::new().route("/events", get(async || "done"));
        opened.send_replace(Some(later));
        assert_eq!(call.await.unwrap().status(), 200);
        drop(opened);
        let (never, coming) = watch::channel(None);
        drop(never);
        let late = early(coming, WITHIN).oneshot(asked("/events")).await.unwrap();
        assert_eq!(late.status(), 503);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_waits_too_long_is_to_come_again() {
        let (_opening, coming) = watch::channel(None);
        let late = early(coming, WITHIN).oneshot(asked("/events")).await.unwrap();
        assert_eq!(late.status(), 503);
    }
}
