//! How lists are asked for: a search word, where to go on, how many.

use crate::error::{Result, invalid};
use crate::limits::{DEFAULT_PAGE, MAX_PAGE};
use uuid::Uuid;

/// A page of a list: at most `limit` (1..=200, or 0 for the usual 50), after the id in `after`.
/// An id that is not in the list ends it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    pub query: Option<String>,
    pub after: Option<String>,
    pub limit: u32,
}

/// A page that was checked, as the queries bind it.
#[derive(Debug)]
pub(crate) struct Bound {
    /// A `like` pattern in lower case with `\` as its escape; matches everything where nothing was
    /// asked. To be compared with `lower(...)`, since engines differ in what `like` calls equal.
    pub pattern: String,
    pub after: Option<String>,
    pub limit: i64,
}

impl Page {
    pub(crate) fn bound(&self) -> Result<Bound> {
        let after = match &self.after {
            None => None,
            Some(text) => match Uuid::parse_str(text) {
                Ok(id) => Some(id.to_string()),
                Err(_) => return Err(invalid("after", format!("`{text}` is not an id"))),
            },
        };
        Ok(Bound { pattern: self.pattern(), after, limit: self.row_limit()? })
    }

    /// Of a list whose items are numbered: `after` is the number of one.
    pub(crate) fn after_number(&self) -> Result<Option<i64>> {
        let number = |text: &String| match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => Err(invalid("after", format!("`{text}` is not a number"))),
        };
        self.after.as_ref().map(number).transpose()
    }

    pub(crate) fn row_limit(&self) -> Result<i64> {
        match self.limit {
            0 => Ok(i64::from(DEFAULT_PAGE)),
            limit if limit <= MAX_PAGE => Ok(i64::from(limit)),
            limit => Err(invalid("limit", format!("{limit} is more than {MAX_PAGE}"))),
        }
    }

    pub(crate) fn pattern(&self) -> String {
        let mut pattern = String::from("%");
        for character in self.query.as_deref().unwrap_or_default().trim().chars() {
            if matches!(character, '%' | '_' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character.to_ascii_lowercase());
        }
        pattern.push('%');
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_kept_and_patterns_are_literal() {
        let page = |limit, query: &str| Page { query: Some(query.to_owned()), after: None, limit };
        for (limit, bound) in [(0, Some(50)), (1, Some(1)), (200, Some(200)), (201, None)] {
            assert_eq!(page(limit, "").bound().ok().map(|page| page.limit), bound);
        }
        for (query, pattern) in
            [("", "%%"), (" 王 ", "%王%"), (r"5%_\", r"%5\%\_\\%"), ("Ab", "%ab%")]
        {
            assert_eq!(page(1, query).bound().expect("a good page").pattern, pattern);
        }
        let lost = Page { after: Some("x".to_owned()), ..Page::default() };
        assert!(lost.bound().is_err());
    }
}
