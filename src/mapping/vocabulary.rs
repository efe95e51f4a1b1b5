//! Vocabularies: CSV files beside the maps, one column per consumer, usable in any direction.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::IndexMap;

/// Larger files are refused: they are data, not vocabulary.
const LARGEST: u64 = 8 * 1024 * 1024;

/// One file: a header and its rows, trimmed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vocabulary {
    /// The names of the columns.
    pub columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Vocabulary {
    /// Reads CSV with a header line. Says why not, when it cannot be read.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut reader =
            csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| error.to_string())?;
        let columns: Vec<String> =
            header.iter().map(|name| name.trim_start_matches('\u{feff}').to_owned()).collect();
        if columns.is_empty() {
            return Err("it has no header line".to_owned());
        }
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record.map_err(|error| error.to_string())?;
            rows.push(record.iter().map(str::to_owned).collect());
        }
        Ok(Self { columns, rows })
    }

    /// The values of one column with those of another beside them; rows where either is empty are left
    /// out. Fails with the first value that stands for two different ones.
    pub fn table(&self, from: &str, to: &str) -> Result<IndexMap<String, String>, String> {
        let (Some(from), Some(to)) = (self.position(from), self.position(to)) else {
            return Ok(IndexMap::new());
        };
        let mut table = IndexMap::new();
        for row in &self.rows {
            let cell = |at: usize| row.get(at).filter(|cell| !cell.is_empty());
            let (Some(key), Some(value)) = (cell(from), cell(to)) else { continue };
            let before = table.insert(key.clone(), value.clone());
            if before.is_some_and(|before| before != *value) {
                return Err(key.clone());
            }
        }
        Ok(table)
    }

    /// The cell of `to` in the first row whose cell of `from` is this, compared without case.
    pub fn find_caseless(&self, from: &str, text: &str, to: &str) -> Option<&str> {
        let (from, to) = (self.position(from)?, self.position(to)?);
        let text = text.to_lowercase();
        let same =
            |row: &&Vec<String>| row.get(from).is_some_and(|cell| cell.to_lowercase() == text);
        self.rows.iter().find(same)?.get(to).map(String::as_str)
    }

    fn position(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known == column)
    }
}

/// The files under `vocabularies/`, each read once.
#[derive(Debug, Default)]
pub struct Vocabularies {
    folder: PathBuf,
    read: HashMap<String, Result<Arc<Vocabulary>, String>>,
}

impl Vocabularies {
    /// Those beside the maps of this folder.
    pub fn beside(maps: &Path) -> Self {
        Self { folder: maps.join("vocabularies"), read: HashMap::new() }
    }

    /// A file by its name, which names no other folder.
    pub fn get(&mut self, name: &str) -> Result<Arc<Vocabulary>, String> {
        if let Some(known) = self.read.get(name) {
            return known.clone();
        }
        let read = self.open(name).map(Arc::new);
        self.read.insert(name.to_owned(), read.clone());
        read
    }

    fn open(&self, name: &str) -> Result<Vocabulary, String> {
        if name.contains(['/', '\\', ':']) || name.starts_with('.') {
            return Err("a vocabulary is named by its file name alone".to_owned());
        }
        let path = self.folder.join(name);
        let size = std::fs::metadata(&path).map_err(|error| error.to_string())?.len();
        if size > LARGEST {
            return Err("it is larger than 8 MiB".to_owned());
        }
        Vocabulary::read(&std::fs::read_to_string(&path).map_err(|error| error.to_string())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CSV: &str = "\u{feff}name, crm ,sap\nDenmark,1,DK\nSweden,2,SE\nNone,,NO\n";

    #[test]
    fn a_vocabulary_is_read_in_both_directions() {
        let vocabulary = Vocabulary::read(CSV).unwrap();
        assert_eq!(
            vocabulary.table("sap", "crm").unwrap().get("SE").map(String::as_str),
            Some("2")
        );
        assert_eq!(
            vocabulary.table("crm", "sap").unwrap().get("1").map(String::as_str),
            Some("DK")
        );
        assert_eq!(vocabulary.table("sap", "crm").unwrap().get("NO"), None);
    }

    #[test]
    fn a_value_with_two_meanings_is_named() {
        let vocabulary = Vocabulary::read("a,b\n1,x\n1,y\n").unwrap();
        assert_eq!(vocabulary.table("a", "b"), Err("1".to_owned()));
        assert!(vocabulary.table("b", "a").is_ok());
    }

    #[test]
    fn no_file_outside_the_folder_is_opened() {
        let mut vocabularies = Vocabularies::beside(Path::new("maps"));
        for name in ["../x.csv", "/etc/passwd", ".hidden", "a/b.csv"] {
            assert!(vocabularies.get(name).is_err(), "{name}");
        }
    }
}
