//! A `driver.toml` within a component: a place of fixed size in its data, so that another file can be
//! put there without a compiler. A component has no file that it could read, and its `describe` takes
//! no argument; what it says of itself has to stand in it.
//!
//! Invariant: marks and filling are comments and blank lines of TOML, so the whole place is one.

/// Stands before the text. Nowhere else in a component, or nobody could tell where the place is.
pub const BEGIN: &[u8] = b"\n#polymeter: here begins the driver.toml of this component\n";
/// Stands behind the filling.
pub const END: &[u8] = b"\n#polymeter: here ends the driver.toml of this component\n";
/// The most that a `driver.toml` may have, filling included.
pub const EMBEDDED_BYTES: usize = 32 * 1024;

const PLACE: usize = BEGIN.len().saturating_add(EMBEDDED_BYTES).saturating_add(END.len());

/// The place, as a driver keeps it: `static FACE: Embedded = Embedded::new(include_bytes!(..))`.
#[derive(Debug)]
pub struct Embedded([u8; PLACE]);

impl Embedded {
    /// With `text` in it.
    ///
    /// # Panics
    ///
    /// While compiling, if the text has more than [`EMBEDDED_BYTES`].
    #[allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        reason = "what is wrong here is seen while compiling"
    )]
    pub const fn new(text: &[u8]) -> Self {
        assert!(text.len() <= EMBEDDED_BYTES, "this driver.toml is too large");
        let mut place = [b'\n'; PLACE];
        let mut at = 0;
        while at < BEGIN.len() {
            place[at] = BEGIN[at];
            at += 1;
        }
        let mut at = 0;
        while at < text.len() {
            place[BEGIN.len() + at] = text[at];
            at += 1;
        }
        let mut at = 0;
        while at < END.len() {
            place[BEGIN.len() + EMBEDDED_BYTES + at] = END[at];
            at += 1;
        }
        Self(place)
    }

    /// What stands there when this is called, which need not be what the compiler saw.
    pub fn text(&'static self) -> &'static [u8] {
        std::hint::black_box(&self.0)
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says so by failing")]
mod tests {
    use super::*;

    static PLACE_OF_TEXT: Embedded = Embedded::new(b"name = \"x\"");

    #[test]
    fn the_place_is_toml_with_its_text_between_marks() {
        let bytes = PLACE_OF_TEXT.text();
        assert!(bytes.starts_with(BEGIN) && bytes.ends_with(END));
        let table: toml::Table = std::str::from_utf8(bytes).unwrap().parse().expect("TOML");
        assert_eq!(table.len(), 1);
        assert_eq!(table.get("name").and_then(|it| it.as_str()), Some("x"));
    }
}
