//! The statements of one whole sale as the program sends them to PostgreSQL, and a script of pgbench's
//! that sends the same again and again.
//!
//! The server logs them; what a sale makes anew (its ids, the next numbers of ledger and trail) becomes a
//! variable, everything else stays as it was. So the script follows the program by itself. Not here: running
//! it (pgbench).

use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// One statement and its parameters; `None` is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pub text: String,
    pub parameters: Vec<Option<String>>,
}

/// Statements of a server's log (log_statement = all), in their order.
pub fn statements(log: &str) -> Result<Vec<Statement>> {
    let mut found: Vec<Statement> = Vec::new();
    for entry in entries(log) {
        if let Some((_, said)) = entry.split_once(" LOG:  ") {
            let text = match said.split_once(": ") {
                Some((how, text)) if how == "statement" || how.starts_with("execute ") => text,
                _ => continue,
            };
            found.push(Statement { text: text.to_owned(), parameters: Vec::new() });
        } else if let Some((_, list)) = entry.split_once(" DETAIL:  ")
            && let Some((_, list)) = list.split_once("arameters: ")
        {
            let last = found.last_mut().context("parameters of no statement")?;
            last.parameters = parameters(list)?;
        }
    }
    Ok(found)
}

/// Lines that begin with a tab go on the line before.
fn entries(log: &str) -> Vec<String> {
    let mut entries: Vec<String> = Vec::new();
    for line in log.lines() {
        match (line.strip_prefix('\t'), entries.last_mut()) {
            (Some(more), Some(entry)) => {
                entry.push('\n');
                entry.push_str(more);
            }
            _ => entries.push(line.to_owned()),
        }
    }
    entries
}

/// `$1 = 'it''s', $2 = NULL`
fn parameters(list: &str) -> Result<Vec<Option<String>>> {
    let mut found = Vec::new();
    let mut rest = list;
    loop {
        let head = format!("${} = ", found.len() + 1);
        rest = rest.strip_prefix(head.as_str()).with_context(|| format!("no {head}in {list}"))?;
        let (value, after) = match rest.strip_prefix('\'') {
            Some(quoted) => {
                let (value, after) = until_quote(quoted).context("a quote is not closed")?;
                (Some(value), after)
            }
            None => (None, rest.strip_prefix("NULL").context("neither a quote nor NULL")?),
        };
        found.push(value);
        match after.strip_prefix(", ") {
            Some(more) => rest = more,
            None => return Ok(found),
        }
    }
}

fn until_quote(text: &str) -> Option<(String, &str)> {
    let (mut value, mut rest) = (String::new(), text);
    loop {
        let at = rest.find('\'')?;
        value.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, rest)),
        }
    }
}

/// What stands for the ids of one sale, and the numbers that it takes.
#[derive(Debug, Default)]
struct Variables {
    ids: BTreeMap<String, String>,
    transfers: usize,
    audits: usize,
}

/// `before`: all that the server logged earlier; an id that was met there is no id of this sale.
pub fn script(before: &str, sale: &[Statement]) -> Result<String> {
    let known: BTreeSet<&str> = uuids(before).collect();
    let mut variables = Variables::default();
    let mut body = String::new();
    for statement in sale {
        let text = with_values(statement, &known, &mut variables);
        for part in text.split(';').map(str::trim).filter(|part| !part.is_empty()) {
            writeln!(body, "{part};")?;
        }
    }
    ensure!(variables.transfers > 0 && !variables.ids.is_empty(), "that was no sale: {sale:?}");
    let mut head = String::from("select ");
    for name in variables.ids.values() {
        write!(head, "gen_random_uuid()::text as {name}, ")?;
    }
    head.push_str("coalesce((select max(sequence) from transfer), 0) as transfer,\n");
    head.push_str("coalesce((select max(audit_id) from audit), 0) as audit \\gset\n");
    for nth in 1..=variables.transfers {
        writeln!(head, "\\set transfer{nth} :transfer + {nth}")?;
    }
    for nth in 1..=variables.audits {
        writeln!(head, "\\set audit{nth} :audit + {nth}")?;
    }
    Ok(format!("{head}{body}"))
}

