//! A new driver project: the finished example of its language or for cards, under its own name.
//!
//! Invariant: what is written builds and tests as it is, and certifies where it is for meters. Not here: the example itself, which
//! lies in `vendor-examples/` and is put into this program by `build.rs`.

use crate::project::Language;
use anyhow::{Context, Result, bail, ensure};
use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/examples.rs"));

/// What a project begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Example {
    /// A driver of meters.
    Meters(Language),
    /// A driver of cards, in Rust.
    Cards,
}

impl Example {
    /// That of cards, or that of meters in a language. Without one it is in Rust.
    pub fn of(cards: bool, language: Option<Language>) -> Result<Example> {
        match (cards, language) {
            (false, language) => Ok(Example::Meters(language.unwrap_or(Language::Rust))),
            (true, None | Some(Language::Rust)) => Ok(Example::Cards),
            (true, Some(other)) => bail!(
                "--cards is there in Rust alone, not in {0}: leave out --lang {0}, or begin with a \
                 driver of meters in {0} and \"Cards\" in docs/writing-a-driver.md",
                other.name()
            ),
        }
    }

    /// Of the folder below `vendor-examples/`, behind `acme-`.
    fn name(self) -> &'static str {
        match self {
            Example::Meters(language) => language.name(),
            Example::Cards => "card",
        }
    }

    fn language(self) -> Language {
        match self {
            Example::Meters(language) => language,
            Example::Cards => Language::Rust,
        }
    }
}

/// Names as they stand in the example, with what they become.
struct Names {
    /// The example's folder and, but for Rust, its name: `acme-c`.
    example: String,
    name: String,
    /// As a part of Rust's paths.
    ident: String,
    /// As a type.
    camel: String,
    vendor: String,
    sdk: String,
}

/// Writes the project `name` into a folder of that name below `parent`. `sdk` is the SDK's folder;
/// without it, the one that this program was built from.
pub fn new(parent: &Path, name: &str, example: Example, sdk: Option<&Path>) -> Result<PathBuf> {
    let names = Names::new(name, example, &sdk_folder(sdk)?)?;
    let root = parent.join(name);
    ensure!(
        !root.exists(),
        "{} is there already: choose another name, or remove it",
        root.display()
    );
    let files = FILES.iter().filter(|(of, ..)| *of == example.name());
    let mut written = 0;
    for (_, path, bytes) in files {
        let place = root.join(names.put_into(path));
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("creating {}", folder.display()))?;
        }
        let content = match std::str::from_utf8(bytes) {
            Ok(text) => names.put_into(text).into_bytes(),
            Err(_) => bytes.to_vec(),
        };
        std::fs::write(&place, content).with_context(|| format!("writing {}", place.display()))?;
        written += 1;
    }
    ensure!(
        written > 0,
        "this polymeter-sdk was built without the example acme-{}",
        example.name()
    );
    if example.language() == Language::Rust {
        lock(Path::new(&names.sdk), &root)?;
    }
    Ok(root)
}

/// The versions that the SDK itself was tested with; cargo drops from it what is not needed.
fn lock(sdk: &Path, root: &Path) -> Result<()> {
    let lock = sdk.join("../Cargo.lock");
    if !lock.exists() {
        return Ok(());
    }
    let place = root.join("Cargo.lock");
    std::fs::copy(&lock, &place).with_context(|| format!("writing {}", place.display()))?;
    Ok(())
}

fn sdk_folder(given: Option<&Path>) -> Result<PathBuf> {
    let folder =
        given.map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), Path::to_path_buf);
    let folder = folder.canonicalize().with_context(|| {
        format!("the SDK is not at {}: say where it is with --sdk FOLDER", folder.display())
    })?;
    ensure!(
        folder.join("driver/Cargo.toml").is_file(),
        "{} has no driver/Cargo.toml: --sdk is the folder `sdk` of Polymeter",
        folder.display()
    );
    Ok(folder)
}

