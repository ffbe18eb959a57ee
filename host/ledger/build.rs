//! Rebuilds the crate when a migration is added or changed: `sqlx::migrate!` embeds the folders, and
//! cargo does not see a new file in them by itself.

fn main() {
    println!("cargo:rerun-if-changed=../migrations/sqlite");
    println!("cargo:rerun-if-changed=../migrations/postgres");
}
