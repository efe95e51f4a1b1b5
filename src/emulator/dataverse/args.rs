//! `concord emulate dataverse`.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::chance::Chance;
use crate::emulator::dataverse::faults::Faults;
use crate::emulator::dataverse::limits;
use crate::emulator::dataverse::server::{self, serve};
use crate::emulator::dataverse::state::Options;

/// Emulates a Dataverse environment on this machine, in memory.
#[derive(Clone, Debug, ClapArgs)]
pub struct Args {
    /// The port on loopback
    #[arg(long, default_value_t = 7071)]
    pub port: u16,
    /// A TOML or JSON file with further tables
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// Faults by chance, such as 429:0.02@3s,500-before:0.01,deadlock:0.01,cut:0.01,lost:0.01,slow:0.05@2s
    #[arg(long, value_name = "LIST", value_parser = Faults::parse, default_value = "")]
    pub faults: Faults,
    /// Service-protection limits, such as requests=6000,time=1200s,concurrent=52,servers=2; "on" for
    /// the usual ones
    #[arg(
        long,
        value_name = "LIST",
        value_parser = limits::Settings::parse,
        num_args = 0..=1,
        default_missing_value = "on"
    )]
    pub limits: Option<limits::Settings>,
    /// Refuse requests without a bearer token
    #[arg(long)]
    pub secret: bool,
    /// Callers lack the permissions for secured columns
    #[arg(long)]
    pub column_security: bool,
    /// Privileges that callers lack, such as prvDeleteAccount,prvWriteContact
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub deny: Vec<String>,
    /// Scheme and host in the addresses of answers, instead of each request's own
    #[arg(long, value_name = "URL")]
    pub origin: Option<String>,
    /// Repeat the same ids and faults
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
}

impl Args {
    fn options(self) -> Options {
        Options {
            port: self.port,
            schema: self.schema,
            faults: self.faults,
            limits: self.limits,
            origin: self.origin,
            secret: self.secret,
            column_security: self.column_security,
            denied: self.deny,
            chance: self.seed.map_or_else(Chance::from_system, Chance::seeded),
            ..Options::default()
        }
    }
}

/// Runs an emulator until it is stopped. Where it listens is logged.
pub async fn run(args: Args) -> Result<(), server::Error> {
    let server = serve(args.options()).await?;
    tracing::info!(url = %server.url(), "the emulated dataverse listens");
    server.run().await
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn read(line: &str) -> Result<Args, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.args)
    }

    #[test]
    fn limits_are_off_on_or_of_ones_own() {
        assert_eq!(read("x").unwrap().limits, None);
        assert_eq!(read("x --limits").unwrap().limits, Some(limits::Settings::default()));
        assert_eq!(read("x --limits requests=5").unwrap().limits.unwrap().requests, 5);
    }

    #[test]
    fn a_fault_that_cannot_be_read_is_told_before_anything_starts() {
        let error = read("x --faults 429:0.1,boom:1").unwrap_err().to_string();
        assert!(error.contains("'boom:1' is no fault"), "{error}");
    }
}
