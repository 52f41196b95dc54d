//! A table that is not of legs: rows of cells, in Markdown and as JSON.

use serde_json::{Value, json};

/// Rows under a head.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    title: &'static str,
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(title: &'static str, head: &[&'static str]) -> Self {
        Self { title, head: head.to_vec(), rows: Vec::new() }
    }

    /// Adds a row, and shows it to who waits.
    pub(crate) fn add(&mut self, row: Vec<String>) {
        debug_assert_eq!(row.len(), self.head.len());
        let named = self.head.iter().zip(&row).map(|(head, cell)| format!("{head}: {cell}"));
        eprintln!("{}: {}", self.title, named.collect::<Vec<_>>().join(", "));
        self.rows.push(row);
    }

    pub(crate) fn print(&self) {
        println!("\n### {}\n\n| {} |", self.title, self.head.join(" | "));
        println!("|{}", "---|".repeat(self.head.len()));
        self.rows.iter().for_each(|row| println!("| {} |", row.join(" | ")));
    }

    pub(crate) fn json(&self) -> Value {
        json!({ "title": self.title, "head": self.head, "rows": self.rows })
    }
}
