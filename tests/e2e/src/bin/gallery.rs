//! `cargo xtask gallery`: plays the hostile gallery, prints its table, and ends non-zero where a row
//! does not hold or docs/security.md says something else.

use e2e::gallery;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let write = std::env::args().any(|argument| argument == "--write");
    let rows = gallery::run().await?;
    let table = gallery::table(&rows);
    print!("{table}");
    gallery::verdict(&rows)?;
    gallery::page(&table, write)
}
