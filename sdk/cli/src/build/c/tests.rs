//! Driver projects in C that do and do not build. They need Debian's packages, which
//! `cargo xtask test` installs.

use crate::build;
use std::path::Path;

const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vendor-examples/acme-c");

/// The example with `more` as one further source file, built.
fn built(more: &str) -> Result<Vec<u8>, String> {
    let mut sources = vec![("more.c".to_owned(), more.to_owned())];
    for entry in std::fs::read_dir(Path::new(EXAMPLE).join("src")).expect("the example") {
        let path = entry.expect("the example").path();
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        sources.push((name, std::fs::read_to_string(&path).expect("the example")));
    }
    built_of("", &sources)
}

/// A project with the example's `driver.toml`, further lines in its `[build]`, and these sources.
fn built_of(options: &str, sources: &[(String, String)]) -> Result<Vec<u8>, String> {
    let face = std::fs::read_to_string(Path::new(EXAMPLE).join("driver.toml")).expect("a file");
    built_as(&face.replace("[build]\n", &format!("[build]\n{options}\n")), sources)
}

fn built_as(face: &str, sources: &[(String, String)]) -> Result<Vec<u8>, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let project = folder.path();
    std::fs::create_dir(project.join("src")).expect("a folder");
    std::fs::write(project.join("driver.toml"), face).expect("a file");
    for (name, text) in sources {
        std::fs::write(project.join("src").join(name), text).expect("a file");
    }
    let out = build(project, &project.join("out")).map_err(|error| format!("{error:#}"))?;
    Ok(std::fs::read(out).expect("the component"))
}

fn check(more: &str, sentence: &str) {
    let error = built(more).expect_err("refused");
    assert!(error.contains(sentence), "{error}\n   expected {sentence}");
}

#[test]
fn the_example_becomes_a_small_component() {
    let component = built("").expect("builds");
    assert!(component.len() < 256 << 10, "{} bytes", component.len());
}

#[test]
fn libc_has_no_system() {
    let clock = "#include <time.h>\n#include \"polymeter.h\"\n__attribute__((used, \
                 export_name(\"now\"))) long now(void) { return (long)time(NULL); }\n";
    check(clock, "needs clock_time_get of the system, and a driver has no system");
}

#[test]
fn mistakes_are_the_compilers_own_words() {
    check("int wrong( {\n", "more.c:1");
    check("int unused(void) { int nobody; return 0; }\n", "unused variable 'nobody'");
    let twice = "#include \"polymeter.h\"\nvoid pm_set(pm_string *out, const char *text) {}\n";
    check(twice, "duplicate symbol: pm_set");
}

fn exports(component: &[u8]) -> Vec<String> {
    let decoded = wit_component::decode(component).expect("a component");
    let wit_component::DecodedWasm::Component(resolve, world) = decoded else {
        panic!("a WIT package is no component")
    };
    let keys = resolve.worlds[world].exports.keys();
    keys.map(|key| resolve.name_world_key(key)).collect()
}

/// A driver of cards is one by its one ability; what it does not use it does not import.
#[test]
fn a_driver_of_cards_has_no_meter() {
    let face = "name = \"x\"\nversion = \"0.1.0\"\ncontract = \"1.1.0\"\nmodels = []\n\
        imports = [\"card-slot\"]\nproof = \"none\"\npurse = \"none\"\n\
        [build]\nlanguage = \"c\"\nabilities = [\"card\"]\n\
        [[vendor]]\ncode = \"X\"\nname-en = \"X\"\nname-zh = \"X\"\n";
    let mut text = "#include \"polymeter.h\"\n\
        void exports_polymeter_driver_info_describe(exports_polymeter_driver_info_description_t *r) {}\n\
        bool exports_polymeter_driver_card_identify(pm_call *c, \
        exports_polymeter_driver_card_option_identity_t *r, pm_error *e) \
        { polymeter_driver_card_slot_inserted_card_t card; polymeter_driver_card_slot_slot_error_t no; \
        r->is_some = polymeter_driver_card_slot_inserted(&card, &no); return true; }\n\
        bool exports_polymeter_driver_card_check(pm_call *c, \
        exports_polymeter_driver_card_contents_t *r, pm_error *e) \
        { return pm_fail(e, PM_UNSUPPORTED, \"no\"); }\n\
        bool exports_polymeter_driver_card_clear(pm_call *c, pm_sell_outcome *r, pm_error *e) \
        { return pm_fail(e, PM_UNSUPPORTED, \"no\"); }\n"
        .to_owned();
    for act in ["open", "sell", "replace", "take_back", "make"] {
        text += &format!(
            "bool exports_polymeter_driver_card_{act}(pm_call *c, \
             exports_polymeter_driver_card_order_t *o, pm_sell_outcome *r, pm_error *e) \
             {{ return pm_fail(e, PM_UNSUPPORTED, \"no\"); }}\n"
        );
    }
    let component = built_as(face, &[("card.c".to_owned(), text)]).expect("builds");
    let named = ["info", "card"].map(|name| format!("polymeter:driver/{name}@1.1.0"));
    assert_eq!(exports(&component), named);
}

#[test]
fn a_driver_exports_the_abilities_that_it_names() {
    let named = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| format!("polymeter:driver/{name}@1.0.0")).collect()
    };
    let all = ["info", "meter", "purse", "supply", "settings", "frames"];
    assert_eq!(exports(&built("").expect("builds")), named(&all));

    let few = "#include \"polymeter.h\"\n\
        void exports_polymeter_driver_info_describe(exports_polymeter_driver_info_description_t *r) \
        { pm_bytes b = {0}, m; pm_value v; polymeter_driver_vault_key_t k = {0}; (void)v;\n\
        polymeter_driver_vault_mac(&k, 2, &b, &b, &m, (void *)&v); }\n\
        bool exports_polymeter_driver_meter_probe(pm_call *c, \
        exports_polymeter_driver_meter_identity_t *r, pm_error *e) \
        { polymeter_driver_line_send(0, 0); return pm_fail(e, PM_UNSUPPORTED, \"no\"); }\n\
        bool exports_polymeter_driver_meter_read(pm_call *c, \
        exports_polymeter_driver_meter_snapshot_t *r, pm_error *e) \
        { return pm_fail(e, PM_UNSUPPORTED, \"no\"); }\n";
    let sources = [("few.c".to_owned(), few.to_owned())];
    let component = built_of("abilities = []", &sources).expect("builds");
    assert_eq!(exports(&component), named(&all[..2]));
    let error = built_of("", &sources).expect_err("the others are missing");
    assert!(error.contains("a verb of the contract is missing"), "{error}");
    let error = built_of("abilities = [\"purses\"]", &sources).expect_err("refused");
    assert!(error.contains("there is no `purses`; there are: purse, supply"), "{error}");
}