fn with_values(statement: &Statement, known: &BTreeSet<&str>, variables: &mut Variables) -> String {
    let Statement { text, parameters } = statement;
    let mut values: Vec<String> =
        parameters.iter().map(|value| value_of(value.as_deref(), known, variables)).collect();
    // The first column of both is the next number.
    if let Some(first) = values.first_mut() {
        if text.starts_with("insert into transfer (sequence,") {
            variables.transfers += 1;
            *first = format!(":transfer{}", variables.transfers);
        } else if text.starts_with("insert into audit (audit_id,") {
            variables.audits += 1;
            *first = format!(":audit{}", variables.audits);
        }
    }
    let mut filled = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find('$') {
        filled.push_str(&rest[..at]);
        let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
        let number: Option<usize> = rest[at + 1..at + 1 + digits].parse().ok();
        match number.and_then(|number| values.get(number.checked_sub(1)?)) {
            Some(value) => filled.push_str(value),
            None => filled.push_str(&rest[at..=at + digits]),
        }
        rest = &rest[at + 1 + digits..];
    }
    filled.push_str(rest);
    filled
}

fn value_of(value: Option<&str>, known: &BTreeSet<&str>, variables: &mut Variables) -> String {
    let Some(value) = value else { return "null".to_owned() };
    if is_uuid(value) && !known.contains(value) {
        let next = format!("id{}", variables.ids.len() + 1);
        return format!(":{}", variables.ids.entry(value.to_owned()).or_insert(next));
    }
    literal(value)
}

/// pgbench takes `:name` for a variable even within quotes, and `;` for an end.
fn literal(value: &str) -> String {
    if !value.contains([':', '\\', ';', '$']) {
        return format!("'{}'", value.replace('\'', "''"));
    }
    let escaped = value.replace('\\', "\\\\").replace('\'', "''").replace(':', "\\x3a");
    format!("E'{}'", escaped.replace(';', "\\x3b").replace('$', "\\x24"))
}

fn uuids(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_hexdigit() && c != '-').filter(|word| is_uuid(word))
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2026-11-26 00:00:00.000 UTC [7] LOG:  checkpoint starting: time
2026-11-26 00:00:00.000 UTC [7] LOG:  statement: begin; savepoint job
2026-11-26 00:00:00.001 UTC [7] LOG:  execute sqlx_s_3: insert into transfer (sequence, transfer_id)
\tvalues ($1, $2)
2026-11-26 00:00:00.001 UTC [7] DETAIL:  parameters: $1 = '7', $2 = '0190a000-0000-7000-8000-000000000001'
2026-11-26 00:00:00.002 UTC [7] LOG:  execute <unnamed>: select $2, $10, $1
2026-11-26 00:00:00.002 UTC [7] DETAIL:  parameters: $1 = 'it''s 1:a', $2 = NULL
";

    #[test]
    fn a_log_becomes_statements() {
        let found = statements(LOG).expect("a log");
        let texts: Vec<_> = found.iter().map(|it| it.text.as_str()).collect();
        let insert = "insert into transfer (sequence, transfer_id)\nvalues ($1, $2)";
        assert_eq!(texts, ["begin; savepoint job", insert, "select $2, $10, $1"]);
        assert_eq!(found[1].parameters[0].as_deref(), Some("7"));
        assert_eq!(found[2].parameters, [Some("it's 1:a".to_owned()), None]);
        statements("x LOG:  execute a: b\nx DETAIL:  parameters: $1 = 'open").expect_err("cut off");
    }

    #[test]
    fn a_sale_becomes_a_script() {
        let sale = statements(LOG).expect("a log");
        let script = script("", &sale).expect("a sale");
        let body = "\\set transfer1 :transfer + 1
begin;
savepoint job;
insert into transfer (sequence, transfer_id)
values (:transfer1, :id1);
select null, $10, E'it''s 1\\x3aa';
";
        assert!(script.starts_with("select gen_random_uuid()::text as id1, "), "{script}");
        assert!(script.ends_with(body), "{script}");
        let met = "was 0190a000-0000-7000-8000-000000000001 before";
        super::script(met, &sale).expect_err("nothing in it is new");
    }
}
