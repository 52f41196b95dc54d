//! Printing: text and tables to standard output.
//!
//! A reader that went away (`millpond topic list | head`) is no failure: what is left is not printed.

use std::io::{self, Write};

/// Prints `text` as it is.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// `text` without power over the terminal: control characters, which ids of clients may hold, are escaped.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A table for people: a heading, rows, columns as wide as they need to be.
#[derive(Debug)]
pub struct Table {
    rows: Vec<Vec<String>>,
    aligned_right: Vec<bool>,
}

impl Table {
    /// A table with these columns; a name that begins with `>` has its column aligned to the right.
    pub fn new(columns: &[&str]) -> Self {
        let names = columns.iter().map(|name| name.trim_start_matches('>').to_owned()).collect();
        Self { rows: vec![names], aligned_right: columns.iter().map(|name| name.starts_with('>')).collect() }
    }

    /// Adds a row; it has a cell for every column.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        let row: Vec<String> = cells.into_iter().map(|cell| printable(&cell)).collect();
        debug_assert_eq!(row.len(), self.aligned_right.len(), "a cell for every column");
        self.rows.push(row);
    }

    /// The table as text.
    pub fn show(&self) -> String {
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.aligned_right.len()).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).zip(&self.aligned_right);
            let cells = cells.map(
                |((cell, &width), right)| {
                    if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                },
            );
            text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_cannot_move_the_cursor() {
        let mut table = Table::new(&["GROUP"]);
        table.row(["a\x1b[2J\nb\u{9b}é".to_owned()]);
        assert_eq!(table.show(), "GROUP\na\\u{1b}[2J\\nb\\u{9b}é\n");
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let mut table = Table::new(&["TOPIC", ">PARTITIONS", "NOTE"]);
        table.row(["trades".to_owned(), "12".to_owned(), String::new()]);
        table.row(["q".to_owned(), "1".to_owned(), "für später".to_owned()]);
        let lines = ["TOPIC   PARTITIONS  NOTE", "trades          12", "q                1  für später", ""];
        assert_eq!(table.show(), lines.join("\n"));
    }
}
