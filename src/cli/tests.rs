//! Every command that documentation or a message of the program names must be one.

use std::path::{Path, PathBuf};

use clap::Parser as _;
use clap::error::ErrorKind;

use super::Cli;

/// A line as a shell reads it: words, quoted or not, up to a comment.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for letter in line.chars() {
        match (quote, letter) {
            (Some(open), _) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, ' ') => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

/// What the program says to a command; none when it would run it.
fn refused(line: &str) -> Option<ErrorKind> {
    Cli::try_parse_from(words(line)).err().map(|error| error.kind())
}

/// A command without all that it takes still names one that there is.
fn names_one(line: &str) -> bool {
    let missing = [
        ErrorKind::MissingRequiredArgument,
        ErrorKind::MissingSubcommand,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::InvalidValue,
        ErrorKind::ValueValidation,
    ];
    refused(line).is_none_or(|kind| missing.contains(&kind))
}

fn files(folder: &Path, ends: &str, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, ends, found);
        } else if path.to_string_lossy().ends_with(ends) {
            found.push(path);
        }
    }
}

/// Texts between backticks that begin with the program's name.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').filter(|part| part.starts_with("concord ") && !part.contains('\n'))
}

#[test]
fn every_command_that_documentation_shows_can_be_typed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    files(&root.join("docs"), ".md", &mut pages);
    let (mut typed, mut wrong) = (0, Vec::new());
    for page in pages {
        let text = std::fs::read_to_string(&page).unwrap();
        for line in text.lines().filter(|line| line.starts_with("concord ")) {
            typed += 1;
            wrong.extend(refused(line).map(|kind| format!("{}: {line}: {kind}", page.display())));
        }
        let named = quoted(&text).filter(|line| !names_one(line));
        wrong.extend(named.map(|line| format!("{}: {line}", page.display())));
    }
    assert!(typed > 30, "only {typed} commands are shown");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_that_the_program_names_is_one() {
    let mut sources = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), ".rs", &mut sources);
    let (mut named, mut wrong) = (0, Vec::new());
    for source in sources {
        let text = std::fs::read_to_string(&source).unwrap();
        for line in quoted(&text) {
            named += 1;
            let whole = !line.contains([':', '|', '…', '*']);
            if whole && !names_one(line) {
                wrong.push(format!("{}: {line}", source.display()));
            }
        }
    }
    assert!(named > 30, "only {named} commands are named");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_is_no_command_is_found() {
    assert_eq!(words("a  'b c' \"\" d#e # f"), ["a", "b c", "", "d#e"]);
    assert_eq!(refused("concord audit list --verb retry   # who"), None);
    assert!(names_one("concord explain --event"));
    for wrong in ["concord audits", "concord check --deep", "concord poison retry --maps x"] {
        assert!(!names_one(wrong), "{wrong}");
    }
}
