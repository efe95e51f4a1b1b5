//! A stand-in for the Azure Functions host: it reads the real `host.json` and `function.json` files,
//! starts the handler as its child and drives it over HTTP as the host does.
//!
//! In come events of an in-memory [`hub`], messages of queues and the time; out go invocations, and
//! [`Notice`]s of what happened for whoever watches. What the host would do wrong it does wrong too:
//! a checkpoint moves on after the last attempt whatever the answer was, and an answer without a JSON
//! object never completes. Refused are triggers and settings it does not know how to imitate.

mod answer;
pub mod bus;
mod envelope;
mod events;
mod handler;
mod http;
pub mod hub;
mod process;
mod queues;
mod retry;
mod schedule;
mod settings;
mod timer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, select_all};
use tokio::sync::mpsc;

use crate::chance::Chance;
use crate::clock::SharedClock;
use crate::store::{self, Queue};

pub use answer::Failure;
pub use settings::{Settings, read as read_settings};

use handler::Handler;
use http::Front;
use hub::Hub;
use settings::{Function, Trigger};

/// What the host is told beside its files.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder of `host.json`; given to the handler as `FUNCTIONS_APP_ROOT_PATH`.
    pub root: PathBuf,
    /// The handler's program, when it is neither in the root nor on the `PATH`.
    pub executable: Option<PathBuf>,
    /// App settings: replace `%NAME%` in the files and become the handler's environment.
    pub settings: BTreeMap<String, String>,
    /// The key that callers of HTTP functions must show.
    pub key: String,
    /// Waits between attempts and polls are divided by this; 1 is the true pace.
    pub pace: u32,
}

/// What the host takes from outside.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The event hub that every event hub trigger reads.
    pub hub: Arc<Hub>,
    /// The queues by name, each trigger's own and its `-poison` one.
    pub queues: BTreeMap<String, Arc<dyn Queue>>,
    /// The queues of Service Bus by name, and its subscriptions as `topic/subscription`.
    pub buses: BTreeMap<String, Arc<bus::Subscription>>,
    /// The time.
    pub clock: SharedClock,
    /// Invocation ids and jitter.
    pub chance: Chance,
    /// Where to tell what happens.
    pub notices: mpsc::UnboundedSender<Notice>,
}

/// Something that happened, for whoever watches.
#[derive(Clone, Debug)]
pub enum Notice {
    /// The handler answered a call with success.
    Done {
        /// Whose call it was.
        call: Call,
        /// The lines of `Logs` in its answer.
        logs: Vec<String>,
        /// How long the call took.
        took: Duration,
    },
    /// A call failed and comes again: as its retry policy or its schedule says.
    Failed {
        /// Whose call it was.
        call: Call,
        /// What was wrong.
        reason: String,
    },
    /// A call failed for the last time: the host moves on without it.
    Lost {
        /// Whose call it was.
        call: Call,
        /// What was wrong.
        reason: String,
    },
    /// The handler wrote a line.
    Line {
        /// To stderr, which the host takes for an error.
        error: bool,
        /// The line.
        text: String,
    },
    /// The handler answers on this port.
    Ready(u16),
    /// The handler ended and is started again.
    Restarting(String),
}

/// One call of the handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The function.
    pub function: String,
    /// The partition, for event hub triggers.
    pub partition: Option<usize>,
    /// How many events or messages it carried.
    pub events: usize,
    /// Which attempt it was, counted from zero.
    pub attempt: u32,
}

