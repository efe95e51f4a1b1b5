//! A handler as its own process: started by environment alone, asked over HTTP, and read from outside by
//! what Linux says of it in `/proc`. Elsewhere those figures are missing.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a handler may take to answer at all.
const START: Duration = Duration::from_mins(1);

/// A running handler.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pub(crate) port: u16,
    /// From starting it to its first answer.
    pub(crate) start: Duration,
}

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Used {
    /// Seconds of CPU in the program itself.
    pub(crate) user: f64,
    /// Seconds of CPU in the system on its behalf.
    pub(crate) system: f64,
    /// Memory now, and at most so far, in MiB.
    pub(crate) resident: f64,
    pub(crate) peak: f64,
}

impl Process {
    /// Starts a command with these settings and waits until it answers.
    pub(crate) fn start(command: &[String], settings: &[(&str, String)]) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let (program, arguments) = command.split_first().unwrap();
        let since = Instant::now();
        let mut child = Command::new(program)
            .args(arguments)
            .envs(settings.iter().map(|(name, value)| (*name, value.as_str())))
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        while !answers(port) {
            assert!(since.elapsed() < START, "{program} does not answer");
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{program} ended by itself: {ended:?}");
            std::thread::sleep(Duration::from_micros(200));
        }
        Self { child, port, start: since.elapsed() }
    }

    /// What it has used so far; nothing is known outside Linux.
    pub(crate) fn used(&self) -> Option<Used> {
        let folder = format!("/proc/{}", self.child.id());
        let stat = std::fs::read_to_string(format!("{folder}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        // Clock ticks are hundredths of a second on every Linux that there is.
        let ticks = |field: usize| Some(fields.get(field)?.parse::<f64>().ok()? / 100.0);
        let status = std::fs::read_to_string(format!("{folder}/status")).ok()?;
        let kibibytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1_024.0)
        };
        Some(Used {
            user: ticks(11)?,
            system: ticks(12)?,
            resident: kibibytes("VmRSS:")?,
            peak: kibibytes("VmHWM:")?,
        })
    }

    /// Ends it, in order if it can, and waits for that.
    pub(crate) fn end(mut self) {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        let since = Instant::now();
        while asked.is_ok() && since.elapsed() < START {
            if self.child.try_wait().unwrap().is_some() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn answers(port: u16) -> bool {
    let asked = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start).map(|()| start)
    };
    asked().is_ok_and(|start| start.starts_with(b"HTTP/1.1 "))
}
