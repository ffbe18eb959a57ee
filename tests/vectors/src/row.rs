//! One published row: its frame and what its source says of it.
//!
//! Not here: what any protocol makes of a row.

use serde_json::Value;
use std::fmt::Display;
use std::path::Path;

/// One line of a file of vectors.
#[derive(Debug, Clone)]
pub struct Row {
    /// From 1.
    pub number: usize,
    json: Value,
}

/// All rows of a file; an error names the file and the line.
pub fn rows(folder: &Path, file: &str) -> Result<Vec<Row>, String> {
    let text =
        std::fs::read_to_string(folder.join(file)).map_err(|why| format!("{file}: {why}"))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(index, line)| {
            let number = index + 1;
            let json = serde_json::from_str(line);
            json.map(|json| Row { number, json }).map_err(|why| format!("{file}:{number}: {why}"))
        })
        .collect()
}

impl Row {
    /// A row that stands in no file.
    pub fn of(number: usize, json: Value) -> Row {
        Row { number, json }
    }

    /// A field of the row; null where there is none.
    pub fn get(&self, name: &str) -> &Value {
        &self.json[name]
    }

    /// What the source says; null where it says nothing.
    pub fn expected(&self, name: &str) -> &Value {
        &self.json["expected"][name]
    }

    /// What whoever wrote the row down saw in the frame; null where there is none.
    pub fn derived(&self, name: &str) -> &Value {
        &self.json["derived"][name]
    }

    /// A field that is text; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }

    /// A field of hexadecimal digits as bytes.
    pub fn bytes(&self, name: &str) -> Result<Vec<u8>, String> {
        hex::decode(self.text(name)).map_err(|why| format!("{name}: {why}"))
    }
}

/// Collects the differences between what is published and what is ours.
#[derive(Debug, Default)]
pub struct Comparison {
    pub compared: usize,
    pub differences: Vec<String>,
    pub unread: Option<(&'static str, usize)>,
}

impl Comparison {
    /// A published text against ours. Null is nothing to compare with.
    pub fn same(&mut self, what: &str, published: &Value, ours: impl Display) {
        if published.is_null() {
            return;
        }
        self.compared += 1;
        let published = published.as_str().map_or_else(|| published.to_string(), str::to_owned);
        let ours = ours.to_string();
        if published != ours {
            self.differences.push(format!("{what}: published {published}, ours {ours}"));
        }
    }

    /// Both null, or both equal.
    pub fn both(&mut self, what: &str, published: &Value, ours: Option<impl Display>) {
        match ours {
            Some(ours) if published.is_null() => {
                self.compared += 1;
                self.differences.push(format!("{what}: published nothing, ours {ours}"));
            }
            Some(ours) => self.same(what, published, ours),
            None => self.same(what, published, "nothing"),
        }
    }

    /// The row was decoded.
    pub fn decoded(self) -> crate::Checked {
        let Comparison { compared, differences, unread } = self;
        crate::Checked::Decoded { compared, differences, unread }
    }
}
