//! The handler's process: started, waited for, listened to, and started again when it ends.
//!
//! Source: Functions custom handler, process contract. A non-zero exit or a start that takes too long
//! counts as an error, and the third, each within half an hour of the one before, ends the host.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::handler::Handler;
use super::settings::HostFile;
use super::{Error, Notice, Options};

const POLL: Duration = Duration::from_millis(25);
const MEMORY: Duration = Duration::from_mins(30);
const MOST_ERRORS: usize = 3;

/// How one life of the handler ended.
enum End {
    Exited(ExitStatus),
    NeverReady,
    Killed,
}

/// Keeps the handler running; returns only when the host gives up.
pub(super) async fn supervise(
    handler: &Handler,
    host: &HostFile,
    options: &Options,
) -> Result<(), Error> {
    let mut errors = VecDeque::new();
    let last_words = LastWords::default();
    loop {
        let end = live(handler, host, options, &last_words).await?;
        handler.ready.send_replace(false);
        let (reason, counts) = match end {
            // 200 is the exit code by which a worker asks to be started again.
            End::Exited(status) if status.success() || status.code() == Some(200) => {
                (format!("it ended by itself ({status})"), false)
            }
            End::Exited(status) => (format!("it ended with an error ({status})"), true),
            End::NeverReady => ("it did not answer GET / in time".to_owned(), true),
            End::Killed => ("a call took longer than functionTimeout".to_owned(), false),
        };
        if counts && is_one_too_many(&mut errors, Instant::now()) {
            return Err(Error::GaveUp { last_words: last_words.text() });
        }
        handler.around.notices.send(Notice::Restarting(reason)).ok();
    }
}

/// Notes an error; true when it is the third, each within half an hour of the one before.
fn is_one_too_many(errors: &mut VecDeque<Instant>, now: Instant) -> bool {
    if errors.back().is_some_and(|last| now.duration_since(*last) > MEMORY) {
        errors.clear();
    }
    errors.push_back(now);
    errors.len() >= MOST_ERRORS
}

async fn live(
    handler: &Handler,
    host: &HostFile,
    options: &Options,
    last_words: &LastWords,
) -> Result<End, Error> {
    let mut child = start(handler, host, options)?;
    let out = child.stdout.take().map(|out| listen(out, false, handler, last_words));
    let err = child.stderr.take().map(|err| listen(err, true, handler, last_words));
    let listening = async { futures::join!(maybe(out), maybe(err)) };
    let (end, _) = futures::join!(until_its_end(&mut child, handler, host), listening);
    Ok(end)
}

async fn maybe(reading: Option<impl Future<Output = ()>>) {
    if let Some(reading) = reading {
        reading.await;
    }
}

async fn until_its_end(child: &mut Child, handler: &Handler, host: &HostFile) -> End {
    let end = tokio::select! {
        status = child.wait() => status.map_or(End::Killed, End::Exited),
        () = answers_too_late(handler, host.start_within) => End::NeverReady,
        () = handler.kill.notified() => End::Killed,
    };
    // Killed as the host kills it: at once. It may have ended already.
    child.kill().await.ok();
    end
}

/// Polls `GET /` until any answer comes, then never returns; returns when none came in time.
async fn answers_too_late(handler: &Handler, within: Duration) {
    let polling = async {
        while handler.client.get(handler.address("")).send().await.is_err() {
            tokio::time::sleep(POLL).await;
        }
    };
    if tokio::time::timeout(within, polling).await.is_ok() {
        handler.ready.send_replace(true);
        handler.around.notices.send(Notice::Ready(handler.port)).ok();
        std::future::pending::<()>().await;
    }
}

fn start(handler: &Handler, host: &HostFile, options: &Options) -> Result<Child, Error> {
    let at_root = options.root.join(&host.executable);
    let path = match &options.executable {
        Some(path) => path.clone(),
        None if at_root.is_file() => at_root,
        None => PathBuf::from(&host.executable),
    };
    // Joined and cut at spaces, as the host passes them on.
    let arguments = host.arguments.join(" ");
    let (port, id) = (handler.port.to_string(), handler.around.chance.uuid().to_string());
    Command::new(&path)
        .args(arguments.split_whitespace())
        .current_dir(&options.root)
        .envs(&options.settings)
        .env("FUNCTIONS_APP_ROOT_PATH", &options.root)
        .env("FUNCTIONS_CUSTOMHANDLER_PORT", &port)
        .env("FUNCTIONS_HTTPWORKER_PORT", &port)
        .env("FUNCTIONS_CUSTOMHANDLER_WORKER_ID", &id)
        .env("FUNCTIONS_HTTPWORKER_ID", &id)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(|source| Error::NotStarted { path, source })
}

async fn listen(
    from: impl AsyncRead + Unpin,
    error: bool,
    handler: &Handler,
    last_words: &LastWords,
) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(text)) = lines.next_line().await {
        if error {
            last_words.note(&text);
        }
        handler.around.notices.send(Notice::Line { error, text }).ok();
    }
}

/// The last three lines of stderr: the host makes them the text of a crash.
#[derive(Default)]
struct LastWords(Mutex<VecDeque<String>>);

impl LastWords {
    fn note(&self, line: &str) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push_back(line.to_owned());
        while lines.len() > 3 {
            lines.pop_front();
        }
    }

    fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(String::as_str).collect::<Vec<_>>().join(" | ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_errors_close_together_are_one_too_many() {
        let (mut errors, start) = (VecDeque::new(), Instant::now());
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        assert!(!is_one_too_many(&mut errors, at(0)));
        assert!(!is_one_too_many(&mut errors, at(29)));
        assert!(is_one_too_many(&mut errors, at(58)));
    }

    #[test]
    fn an_error_half_an_hour_after_the_last_counts_anew() {
        let (mut errors, start) = (VecDeque::new(), Instant::now());
        let at = |minutes: u64| start + Duration::from_secs(minutes * 60);
        assert!(!is_one_too_many(&mut errors, at(0)));
        assert!(!is_one_too_many(&mut errors, at(1)));
        assert!(!is_one_too_many(&mut errors, at(32)));
        assert!(!is_one_too_many(&mut errors, at(33)));
    }
}
