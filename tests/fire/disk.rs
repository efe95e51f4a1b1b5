//! Local storage on a disk that is full: a small file system where one may be mounted, else a limit on
//! the size of files.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use concord::emulator::dataverse::server::{self, Server};
use concord::emulator::dataverse::state::Options;
use tempfile::TempDir;
use tokio::time::sleep;

use crate::envelope::{self, Held, Retry};
use crate::handler::{self, Answer, Handler};
use crate::singles::{large, name};
use crate::stage::customers;

/// A disk with little room, and how it is given more.
struct Disk {
    folder: PathBuf,
    mounted: bool,
}

impl Disk {
    fn small(within: &Path) -> Self {
        let folder = within.join("disk");
        std::fs::create_dir(&folder).unwrap();
        let mounted = mount(&folder, "size=1536k");
        let how =
            if mounted { "a file system of 1.5 MiB" } else { "a limit of 1 MiB on its files" };
        println!("local storage has {how}");
        Self { folder, mounted }
    }

    /// There is room again, once this process is started again where that is what it takes.
    async fn freed(&self, handler: &Handler) {
        if self.mounted {
            assert!(mount(&self.folder, "remount,size=64m"));
            return;
        }
        handler.largest_file.store(0, Ordering::Relaxed);
        handler.kill().await;
        handler.start().await;
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            Command::new("umount").arg("-l").arg(&self.folder).status().unwrap();
        }
    }
}

/// Only root may, and not in every container.
fn mount(folder: &Path, options: &str) -> bool {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "concord-test"]).arg(folder);
    command.output().is_ok_and(|output| output.status.success())
}

async fn delivered(handler: &Handler, events: &[Held], retry: Retry) -> Answer {
    handler.post("events", envelope::events(0, events, retry)).await.expect("it lives")
}

fn batch(number: usize) -> Vec<Held> {
    large(number * 40, 40, 1, 900)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_nothing_is_acknowledged_that_is_not_kept_and_all_goes_on_when_there_is_room()
 {
    let within: TempDir = tempfile::tempdir().unwrap();
    let disk = Disk::small(within.path());
    let target: Server = server::serve(Options::default()).await.unwrap();
    let storage = format!("local:{}", disk.folder.display());
    let url = format!("http://{}", target.address);
    let handler = Handler::new(0, &handler::maps(), (&storage, &url), within.path());
    if !disk.mounted {
        handler.largest_file.store(2_048, Ordering::Relaxed);
    }
    handler.start().await;
    let first = Retry { count: 0, most: Some(3) };
    let mut full = 0;
    while delivered(&handler, &batch(full), first).await.is_done() {
        full += 1;
        assert!(full < 200, "the disk is never full");
    }
    println!("full after {full} batches of 40 rows");
    // The last attempt, and none at all: there is no room to keep it, so it is not acknowledged.
    for retry in [first, Retry { count: 3, most: Some(3) }, Retry::default()] {
        let answer = delivered(&handler, &batch(full), retry).await;
        assert_eq!(answer.status, 503, "{answer:?}");
        let why = answer.body["error"]["message"].as_str().unwrap();
        assert!(why.starts_with("storage-unavailable"), "{why}");
    }
    let kept = full * 40;
    let written = customers(&target).len();
    assert!(written >= kept, "{written} of {kept} acknowledged rows");
    disk.freed(&handler).await;
    for number in 0..full + 2 {
        let mut tries = 0;
        while !delivered(&handler, &batch(number), first).await.is_done() {
            tries += 1;
            assert!(tries < 30, "batch {number} is not taken though there is room");
            sleep(Duration::from_millis(500)).await;
        }
    }
    let expected = (0..(full + 2) * 40).map(|key| (key.to_string(), name(key, 1))).collect();
    assert_eq!(customers(&target), expected);
    let created = target.state.counters().rows.created;
    assert_eq!(usize::try_from(created).unwrap(), (full + 2) * 40, "nothing twice");
}