/// Why the stand-in cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the app could not be read.
    #[error("{} cannot be read: run this in the project's folder or name it with --root", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the app is not the JSON it should be.
    #[error("{} is not what the host reads", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A setting of the app that the host would refuse, or that this stand-in does not imitate.
    #[error("{}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        what: String,
    },
    /// The handler could not be started at all.
    #[error("{} cannot be started", path.display())]
    NotStarted {
        /// The program.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No free port was to be had.
    #[error("no free port on 127.0.0.1")]
    Port(#[source] std::io::Error),
    /// The handler ended with an error three times, each within half an hour of the one before.
    #[error("the handler ended three times and the host gives up; its last words: {last_words}")]
    GaveUp {
        /// The last lines of its stderr.
        last_words: String,
    },
    /// A queue did not answer.
    #[error("a queue did not answer")]
    Queue(#[from] store::Error),
    /// A trigger names a queue that is not there.
    #[error("there is no queue named {0}")]
    NoQueue(String),
    /// A trigger names a queue or subscription of Service Bus that is not there.
    #[error(
        "there is no queue or subscription {0}; set AzureWebJobs.bus.Disabled to true without one"
    )]
    NoBus(String),
}

/// The host with its functions and its handler.
#[derive(Debug)]
pub struct Host {
    settings: Settings,
    options: Options,
    around: Surroundings,
    handler: Handler,
    front: Option<Front>,
}

impl Host {
    /// A host for the app that `settings` describes. Nothing runs yet.
    pub fn new(options: Options, settings: Settings, around: Surroundings) -> Result<Self, Error> {
        let handler = Handler::new(&settings.host, &around)?;
        let front = Front::of(&settings)?;
        Ok(Self { settings, options, around, handler, front })
    }

    /// Where HTTP functions are called, `http://127.0.0.1:7071`; none when there are none.
    pub fn address(&self) -> Option<String> {
        self.front.as_ref().map(Front::address)
    }

    /// Runs the handler and every trigger until something makes it impossible. Dropping this future
    /// is the host's shutdown: the handler is killed, as the host does it.
    pub async fn run(&self) -> Result<(), Error> {
        let mut parts: Vec<BoxFuture<'_, Result<(), Error>>> =
            vec![process::supervise(&self.handler, &self.settings.host, &self.options).boxed()];
        for function in &self.settings.functions {
            self.listen(function, &mut parts)?;
        }
        if let Some(front) = &self.front {
            parts.push(front.serve(self).boxed());
        }
        select_all(parts).await.0
    }

    /// Runs a timer function now, as the host's admin address does; `false` when that failed or there
    /// is none.
    pub async fn fire(&self, name: &str) -> bool {
        for function in &self.settings.functions {
            if let (true, Trigger::Timer(trigger)) = (function.name == name, &function.trigger) {
                return timer::fire(self, function, trigger, &mut timer::Monitor::default()).await;
            }
        }
        false
    }

    fn listen<'a>(
        &'a self,
        function: &'a Function,
        parts: &mut Vec<BoxFuture<'a, Result<(), Error>>>,
    ) -> Result<(), Error> {
        match &function.trigger {
            Trigger::EventHub(trigger) => {
                for partition in 0..self.around.hub.partitions() {
                    parts.push(events::listen(self, function, trigger, partition).boxed());
                }
            }
            Trigger::Queue(trigger) => {
                let queue = self.queue(&trigger.queue)?;
                let poison = self.queue(&format!("{}-poison", trigger.queue))?;
                parts.push(queues::listen(self, function, trigger, queue, poison).boxed());
            }
            Trigger::Bus(trigger) => {
                let found = self.around.buses.get(&trigger.entity);
                let found = found.ok_or_else(|| Error::NoBus(trigger.entity.clone()))?;
                parts.push(bus::listen(self, function, trigger, found).boxed());
            }
            Trigger::Timer(trigger) => parts.push(timer::listen(self, function, trigger).boxed()),
            // Served by the front, all on one port.
            Trigger::Http(_) => {}
        }
        Ok(())
    }

    fn queue(&self, name: &str) -> Result<&dyn Queue, Error> {
        let found = self.around.queues.get(name).map(AsRef::as_ref);
        found.ok_or_else(|| Error::NoQueue(name.to_owned()))
    }

    fn paced(&self, wait: Duration) -> Duration {
        wait / self.options.pace.max(1)
    }

    fn tell(&self, notice: Notice) {
        // Nobody watches any more: the host goes on.
        self.around.notices.send(notice).ok();
    }
}

#[cfg(test)]
mod tests;
