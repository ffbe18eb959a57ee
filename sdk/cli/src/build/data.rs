//! A driver without code: its `driver.toml` put into another driver's component, in the place of that
//! one's own (ADR 0034). The licences of what the component contains go along where it comes in a
//! package.
//!
//! Invariant: not a byte of the component changes but those of the place, so it imports and does what
//! it did. Not here: what the file may say, which the component itself reads and checks.

use super::{LICENCES, Project};
use anyhow::{Context, Result, bail, ensure};
use polymeter_modbus::{BEGIN, EMBEDDED_BYTES, END};
use polymeter_package::{EXTENSION, Sealed};
use std::path::Path;

pub fn build(project: &Project, face: &Path) -> Result<Vec<u8>> {
    let Some(base) = &project.wanted.build.base else {
        bail!(
            "{}: [build] has no base: name the component or package that this file is for, e.g. \
             base = \"modbus-generic.{EXTENSION}\"",
            face.display()
        );
    };
    let base = project.folder.join(base);
    let component = component_of(project, &base)?;
    let text = std::fs::read(face).with_context(|| format!("reading {}", face.display()))?;
    put(component, &text)
        .with_context(|| format!("putting {} into {}", face.display(), base.display()))
}

fn component_of(project: &Project, base: &Path) -> Result<Vec<u8>> {
    let here = || format!("reading {}", base.display());
    if base.extension().is_none_or(|extension| extension != EXTENSION) {
        return std::fs::read(base).with_context(here);
    }
    // Whoever builds chose the file, as with any source; who may run it is judged by the new signature.
    let package = Sealed::read_file(base)?.open_unchecked()?;
    for licence in &package.licences {
        let file = Path::new(LICENCES).file_name().context("a folder of licences")?;
        project.scratch_file(
            &Path::new(file).join(&licence.name).display().to_string(),
            licence.text.as_bytes(),
        )?;
    }
    Ok(package.component)
}

/// `component` with `text` in its place for a `driver.toml`.
fn put(mut component: Vec<u8>, text: &[u8]) -> Result<Vec<u8>> {
    ensure!(
        text.len() <= EMBEDDED_BYTES,
        "it has {} bytes, and there is place for {EMBEDDED_BYTES}",
        text.len()
    );
    let found: Vec<usize> = component
        .windows(BEGIN.len())
        .enumerate()
        .filter(|(_, window)| *window == BEGIN)
        .map(|(at, _)| at)
        .collect();
    let [begin] = found.as_slice() else {
        bail!(
            "the component has {} places for a driver.toml, not one: is it a driver for instruments?",
            found.len()
        );
    };
    let start = begin + BEGIN.len();
    let place = component.get_mut(start..start + EMBEDDED_BYTES + END.len());
    let Some((place, end)) = place.and_then(|place| place.split_at_mut_checked(EMBEDDED_BYTES))
    else {
        bail!("the component ends within its place for a driver.toml");
    };
    ensure!(end == END, "the component's place for a driver.toml has another size");
    place.fill(b'\n');
    place[..text.len()].copy_from_slice(text);
    Ok(component)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(places: usize) -> Vec<u8> {
        let place = [BEGIN, &[b' '; EMBEDDED_BYTES], END].concat();
        [b"before".to_vec(), place.repeat(places), b"behind".to_vec()].concat()
    }

    #[test]
    fn the_place_is_filled_and_nothing_else_changes() {
        let made = put(component(1), b"name = \"x\"\n").expect("one place");
        let mut expected = component(1);
        let start = b"before".len() + BEGIN.len();
        expected[start..start + EMBEDDED_BYTES].fill(b'\n');
        expected[start..start + 11].copy_from_slice(b"name = \"x\"\n");
        assert_eq!(made, expected);
    }

    #[test]
    fn what_has_no_such_place_is_refused() {
        let check = |component: Vec<u8>, text: &[u8], sentence: &str| {
            let error = put(component, text).expect_err("refused").to_string();
            assert!(error.contains(sentence), "{error}");
        };
        check(component(0), b"", "has 0 places for a driver.toml");
        check(component(2), b"", "has 2 places");
        check(component(1), &vec![b'x'; EMBEDDED_BYTES + 1], "there is place for 32768");
        let mut cut = component(1);
        cut.truncate(EMBEDDED_BYTES);
        check(cut, b"", "ends within its place");
        let mut other = component(1);
        let end = other.len() - b"behind".len() - 1;
        other[end] = b'?';
        check(other, b"", "has another size");
    }
}
