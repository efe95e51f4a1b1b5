//! The token cache: [`Tokens::bearer`] hands out the last good token, renews it early, and asks the
//! provider once however many callers wait.
//!
//! Refused: nothing while a valid token is held; a failed renewal is then only logged.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential};
use jiff::Timestamp;
use secrecy::SecretString;
use tracing::warn;

use super::{Credential, Error};
use crate::clock::{SharedClock, after};

/// A token is renewed from this long before it expires.
const EARLY: Duration = Duration::from_mins(10);
/// How long the provider has for one answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause after a renewal that brought nothing newer, while the old token is still good.
const PAUSE: Duration = Duration::from_secs(30);

/// Bearer tokens for one scope. Share one per scope; all methods may be called concurrently.
#[derive(Debug)]
pub struct Tokens {
    credential: Arc<dyn TokenCredential>,
    scope: String,
    clock: SharedClock,
    state: Mutex<State>,
    refreshing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// How many times the provider has failed, and how it failed last.
    failures: u64,
    failure: Option<Error>,
}

#[derive(Clone, Debug)]
struct Held {
    token: SecretString,
    expires: Timestamp,
    renew: Timestamp,
}

impl Tokens {
    /// Tokens of `credential` for `scope`, such as `https://contoso.crm.dynamics.com/.default`. No
    /// request is made yet.
    pub fn new(credential: &Credential, scope: &str, clock: SharedClock) -> Result<Self, Error> {
        let connected = credential.connect().map_err(|source| Error::Misconfigured {
            credential: credential.to_string(),
            source: Arc::new(source),
        })?;
        Ok(Self::over(connected, scope, clock))
    }

    /// Tokens of a credential that is built already.
    pub fn over(credential: Arc<dyn TokenCredential>, scope: &str, clock: SharedClock) -> Self {
        let (state, refreshing) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { credential, scope: scope.to_owned(), clock, state, refreshing }
    }

    /// A token that is valid now. Waits for the provider only when none is held, or for the one caller
    /// that renews it early (at most ten seconds).
    pub async fn bearer(&self) -> Result<SecretString, Error> {
        let now = self.clock.now();
        let (held, failures) = self.with(|state| (state.held.clone(), state.failures));
        match held {
            Some(held) if now < held.renew => Ok(held.token),
            Some(held) if now < held.expires => Ok(self.renewed(held).await),
            Some(_) | None => self.first(failures).await,
        }
    }

    /// The token was good, but the service refused it (revoked, or rights changed): the next call asks
    /// the provider again.
    pub fn discard(&self) {
        self.with(|state| state.held = None);
    }

    /// Renews a token that is still valid, unless somebody else is at it.
    async fn renewed(&self, held: Held) -> SecretString {
        let Ok(_alone) = self.refreshing.try_lock() else { return held.token };
        match self.ask().await {
            Ok(newer) => newer,
            Err(error) => {
                warn!(scope = self.scope, error = %error, "token not renewed, the last one is still valid");
                self.with(|state| {
                    if let Some(held) = &mut state.held {
                        held.renew = after(self.clock.now(), PAUSE).min(held.expires);
                    }
                });
                held.token
            }
        }
    }

    /// Fetches a token when there is none. Whoever waited while another caller's attempt failed shares
    /// its failure, so that a provider that hangs costs one wait and not one for each caller.
    async fn first(&self, failures_before: u64) -> Result<SecretString, Error> {
        let _alone = self.refreshing.lock().await;
        let now = self.clock.now();
        let (held, failures, failure) =
            self.with(|state| (state.held.clone(), state.failures, state.failure.clone()));
        match (held, failure) {
            (Some(held), _) if now < held.expires => Ok(held.token),
            (_, Some(failure)) if failures > failures_before => Err(failure),
            _ => self.ask().await,
        }
    }

    async fn ask(&self) -> Result<SecretString, Error> {
        let scopes = [self.scope.as_str()];
        let call = self.credential.get_token(&scopes, None);
        let answer = match tokio::time::timeout(PATIENCE, call).await {
            Ok(answer) => answer.map_err(|error| Error::from_provider(&self.scope, error)),
            Err(_elapsed) => Err(Error::Unreachable { scope: self.scope.clone(), source: None }),
        };
        match answer {
            Ok(answer) => Ok(self.hold(&answer)),
            Err(error) => {
                self.with(|state| {
                    state.failures += 1;
                    state.failure = Some(error.clone());
                });
                Err(error)
            }
        }
    }

    /// The provider's library may answer from its own cache during the early time: then there is
    /// nothing newer to be had yet, and asking on every call would gain nothing.
    fn hold(&self, answer: &AccessToken) -> SecretString {
        let expires = Timestamp::from_second(answer.expires_on.unix_timestamp())
            .unwrap_or(Timestamp::UNIX_EPOCH);
        let early = expires.checked_sub(EARLY).unwrap_or(Timestamp::UNIX_EPOCH);
        let renew = early.max(after(self.clock.now(), PAUSE)).min(expires);
        let token = SecretString::from(answer.token.secret().to_owned());
        self.with(|state| state.held = Some(Held { token: token.clone(), expires, renew }));
        token
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests;
