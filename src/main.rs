//! The `concord` binary.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    concord::cli::run().await
}
