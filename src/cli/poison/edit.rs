//! `concord poison edit`: another body for the next retry. The original stays where it is.
//!
//! Refused: an empty body, and one that is what it was.

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use crate::audit::{Deed, Verb};
use crate::cli::desk::Desk;
use crate::cli::{Outcome, output};
use crate::config::Settings;
use crate::operator::Role;

/// Which record, and its new body.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Without --body the editor of $VISUAL or $EDITOR is opened.")]
pub struct Args {
    /// The record, by any beginning of its id
    #[arg(value_name = "ID")]
    id: String,
    /// The new body, or - for stdin
    #[arg(long, value_name = "FILE")]
    body: Option<String>,
    /// Why, for the audit record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the body is empty; nothing was changed")]
    Empty,
    #[error("the body is what it was; nothing was changed")]
    Same,
    #[error("no editor is known: set VISUAL or EDITOR, or give a file with --body")]
    NoEditor,
    #[error("the editor `{name}` ended with an error; nothing was changed")]
    Failed { name: String },
    #[error("the editor `{name}` cannot be started")]
    Editor {
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{name} cannot be read")]
    Unreadable {
        name: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the file for the editor cannot be written or read")]
    Scratch(#[source] std::io::Error),
}

pub(super) async fn run(args: &Args, desk: &Desk, settings: &Settings) -> Outcome {
    let kept = desk.one(&args.id).await?;
    let before = desk.poison().original(&kept.record).await?.event.body;
    let body = match &args.body {
        Some(name) => read(name)?,
        None => edited(&before, settings).await?,
    };
    checked(&before, &body)?;
    let id = kept.record.id.to_string();
    let detail = format!("{} bytes became {}", before.len(), body.len());
    let deed = Deed::new(Verb::Edit, &id).because(args.why.clone()).with(detail);
    desk.record(Role::Operator, &[deed]).await?;
    desk.poison().edit(kept, &body).await?;
    output::line(format!("{id}  edited"));
    output::note(format!("see what it comes to with `concord poison retry --preview {id}`"));
    Ok(ExitCode::SUCCESS)
}

fn read(name: &str) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    let read = match name {
        "-" => std::io::stdin().lock().read_to_end(&mut body).map(|_| body),
        path => std::fs::read(path),
    };
    read.map_err(|source| Error::Unreadable { name: name.to_owned(), source })
}

fn checked(before: &[u8], body: &[u8]) -> Result<(), Error> {
    if body.trim_ascii().is_empty() {
        return Err(Error::Empty);
    }
    if body == before { Err(Error::Same) } else { Ok(()) }
}

/// Opens the editor on a file that only its owner can read and that is gone afterwards.
async fn edited(before: &[u8], settings: &Settings) -> Result<Vec<u8>, Error> {
    let command = settings.get("VISUAL").or_else(|| settings.get("EDITOR"));
    let command = command.ok_or(Error::NoEditor)?;
    let mut words = command.split_whitespace();
    let name = words.next().ok_or(Error::NoEditor)?.to_owned();
    let scratch = tempfile::Builder::new().prefix("concord-").suffix(".json").tempfile();
    let mut scratch = scratch.map_err(Error::Scratch)?;
    scratch.write_all(before).and_then(|()| scratch.flush()).map_err(Error::Scratch)?;
    let status = tokio::process::Command::new(&name).args(words).arg(scratch.path()).status().await;
    match status {
        Ok(status) if status.success() => {}
        Ok(_) => return Err(Error::Failed { name }),
        Err(source) => return Err(Error::Editor { name, source }),
    }
    // By name, because many editors put a new file in the place of the old one.
    let mut body = std::fs::read(scratch.path()).map_err(Error::Scratch)?;
    if !before.ends_with(b"\n") && body.ends_with(b"\n") {
        // The editor's own, not the operator's.
        body.pop();
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_that_is_empty_or_unchanged_is_refused() {
        assert!(matches!(checked(b"{}", b" \n"), Err(Error::Empty)));
        assert!(matches!(checked(b"{}", b"{}"), Err(Error::Same)));
        assert!(checked(b"{}", b"{\"a\":1}").is_ok());
    }

    #[tokio::test]
    async fn the_editor_gets_the_body_and_its_result_is_taken() {
        let settings = |editor: &str| Settings::of([("EDITOR", editor)]);
        let body = edited(b"{\"country\":\"DK\"}", &settings("sed -i s/DK/SE/")).await.unwrap();
        assert_eq!(body, b"{\"country\":\"SE\"}");
        let failed = edited(b"{}", &settings("false")).await.unwrap_err();
        assert!(matches!(failed, Error::Failed { .. }));
        let missing = edited(b"{}", &settings("no-such-editor")).await.unwrap_err();
        assert!(matches!(missing, Error::Editor { .. }));
        let none = edited(b"{}", &Settings::default()).await.unwrap_err();
        assert!(matches!(none, Error::NoEditor));
    }
}
