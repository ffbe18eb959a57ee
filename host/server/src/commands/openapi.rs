//! `openapi`: the API's document on standard output.

use super::Failure;

pub fn run() -> Result<(), Failure> {
    let text = crate::api::document()
        .to_pretty_json()
        .map_err(Failure::while_doing("writing the document"))?;
    println!("{text}");
    Ok(())
}
