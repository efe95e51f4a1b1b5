use std::collections::VecDeque;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use azure_core::credentials::TokenRequestOptions;
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;
use futures::future::join_all;
use secrecy::ExposeSecret;

use super::*;
use crate::clock::{Clock, RuntimeClock, SystemClock};

/// What the provider does next.
#[derive(Clone, Copy, Debug)]
enum Plan {
    /// Answers at once with a token that lives this many seconds.
    Issue(i64),
    Fail,
    Hang,
}

#[derive(Debug)]
struct Provider {
    clock: SharedClock,
    plans: Mutex<VecDeque<Plan>>,
    asked: AtomicUsize,
}

#[async_trait]
impl TokenCredential for Provider {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let nth = self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        let plan = self.plans.lock().unwrap().pop_front().expect("an unplanned call");
        match plan {
            Plan::Issue(seconds) => {
                let expires = self.clock.now().as_second() + seconds;
                let expires = OffsetDateTime::from_unix_timestamp(expires).unwrap();
                Ok(AccessToken::new(format!("token-{nth}"), expires))
            }
            Plan::Fail => Err(azure_core::Error::with_message(ErrorKind::Io, "cut")),
            Plan::Hang => std::future::pending().await,
        }
    }
}

fn tokens(plans: &[Plan]) -> (Arc<Tokens>, Arc<Provider>) {
    let start = Timestamp::from_second(1_800_000_000).unwrap();
    let clock: SharedClock = Arc::new(RuntimeClock::starting_at(start));
    let provider = Arc::new(Provider {
        clock: clock.clone(),
        plans: Mutex::new(plans.iter().copied().collect()),
        asked: AtomicUsize::new(0),
    });
    (Arc::new(Tokens::over(provider.clone(), "scope", clock)), provider)
}

async fn bearer(tokens: &Tokens) -> String {
    tokens.bearer().await.unwrap().expose_secret().to_owned()
}

fn asked(provider: &Provider) -> usize {
    provider.asked.load(Ordering::SeqCst)
}

async fn pass(minutes: u64) {
    tokio::time::advance(Duration::from_mins(minutes)).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_cost_one_request() {
    let (tokens, provider) = tokens(&[Plan::Issue(3600)]);
    let all = join_all((0..1000).map(|_| bearer(&tokens))).await;
    assert!(all.iter().all(|token| token == "token-0"));
    assert_eq!(asked(&provider), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_in_its_last_ten_minutes_by_one_caller() {
    let (tokens, provider) = tokens(&[Plan::Issue(3600), Plan::Issue(3600)]);
    assert_eq!(bearer(&tokens).await, "token-0");
    pass(49).await;
    assert_eq!(bearer(&tokens).await, "token-0");
    pass(2).await;
    let seen = join_all((0..10).map(|_| bearer(&tokens))).await;
    assert_eq!(asked(&provider), 2);
    assert!(seen.iter().skip(1).all(|token| token == "token-0"), "only the refresher waited");
    assert_eq!(bearer(&tokens).await, "token-1");
}

#[tokio::test(start_paused = true)]
async fn a_failed_renewal_is_no_error_while_the_token_is_valid() {
    let (tokens, provider) =
        tokens(&[Plan::Issue(3600), Plan::Fail, Plan::Hang, Plan::Fail, Plan::Issue(60)]);
    bearer(&tokens).await;
    pass(51).await;
    assert_eq!(bearer(&tokens).await, "token-0");
    assert_eq!(bearer(&tokens).await, "token-0", "and the provider is left alone for a while");
    assert_eq!(asked(&provider), 2);
    pass(1).await;
    assert_eq!(bearer(&tokens).await, "token-0", "a provider that hangs is given up");
    assert_eq!(asked(&provider), 3);
    pass(9).await;
    assert!(matches!(tokens.bearer().await, Err(Error::Unreachable { source: Some(_), .. })));
    assert_eq!(bearer(&tokens).await, "token-4", "the next call tries again");
}

#[tokio::test(start_paused = true)]
async fn callers_that_waited_together_share_one_failure() {
    let (tokens, provider) = tokens(&[Plan::Hang]);
    let before = tokio::time::Instant::now();
    let all = join_all((0..50).map(|_| tokens.bearer())).await;
    assert!(all.iter().all(|answer| matches!(answer, Err(Error::Unreachable { .. }))));
    assert_eq!((asked(&provider), before.elapsed()), (1, PATIENCE));
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_answers_from_its_own_cache_is_not_asked_on_every_call() {
    let (tokens, provider) = tokens(&[Plan::Issue(3600), Plan::Issue(540), Plan::Issue(3600)]);
    bearer(&tokens).await;
    pass(51).await;
    for _ in 0..10 {
        bearer(&tokens).await;
    }
    assert_eq!(asked(&provider), 2);
    pass(1).await;
    bearer(&tokens).await;
    assert_eq!(asked(&provider), 3);
}

#[tokio::test(start_paused = true)]
async fn a_discarded_token_is_fetched_anew() {
    let (tokens, _) = tokens(&[Plan::Issue(3600), Plan::Issue(3600)]);
    bearer(&tokens).await;
    tokens.discard();
    assert_eq!(bearer(&tokens).await, "token-1");
}

/// A stand-in for the endpoint that App Service and Functions give a process.
async fn app_service(requests: Arc<Mutex<Vec<String>>>) -> (String, tokio::task::JoinSet<()>) {
    let answer = move |uri: axum::http::Uri, headers: axum::http::HeaderMap| {
        let header = headers.get("x-identity-header").map(|value| value.to_str().unwrap());
        requests.lock().unwrap().push(format!("{uri} {}", header.unwrap_or("no header")));
        let expires = (SystemClock.now().as_second() + 3600).to_string();
        async move {
            axum::Json(serde_json::json!({
                "access_token": "from-the-app-service", "expires_on": expires,
                "resource": "https://storage.azure.com", "token_type": "Bearer",
            }))
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/token", axum::routing::get(answer));
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (format!("http://{address}/token"), serving)
}

/// The endpoint is found through the environment, which a test must not change under its neighbours:
/// the test runs itself again in a process that has it.
#[tokio::test]
async fn a_user_assigned_managed_identity_asks_the_app_service_endpoint() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (endpoint, _serving) = app_service(requests.clone()).await;
    let child = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "identity::tokens::tests::inside_an_app_service", "--ignored"])
        .env("IDENTITY_ENDPOINT", endpoint)
        .env("IDENTITY_HEADER", "secret-header")
        .stdout(Stdio::piped())
        .output()
        .await
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
    assert_eq!(
        *requests.lock().unwrap(),
        ["/token?api-version=2019-08-01&resource=https%3A%2F%2Fstorage.azure.com&client_id=1234 \
          secret-header"]
    );
}

#[tokio::test]
#[ignore = "run by the test above, in an environment of its own"]
async fn inside_an_app_service() {
    let credential = Credential::ManagedIdentity { client_id: Some("1234".into()) };
    let tokens = Tokens::new(&credential, super::super::STORAGE_SCOPE, Arc::new(SystemClock));
    let tokens = tokens.unwrap();
    assert_eq!(bearer(&tokens).await, "from-the-app-service");
    assert_eq!(bearer(&tokens).await, "from-the-app-service");
}
