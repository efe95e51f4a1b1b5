//! The stages that every event passes in the handler itself, each on its own, without any call.
//!
//!     cargo bench --bench stages                          time of each stage, per event
//!     cargo bench --bench stages -- --instructions        instructions of each stage, by callgrind
//!
//! A batch is 256 events of the load's first partition; `floor` is what only parsing and writing the
//! same takes with `serde` alone.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench ends at the first surprise")]
#![allow(clippy::indexing_slicing, clippy::print_stdout, reason = "it prints what it measures")]
#![allow(clippy::cast_precision_loss, reason = "figures are shown with three digits")]

#[path = "../work/floor.rs"]
mod floor;
mod instructions;
mod path;
#[path = "../work/mod.rs"]
mod work;

use std::sync::LazyLock;

use divan::counter::ItemsCount;

use path::{BATCH, Path, STAGES};

static PATH: LazyLock<Path> = LazyLock::new(Path::new);

#[divan::bench(args = STAGES.map(|(name, _)| name))]
fn stage(bencher: divan::Bencher<'_, '_>, name: &str) {
    let (_, run) = STAGES.into_iter().find(|(other, _)| *other == name).unwrap();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| run(&PATH));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--once", name, times] => instructions::once(name, times.parse().unwrap()),
        words if words.contains(&"--instructions") => instructions::table(),
        _ => divan::main(),
    }
}
