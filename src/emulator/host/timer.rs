//! The timer trigger: fires when its schedule says so, never twice at once.

use jiff::Timestamp;

use crate::clock::between;

use super::envelope::{self, Status};
use super::settings::{Function, Timer};
use super::{Call, Error, Host, Notice};

/// What the host remembers of a timer; in memory, so that a run was never missed.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    last: Option<Timestamp>,
}

/// Fires a timer for ever.
pub(super) async fn listen(host: &Host, function: &Function, timer: &Timer) -> Result<(), Error> {
    let mut monitor = Monitor::default();
    if timer.run_on_startup {
        fire(host, function, timer, &mut monitor).await;
    }
    loop {
        let now = host.around.clock.now();
        let Some(next) = timer.schedule.next(now) else {
            return std::future::pending().await;
        };
        tokio::time::sleep(between(now, next)).await;
        fire(host, function, timer, &mut monitor).await;
    }
}

/// Fires it once, now; `false` when that failed.
pub(super) async fn fire(
    host: &Host,
    function: &Function,
    timer: &Timer,
    monitor: &mut Monitor,
) -> bool {
    let now = host.around.clock.now();
    let next = timer.schedule.next(now).filter(|_| timer.monitored && !timer.schedule.is_rapid());
    let status = next.map(|next| Status { last: monitor.last, next });
    let body = envelope::timer(function, status, host.moment());
    let call = Call { function: function.name.clone(), partition: None, events: 1, attempt: 0 };
    // A failed run is not lost: the next one comes as scheduled.
    let attempted = host.attempt(function, call, body).await;
    let success = attempted.is_ok();
    if let Err((call, reason)) = attempted {
        host.tell(Notice::Failed { call, reason });
    }
    monitor.last = Some(now);
    success
}