impl Names {
    fn new(name: &str, example: Example, sdk: &Path) -> Result<Names> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let starts = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        ensure!(
            starts && name.len() <= 16 && name.bytes().all(fits) && !name.ends_with('-'),
            "`{name}` is no name for a driver: 1 to 16 small letters, digits and `-`, a letter first"
        );
        let camel = name.split('-').map(|part| {
            let (first, rest) = part.split_at(part.len().min(1));
            first.to_uppercase() + rest
        });
        Ok(Names {
            example: format!("acme-{}", example.name()),
            name: name.to_owned(),
            ident: name.replace('-', "_"),
            camel: camel.collect(),
            vendor: name.to_uppercase(),
            sdk: sdk.display().to_string(),
        })
    }

    /// The example's own names give way to these, each where it stands: what was put in is not looked
    /// at again, for a name or a path may have `acme` in it too.
    fn put_into(&self, text: &str) -> String {
        let words = [
            ("../../sdk/", format!("{}/", self.sdk)),
            ("../../wit/", format!("{}/../wit/", self.sdk)),
            (self.example.as_str(), self.name.clone()),
            ("acme::", format!("{}::", self.ident)),
            ("ACME", self.vendor.clone()),
            ("Acme", self.camel.clone()),
            ("acme", self.name.clone()),
        ];
        let mut written = String::new();
        let mut rest = text;
        while let Some(next) = rest.chars().next() {
            match words.iter().find(|(old, _)| rest.starts_with(old)) {
                Some((old, new)) => {
                    written.push_str(new);
                    rest = rest.strip_prefix(old).unwrap_or_default();
                }
                None => {
                    written.push(next);
                    rest = rest.strip_prefix(next).unwrap_or_default();
                }
            }
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(name: &str) -> Result<Names> {
        Names::new(name, Example::Meters(Language::C), Path::new("/sdk"))
    }

    #[test]
    fn the_examples_names_give_way() {
        let names = names("north-star2").expect("a good name");
        for (example, written) in [
            ("use acme::Acme;", "use north_star2::NorthStar2;"),
            ("vendor_code: \"ACME\"", "vendor_code: \"NORTH-STAR2\""),
            ("name = \"acme\"", "name = \"north-star2\""),
            ("name = \"acme-c\"", "name = \"north-star2\""),
            ("path = \"../../sdk/driver\"", "path = \"/sdk/driver\""),
        ] {
            assert_eq!(names.put_into(example), written);
        }
        let c = Example::Meters(Language::C);
        let names = Names::new("acmec", c, Path::new("/home/acme/sdk")).expect("good");
        assert_eq!(names.put_into("name = \"acme-c\""), "name = \"acmec\"");
        assert_eq!(names.put_into("acme, ../../sdk/driver"), "acmec, /home/acme/sdk/driver");
    }

    #[test]
    fn a_bad_name_is_refused() {
        for name in ["", "1st", "Acme", "a b", "a/b", "..", "a-", "abcdefghijklmnopq"] {
            assert!(names(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_project_is_written_once_and_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let rust = Example::Meters(Language::Rust);
        let root = new(folder.path(), "north", rust, None).expect("written");
        let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file");
        assert!(read("Cargo.toml").contains("name = \"north\""));
        assert!(read("driver.toml").contains("code = \"NORTH\""));
        assert!(root.join("examples/simulator.rs").is_file());
        for ending in ["ok", "refused", "broken"] {
            let folder = root.join("transcripts").join(ending);
            assert!(folder.read_dir().expect("a folder").next().is_some(), "{ending}");
        }
        let again = new(folder.path(), "north", rust, None);
        let error = again.expect_err("it is there");
        assert!(error.to_string().contains("is there already"), "{error}");
    }

    #[test]
    fn a_project_for_cards_is_in_rust_and_nothing_of_the_example_is_left() {
        for language in [None, Some(Language::Rust)] {
            assert_eq!(Example::of(true, language).expect("cards"), Example::Cards);
        }
        for language in [Language::C, Language::Python] {
            let error = Example::of(true, Some(language)).expect_err("there is none").to_string();
            let wanted = format!("leave out --lang {}", language.name());
            assert!(error.contains(&wanted), "{error}");
            assert_eq!(Example::of(false, Some(language)).ok(), Some(Example::Meters(language)));
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let root = new(folder.path(), "tide", Example::Cards, None).expect("written");
        let mut left = vec![root.clone()];
        let mut files = 0;
        while let Some(path) = left.pop() {
            if path.is_dir() {
                let entries = path.read_dir().expect("a folder");
                left.extend(entries.map(|entry| entry.expect("an entry").path()));
            } else if path.file_name() != Some("Cargo.lock".as_ref()) {
                let text = std::fs::read_to_string(&path).expect("a text");
                assert!(!text.to_lowercase().contains("acme"), "{}", path.display());
                files += 1;
            }
        }
        assert!(files > 30, "{files} files");
        let read = |path: &str| std::fs::read_to_string(root.join(path)).expect("a file");
        assert!(read("src/lib.rs").contains("const VENDOR: &'static str = \"TIDE\";"));
        assert!(read("transcripts/ok/identify-user.transcript").contains("vendor=TIDE"));
    }
}
