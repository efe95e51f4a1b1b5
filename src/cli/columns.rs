//! Text in columns that line up.
//!
//! In come rows of cells; out come lines of at most [`WIDTH`] characters. What is too wide for its
//! column goes on beneath itself, so that nothing is ever cut away; a remark stands under its row over
//! the whole width. Cells are counted in characters.

/// The width of a page, in characters.
pub const WIDTH: usize = 100;

/// Between two columns.
const GAP: usize = 2;
/// No column gets narrower than this to make room for others.
const NARROWEST: usize = 8;

/// Rows that are laid out together.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    indent: usize,
    firm: usize,
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
enum Row {
    Cells(Vec<String>),
    Remark(String),
}

impl Columns {
    /// Nothing yet; every line starts with this many spaces.
    pub fn indented(indent: usize) -> Self {
        Self { indent, ..Self::default() }
    }

    /// The first columns, which hold names, give way only when all others are as narrow as they get.
    #[must_use]
    pub fn firm(mut self, columns: usize) -> Self {
        self.firm = columns;
        self
    }

    /// Adds a row.
    pub fn row<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        self.rows.push(Row::Cells(cells.into_iter().map(Into::into).collect()));
    }

    /// Adds a remark under the last row.
    pub fn remark(&mut self, text: impl Into<String>) {
        self.rows.push(Row::Remark(text.into()));
    }

    /// The lines.
    pub fn lines(&self) -> Vec<String> {
        let widths = self.widths();
        let mut lines = Vec::new();
        for row in &self.rows {
            match row {
                Row::Cells(cells) => lines.extend(self.laid_out(cells, &widths)),
                Row::Remark(text) => {
                    let indent = self.indent + 2 * GAP;
                    let wrapped = wrapped(text, WIDTH.saturating_sub(indent));
                    lines.extend(wrapped.iter().map(|line| format!("{:indent$}{line}", "")));
                }
            }
        }
        lines
    }

    /// As wide as the widest cell; when that is too much in all, the widest columns that are not firm
    /// give way, and then the firm ones.
    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::<usize>::new();
        for row in &self.rows {
            let Row::Cells(cells) = row else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = cell.lines().map(count).max().unwrap_or_default().max(*width);
            }
        }
        let room = WIDTH.saturating_sub(self.indent + GAP * widths.len().saturating_sub(1));
        let mut over = widths.iter().sum::<usize>().saturating_sub(room);
        let names = self.firm.min(widths.len());
        let (firm, loose) = widths.split_at_mut(names);
        for columns in [loose, firm] {
            while over > 0
                && let Some(widest) = columns.iter_mut().max().filter(|width| **width > NARROWEST)
            {
                *widest -= 1;
                over -= 1;
            }
        }
        widths
    }

    fn laid_out(&self, cells: &[String], widths: &[usize]) -> Vec<String> {
        let cells: Vec<Vec<String>> =
            cells.iter().zip(widths).map(|(cell, width)| squeezed(cell, *width)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        let mut lines = Vec::with_capacity(height);
        for line in 0..height {
            let mut text = " ".repeat(self.indent);
            for (cell, width) in cells.iter().zip(widths) {
                let part = cell.get(line).map_or("", String::as_str);
                text.push_str(part);
                text.extend(std::iter::repeat_n(' ', (width + GAP).saturating_sub(count(part))));
            }
            lines.push(text.trim_end().to_owned());
        }
        lines
    }
}

/// A text in lines of at most `width` characters, broken between words alone: an address stays whole.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && count(&line) + 1 + count(word) > width {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

/// The same, with words that are too long broken too.
fn squeezed(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for line in wrapped(text, width) {
        let mut rest = line.as_str();
        while let Some((at, _)) = rest.char_indices().nth(width.max(1)) {
            let (head, tail) = rest.split_at(at);
            lines.push(head.to_owned());
            rest = tail;
        }
        lines.push(rest.to_owned());
    }
    lines
}

/// Labels with texts beside them, for one thing shown by itself.
pub fn labelled(labels: &[(&str, String)]) -> Vec<String> {
    let widest = labels.iter().map(|(label, _)| count(label)).max().unwrap_or_default();
    let (indent, mut lines) = (GAP + widest + GAP, Vec::new());
    for (label, text) in labels {
        for (index, line) in wrapped(text, WIDTH - indent.min(WIDTH / 2)).iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            lines.push(format!("  {label:widest$}  {line}"));
        }
    }
    lines
}

fn count(text: &str) -> usize {
    text.chars().count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn columns_line_up_and_a_remark_stands_beneath() {
        let mut columns = Columns::indented(2);
        columns.row(["ID", "MAP"]);
        columns.row(["1", "customer"]);
        columns.remark("a reason");
        columns.row(["234", ""]);
        assert_eq!(columns.lines(), ["  ID   MAP", "  1    customer", "      a reason", "  234"]);
    }

    #[test]
    fn what_is_too_wide_goes_on_beneath_itself() {
        let mut columns = Columns::indented(0);
        columns.row(["key".to_owned(), "word ".repeat(30), "x".repeat(120)]);
        let lines = columns.lines();
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| count(line) <= WIDTH), "{lines:#?}");
        assert_eq!(lines.concat().matches('x').count(), 120);
        assert_eq!(lines.concat().matches("word").count(), 30);
    }

    #[test]
    fn labels_stand_beside_their_texts_and_an_address_stays_whole() {
        let address = format!("https://example.org/{}", "x".repeat(120));
        let labels = [("row", address.clone()), ("status", "word ".repeat(30))];
        let lines = labelled(&labels);
        assert_eq!(lines[0], format!("  row     {address}"));
        assert!(lines[1].starts_with("  status  word"));
        assert!(lines[2].starts_with("          word"), "{lines:#?}");
    }

    proptest! {
        #[test]
        fn wrapping_loses_nothing_but_spaces(text in "[a-zå ]{0,80}", width in 1_usize..20) {
            let lines = squeezed(&text, width);
            prop_assert!(lines.iter().all(|line| count(line) <= width));
            prop_assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        }
    }
}
