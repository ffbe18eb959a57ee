//! The blocks of a page of the documents, so that tests do what people read there.
//!
//! Not here: what is done with them.

/// Every block in this language below the heading, up to the next heading of its rank or a higher one, each
/// with its lines. The heading is written as on the page: `## In Rust`.
pub fn blocks(page: &str, heading: &str, language: &str) -> Vec<String> {
    let rank = |line: &str| line.split_once("# ").map(|(before, _)| before.len());
    let mut blocks = Vec::new();
    let mut is_here = false;
    // What the block that is open is in.
    let mut inside: Option<&str> = None;
    for line in page.lines() {
        match (inside, line.strip_prefix("```")) {
            (Some(_), Some(_)) => inside = None,
            (None, Some(language)) => inside = Some(language),
            _ => {}
        }
        if inside.is_none() && line.starts_with('#') {
            is_here = line == heading || (is_here && rank(line) > rank(heading));
        } else if is_here && inside == Some(language) {
            if line.starts_with("```") {
                blocks.push(String::new());
            } else if let Some(block) = blocks.last_mut() {
                *block += line;
                block.push('\n');
            }
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_found_where_they_stand() {
        let page = "## In Rust\n```sh\na\n# no heading\n```\n```text\nb\n```\n### More\n```sh\nd\ne\n```\n\
                    ## In C\n```sh\nc\n```\n";
        assert_eq!(blocks(page, "## In Rust", "sh"), ["a\n# no heading\n", "d\ne\n"]);
        assert_eq!(blocks(page, "### More", "sh"), ["d\ne\n"]);
        assert_eq!(blocks(page, "## In Rust", "text"), ["b\n"]);
        assert_eq!(blocks(page, "## In C", "sh"), ["c\n"]);
        assert_eq!(blocks(page, "## In Go", "sh"), Vec::<String>::new());
    }
}
