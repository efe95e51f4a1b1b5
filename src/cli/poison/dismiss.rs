//! `concord poison dismiss`: records that nobody needs to look at again, with the reason why.

use std::process::ExitCode;

use crate::audit::{Deed, Verb};
use crate::cli::desk::Desk;
use crate::cli::{Outcome, output};
use crate::operator::Role;
use crate::poison::Status;

/// Which records, and why.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The records, by any beginning of their ids
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
    /// Why nothing is to be done about them
    #[arg(long, value_name = "TEXT", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    note: String,
}

pub(super) async fn run(args: &Args, desk: &Desk) -> Outcome {
    let mut code = ExitCode::SUCCESS;
    let named = desk.named(&args.ids).await?;
    let deeds = named.iter().map(|kept| {
        Deed::new(Verb::Dismiss, kept.record.id.to_string()).because(Some(args.note.clone()))
    });
    desk.record(Role::Operator, &deeds.collect::<Vec<_>>()).await?;
    for kept in named {
        let id = kept.record.id.to_string();
        match desk.app.pipeline.mark(kept, Status::Dismissed, Some(args.note.clone())).await {
            Ok(()) => output::line(format!("{id}  dismissed")),
            Err(fault) => {
                output::line(format!("{id}  not dismissed: {fault}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    Ok(code)
}
