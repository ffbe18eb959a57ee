//! A package whose component is not what its `driver.toml` says is refused, and told which.

use super::bench::{ample, component, config, runtime};
use crate::LoadError;
use polymeter_package::{Package, Parts, Sealed};

pub(super) const MANIFEST: &str = r#"name = "misbehaving"
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
