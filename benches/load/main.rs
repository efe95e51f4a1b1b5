//! What the handler costs and how fast it is, beside what a user would write instead.
//!
//!     cargo bench --bench load                            the table
//!     cargo bench --bench load -- --help                  other loads
//!
//! `concord serve` runs as its own process, as the Functions host starts it, and so does its rival, a
//! tuned handler in Node (`benches/rival/`). Both are driven with the same envelopes over HTTP. Target
//! and storage are stand-ins with set latencies, in this process; they count the calls. CPU and memory
//! are what the system says of the handler's process.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench ends at the first surprise")]
#![allow(
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "stand-ins, read once"
)]
#![allow(clippy::cast_precision_loss, reason = "figures are shown with three digits")]
#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::disallowed_methods, reason = "it is told its sizes by the environment")]

#[allow(dead_code, clippy::assigning_clones, reason = "it belongs to the fire")]
#[path = "../../tests/azurite.rs"]
mod azurite;
mod calls;
mod drive;
mod far;
#[path = "../work/floor.rs"]
mod floor;
mod options;
mod process;
mod relay;
mod report;
mod run;
mod server;
mod sink;
mod store;
#[path = "../work/mod.rs"]
mod work;

use std::process::Command;

use clap::Parser as _;

use options::Options;
use run::{Contender, Turn, turn};
use work::Work;

#[tokio::main(worker_threads = 2)]
async fn main() {
    let mut options = Options::parse();
    if !options.bench {
        // `cargo test` only wants to know that it runs.
        options = Options { events: 2_048, keys: 500, only: Some("concord".into()), ..options };
    }
    let size = options.size();
    let work = Work::new(&size);
    println!(
        "{} events of {} bytes, {} keys, {} partitions × batches of {}; target {} ms a call + {} ms \
         a row, storage {} ms a call\n",
        size.events,
        work.event_bytes,
        size.keys,
        size.partitions,
        size.batch,
        options.target_ms,
        options.row_ms,
        options.store_ms,
    );
    let contenders = contenders(&options);
    let mut turns: Vec<Vec<Turn>> = contenders.iter().map(|_| Vec::new()).collect();
    for _ in 0..options.turns.max(1) {
        for (contender, turns) in contenders.iter().zip(&mut turns) {
            turns.push(turn(contender, &options, &work).await);
        }
    }
    let shown: Vec<Turn> = turns.into_iter().map(middle).collect();
    report::print(&shown, floor::cpu_per_thousand(&work));
    assert!(shown.iter().all(Turn::is_right), "not every row is right");
}

fn contenders(options: &Options) -> Vec<Contender> {
    let under = options.under.split_whitespace().map(str::to_owned);
    let concord = [env!("CARGO_BIN_EXE_concord"), "serve"].map(str::to_owned);
    let rival = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/rival/handler.mjs");
    let mut all = vec![Contender { name: "concord", command: under.chain(concord).collect() }];
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    if wanted("node") && !options.real {
        match Command::new("node").arg("--version").output() {
            Ok(_) => {
                all.push(Contender { name: "node", command: vec!["node".into(), rival.into()] });
            }
            Err(_) => println!("node is not installed: its column is left out\n"),
        }
    }
    all.retain(|contender| wanted(contender.name));
    all
}

/// The turn of middle throughput.
fn middle(mut turns: Vec<Turn>) -> Turn {
    turns.sort_by_key(|turn| turn.took);
    turns.swap_remove(turns.len() / 2)
}
