//! Files that are made to do harm before a line of them runs.

use crate::Limits;
use crate::bench::{ample, component};
use crate::components::{
    config, contracted, laborious, refusal, runtime, starting, with_custom_section,
};

#[tokio::test]
async fn a_bomb_of_names_is_refused_before_it_is_compiled() {
    for section in ["name", "component-name"] {
        let bomb = with_custom_section(component(), section, &[b'x'; 1 << 20]);
        let error = refusal("bomb", ample(), &bomb).await;
        assert!(error.contains("bytes of names, over the limit name-bytes of 262144"), "{error}");
    }
    // In a module within, too, and summed over all of them.
    let module = "(core module (@custom \"name\" (before first) \"xxxxxxxxxx\"))";
    let many = wat::parse_str(format!("(component {})", module.repeat(5))).expect("a component");
    let error = refusal("bomb", Limits { name_bytes: 49, ..ample() }, &many).await;
    assert!(error.contains("has 50 bytes of names"), "{error}");
    // Another custom section is nothing but bytes of the file.
    let harmless = with_custom_section(component(), "producers-notes", &[b'x'; 1 << 20]);
    runtime().load(config("misbehaving", ample()), &harmless).await.expect("loads");
}

#[tokio::test]
async fn components_within_components_have_an_end() {
    let nested = |depth: usize| {
        let text = format!("(component {}{})", "(component ".repeat(depth), ")".repeat(depth));
        contracted(&wat::parse_str(text).expect("a component"))
    };
    let error = refusal("deep", ample(), &nested(17)).await;
    assert!(error.contains("more than 16 components within components"), "{error}");
    let error = refusal("deep", ample(), &nested(16)).await;
    assert!(error.contains("does not export"), "deep enough for anybody: {error}");
    let many = wat::parse_str(format!("(component {})", "(core module)".repeat(257)));
    let error = refusal("many", ample(), &many.expect("a component")).await;
    assert!(error.contains("more than 256 modules and components"), "{error}");
}

#[tokio::test]
async fn a_start_function_that_never_ends_does() {
    let endless = starting("(loop $again (br $again))");
    let error = refusal("endless", Limits { cpu_ticks: 3, ..ample() }, &endless).await;
    assert!(error.contains("limit cpu-ticks is spent (3 of 3 ticks of 10 ms)"), "{error}");
    let grow = "(loop $again (drop (memory.grow (i32.const 16))) (br $again))";
    let error = refusal("hoard", Limits { cpu_ticks: 3, ..ample() }, &starting(grow)).await;
    assert!(error.contains("is spent ("), "{error}");
    let table = "(drop (table.grow $table (ref.null func) (i32.const 30000))) unreachable";
    let error = refusal("hoard", ample(), &starting(table)).await;
    assert!(error.contains("limit table-elements is spent (1 of 20000 elements"), "{error}");
}

#[tokio::test]
async fn a_large_file_that_is_nothing_but_work_is_held_to_its_time() {
    // Within the default limits of a file, and done in no time by a compiler that is let be.
    let error = refusal("work", ample(), &laborious(1 << 20)).await;
    assert!(error.contains("does not export polymeter:driver/info@1.0.0"), "{error}");
}
