//! One pass of events through everything: feed, watch, wait until all is settled.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::io::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::Error;
use super::environment::Environment;
use super::night::{self, NIGHTLY, Night};
use super::stage::{Sends, Stage};
use super::tally::Tally;
use super::view::{FRAME, View};
use crate::clock::Clock;
use crate::emulator::host::Notice;

/// The longest that a pass may take.
const LONGEST: Duration = Duration::from_mins(30);

/// How often the timers are fired until there is nothing left for them.
const ROUNDS: u32 = 10;

/// How often the work queue is asked whether it is empty.
const POLL: Duration = Duration::from_millis(100);

/// A running pass.
pub(super) struct Pass<'a> {
    stage: &'a Stage,
    tally: Mutex<Tally>,
    view: View,
    log: Mutex<File>,
    rest: Duration,
}

/// What a pass came to.
pub(super) struct Passed {
    pub(super) tally: Tally,
    pub(super) took: Duration,
    /// Messages left in the work queue.
    pub(super) waiting: u64,
    /// Requests that each environment served, those of the night left out.
    pub(super) target_calls: BTreeMap<String, u64>,
    /// What the night found.
    pub(super) night: Night,
}

impl<'a> Pass<'a> {
    /// A pass over this stage that rests so long before the timers run. The handler's own lines go to
    /// `handler.log` in the storage folder.
    pub(super) fn new(stage: &'a Stage, rest: Duration) -> Result<Self, Error> {
        let path = stage.folder.path.join("handler.log");
        let log = File::create(&path).map_err(|source| Error::Unreadable { path, source })?;
        let view = View::new(stage.hub.partitions());
        Ok(Self { stage, tally: Mutex::default(), view, log: Mutex::new(log), rest })
    }

    /// Feeds the events and returns when every one is settled, or when the time is over.
    pub(super) async fn once(
        &self,
        sends: Sends,
        notices: &mut mpsc::UnboundedReceiver<Notice>,
    ) -> Result<Passed, Error> {
        let start = Instant::now();
        self.feed(sends);
        let passed = self.while_running(Box::pin(self.whole(start)), notices).await??;
        self.draw();
        self.view.finish();
        Ok(passed)
    }

    /// Waits until all is settled, takes the figures, and then compares, while the host still runs.
    async fn whole(&self, start: Instant) -> Result<Passed, Error> {
        timeout(LONGEST, self.settled()).await.unwrap_or(Ok(()))?;
        let took = start.elapsed();
        // Meanwhile the last answers are noted.
        sleep(POLL).await;
        let waiting = self.stage.stores.work.depth().await?;
        let tally = self.tally().clone();
        let target_calls = self.stage.calls().into_iter().collect();
        // What follows only reads, and without faults.
        self.stage.environments.iter().for_each(Environment::end);
        let night = self.night().await?;
        Ok(Passed { tally, took, waiting, target_calls, night })
    }

    /// Compares what the ledger remembers with what the targets hold, as every night does.
    async fn night(&self) -> Result<Night, Error> {
        if !self.stage.nightly {
            return Ok(Night::new());
        }
        self.stage.host.fire(NIGHTLY).await;
        timeout(LONGEST, self.work_is_done()).await.unwrap_or(Ok(()))?;
        night::read(self.stage, &self.stage.maps).await
    }

    /// Feeds the events, says when they are through, and stays until it is interrupted.
    pub(super) async fn stay(
        &self,
        sends: Sends,
        notices: &mut mpsc::UnboundedReceiver<Notice>,
    ) -> Result<(), Error> {
        self.feed(sends);
        let staying = async {
            self.stage.hub.consumed(&self.stage.group).await;
            self.view.say("every event was handed over; stop with ctrl-c");
            std::future::pending::<()>().await;
        };
        match self.while_running(staying, notices).await {
            Ok(()) | Err(Error::Interrupted) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Does something while the host runs and is watched.
    pub(super) async fn during<T>(
        &self,
        doing: impl Future<Output = T>,
        notices: &mut mpsc::UnboundedReceiver<Notice>,
    ) -> Result<T, Error> {
        let done = self.while_running(doing, notices).await;
        self.view.finish();
        done
    }

    /// Says something above what is drawn.
    pub(super) fn say(&self, text: &str) {
        self.view.say(text);
    }

    fn feed(&self, sends: Sends) {
        let clock = crate::clock::SystemClock;
        for (partition, bodies) in sends {
            self.stage.hub.send(partition, bodies, clock.now());
        }
    }

    /// Runs the host and watches it until `done` is.
    async fn while_running<T>(
        &self,
        done: impl Future<Output = T>,
        notices: &mut mpsc::UnboundedReceiver<Notice>,
    ) -> Result<T, Error> {
        tokio::select! {
            done = done => Ok(done),
            ended = self.stage.host.run() => Err(ended.err().map_or(Error::Interrupted, Error::from)),
            () = self.watch(notices) => Err(Error::Interrupted),
            () = interrupted() => Err(Error::Interrupted),
        }
    }

    /// Every event is checkpointed and nothing waits in the work queue, also after the timers have run.
    async fn settled(&self) -> Result<(), Error> {
        self.stage.hub.consumed(&self.stage.group).await;
        self.work_is_done().await?;
        for _ in 0..ROUNDS {
            sleep(self.rest).await;
            let mut done = true;
            for timer in &self.stage.timers {
                done &= self.stage.host.fire(timer).await;
            }
            // Meanwhile what they answered is noted.
            sleep(POLL).await;
            if done && self.tally().unfinished == 0 {
                break;
            }
        }
        self.work_is_done().await
    }

    async fn work_is_done(&self) -> Result<(), Error> {
        while self.stage.stores.work.depth().await? > 0 {
            sleep(POLL).await;
        }
        Ok(())
    }

    async fn watch(&self, notices: &mut mpsc::UnboundedReceiver<Notice>) {
        let mut frames = interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                notice = notices.recv() => match notice {
                    Some(notice) => self.note(&notice),
                    None => return,
                },
                _ = frames.tick() => self.draw(),
            }
        }
    }

    fn draw(&self) {
        let calls = self.stage.calls();
        self.view.update(&self.stage.hub, &self.stage.group, &self.tally(), &calls);
    }

    fn note(&self, notice: &Notice) {
        self.tally().note(notice);
        match notice {
            Notice::Line { error, text } => {
                let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                // A full disk shows elsewhere.
                writeln!(log, "{text}").ok();
                if *error {
                    self.view.say(&format!("handler: {text}"));
                }
            }
            Notice::Failed { call, reason } => {
                self.view.say(&format!("{} failed and comes again: {reason}", call.function));
            }
            Notice::Lost { call, reason } => {
                self.view.say(&format!("{} lost {} events: {reason}", call.function, call.events));
            }
            Notice::Restarting(reason) => self.view.say(&format!("handler restarted: {reason}")),
            Notice::Done { .. } | Notice::Ready(_) => {}
        }
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ctrl-c, or the signal by which a machine asks a process to end: either way the handler ends too.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut asked) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = asked.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    // Without signals there is only the pass's own end.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
