//! A package whose component is not what its `driver.toml` says is refused, and told which.

use super::bench::{ample, component, config, runtime};
use crate::{Cover, Driver, DriverConfig, Knob, Limits, LoadError};
use polymeter_domain::{Value, VendorCode};
use polymeter_package::{Package, Parts, Sealed};
use std::sync::Arc;

pub(crate) const MANIFEST: &str = r#"name = "misbehaving"
version = "0.1.0"
contract = "1.1.0"
models = ["any"]
imports = ["line", "log", "vault"]
proof = "purchase-count"
purse = "money"
[[vendor]]
code = "MISBEHAVING"
name-en = "Nobody"
name-zh = "无"
"#;

fn package(manifest: &str) -> Package {
    let parts = Parts {
        manifest: manifest.to_owned(),
        component: component().to_vec(),
        ..Parts::default()
    };
    let sealed = Sealed::pack("misbehaving.pmdriver", parts).expect("packs");
    sealed.open_unchecked().expect("opens")
}

async fn load(manifest: &str) -> Result<(), LoadError> {
    runtime().load_package(config(ample()), &package(manifest)).await.map(drop)
}

/// The good file with `from` replaced by `to`.
async fn check(from: &str, to: &str, what: &str) {
    assert!(MANIFEST.contains(from), "{from}");
    let error = load(&MANIFEST.replace(from, to)).await.expect_err(what).to_string();
    let sentence = format!(
        "driver misbehaving is not what its driver.toml says: {what}; build and pack both from one \
         source"
    );
    assert_eq!(error, sentence);
}

#[tokio::test]
async fn a_component_is_held_to_its_manifest() {
    load(MANIFEST).await.expect("it is as it says");
    check(
        r#", "vault"]"#,
        "]",
        "the component imports polymeter:driver/vault@1.1.0, its imports do not name that",
    )
    .await;
    check(
        r#""vault"]"#,
        r#""vault", "card-slot"]"#,
        "its imports name polymeter:driver/card-slot@1.1.0, the component does not import that",
    )
    .await;
    check(
        r#"contract = "1.1.0""#,
        r#"contract = "1.0.0""#,
        "the component imports polymeter:driver/line@1.1.0, its imports do not name that",
    )
    .await;
    check("0.1.0", "0.1.1", "its version is 0.1.1, the component says 0.1.0").await;
    check("\"any\"", "\"M1\"", "its models is [\"M1\"], the component says [\"any\"]").await;
    check(
        "purchase-count",
        "purchase-list",
        "its proof is purchase-list, the component says purchase-count",
    )
    .await;
    check("\"money\"", "\"none\"", "its purse is None, the component says Some(Money)").await;
    let with_parameter = format!(
        "{MANIFEST}[parameters.x]\ntype = \"string\"\ntitle-en = \"X\"\ntitle-zh = \"X\"\n"
    );
    let error = load(&with_parameter).await.expect_err("more parameters").to_string();
    assert!(error.contains("its list of parameters is x, the component says ;"), "{error}");
}

/// A vendor beside the one that the component says it is of.
const SECOND: &str = "[[vendor]]\ncode = \"SECOND\"\nname-en = \"Second\"\nname-zh = \"二\"\n";

async fn load_for(vendor: &str, manifest: &str) -> Result<Arc<Driver>, LoadError> {
    let vendor = VendorCode::new(vendor).ok();
    runtime().load_package(DriverConfig { vendor, ..config(ample()) }, &package(manifest)).await
}

#[tokio::test]
async fn a_driver_for_several_vendors_serves_the_configured_one() {
    let both = format!("{MANIFEST}{SECOND}");
    for configured in ["MISBEHAVING", "SECOND"] {
        let driver = load_for(configured, &both).await.expect("one of its vendors");
        assert_eq!(driver.vendor().as_str(), configured);
        assert_eq!(driver.description().vendor_code.as_str(), "MISBEHAVING");
    }
    let error = load_for("THIRD", &both).await.expect_err("not one of its vendors");
    assert_eq!(
        error.to_string(),
        "driver misbehaving is for MISBEHAVING or SECOND, its [[driver]] entry says vendor = \
         \"THIRD\": correct one of them"
    );
    let other = MANIFEST.replace("\"MISBEHAVING\"", "\"SECOND\"");
    let error = load_for("SECOND", &other).await.expect_err("it says that it is another's");
    assert!(
        error.to_string().contains("its vendor is SECOND, the component says MISBEHAVING;"),
        "{error}"
    );
}

/// A vendor that the package does not name is served where the configuration says whose devices its
/// own are like, by a dialect of parameters that the driver has.
#[tokio::test]
async fn a_cover_serves_a_vendor_of_its_own() {
    let load = async |of: &str, dialect: &[(&str, Value)]| {
        let dialect = dialect.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let cover = Cover { of: VendorCode::new(of).expect("a code"), dialect: dialect.collect() };
        let vendor = VendorCode::new("THIRD").ok();
        let config = DriverConfig { vendor, cover: Some(cover), ..config(ample()) };
        runtime().load_package(config, &package(MANIFEST)).await
    };
    let driver = load("MISBEHAVING", &[]).await.expect("its package is for that vendor");
    assert_eq!(driver.vendor().as_str(), "THIRD");
    let error = load("SECOND", &[]).await.expect_err("its package is for no such vendor");
    assert!(error.to_string().contains("is for MISBEHAVING"), "{error}");
    let error = load("MISBEHAVING", &[("wake-up", Value::Flag(true))]).await;
    let error = error.expect_err("no such parameter").to_string();
    assert!(
        error.contains("dialect of its vendor cannot be used: wake-up is no parameter"),
        "{error}"
    );
}

/// What became of a driver whose package wants `wanted` and whose configuration is `written`.
async fn limits(written: &[(Knob, u64)], wanted: &str) -> Result<Limits, String> {
    let mut config = config(ample());
    for (knob, value) in written {
        config.limits.set(*knob, *value).expect("in range");
        config.written.insert(*knob);
    }
    let manifest = format!("{MANIFEST}[limits]\n{wanted}");
    let loaded = runtime().load_package(config, &package(&manifest)).await;
    loaded.map(|driver| driver.limits().clone()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn what_a_package_wants_is_held_to_what_the_admin_wrote() {
    let given = limits(&[], "exchanges = 7").await.expect("less than the default");
    assert_eq!(given, Limits { exchanges: 7, ..ample() });
    let more = limits(&[], "exchanges = 65").await.expect_err("more than the default");
    assert_eq!(
        more,
        "driver misbehaving wants more than the host gives by default: exchanges = 65 (default \
         64); if you agree, add this line to [[driver]] misbehaving: limits = { exchanges = 65 }"
    );
    let agreed = limits(&[(Knob::Exchanges, 65)], "exchanges = 65").await.expect("agreed to");
    assert_eq!(agreed.exchanges, 65);
    let less = limits(&[(Knob::Exchanges, 3)], "exchanges = 65").await.expect("less than wanted");
    assert_eq!(less.exchanges, 3);
    // It is held to its own size before anything is compiled, whichever of them said it.
    for (written, wanted) in [(vec![], "component-bytes = 9"), (vec![9], "component-bytes = 10")] {
        let written: Vec<_> = written.into_iter().map(|it| (Knob::ComponentBytes, it)).collect();
        let large = limits(&written, wanted).await.expect_err("larger than that");
        assert!(large.contains("over the limit component-bytes of 9:"), "{large}");
    }
    let unknown = limits(&[], "colour = 9").await.expect_err("no such limit");
    assert!(unknown.contains("`colour`, which this host does not have"), "{unknown}");
}
