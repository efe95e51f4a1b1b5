//! An answer before everything is there: the host is told at once that somebody listens, and its calls
//! wait until what carries them out has been opened. So a cold start does not wait for storage twice.

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::Answer;

/// Answers readiness now, and everything else by the router that comes.
pub fn early(coming: watch::Receiver<Option<Router>>) -> Router {
    let later = async move |request: Request| routed(coming.clone(), request).await;
    Router::new().route("/", get(async || Answer::done([]))).fallback(later)
}

async fn routed(mut coming: watch::Receiver<Option<Router>>, request: Request) -> Response {
    let router = match coming.wait_for(Option::is_some).await {
        Ok(router) => router.clone(),
        Err(_) => None,
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

    fn asked(path: &str) -> Request {
        Request::builder().uri(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn readiness_is_answered_at_once_and_a_call_when_its_router_is_there() {
        let (opened, coming) = watch::channel(None);
        let router = early(coming);
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
        let late = early(coming).oneshot(asked("/events")).await.unwrap();
        assert_eq!(late.status(), 503);
    }
}
