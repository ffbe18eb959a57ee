//! What `cargo xtask` does. CI runs the same commands as a developer.
//!
//! Not here: anything that the product itself does (`polymeter`), or that a vendor needs
//! (`polymeter-sdk`).

pub mod contract;
pub mod drivers;
pub mod examples;
pub mod floors;
pub mod native;
pub mod postgres;
pub mod set_up;
pub mod tidy;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;
use virtual_reader::Pcscd;

/// Everything at once: cargo chooses features by what is built together, so a build of one package
/// would compile the engine a second time. It also makes the programs that the end-to-end tests run.
const BUILD_ALL: &[&str] = &["build", "--workspace", "--all-targets"];

/// Where the vendor's example in Rust is built, by the tests of the tutorial too.
const VENDOR_TARGET: &str = "target/vendor";

/// The workspace's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the workspace is there")
}

/// Runs the product's own demo on the drivers of this tree.
pub fn demo(arguments: &[String]) -> Result<()> {
    let root = root();
    set_up::wasm_target()?;
    set_up::npm()?;
    drivers::build_all(&root)?;
    cargo(BUILD_ALL)?;
    let mut demo = Command::new(root.join("target/debug/polymeter"));
    demo.arg("demo").arg("--drivers").arg(root.join(drivers::OUT_DIR)).args(arguments);
    run(&mut demo)
}

/// Brings up what the tests need, then `cargo test` over the whole workspace.
pub fn test(arguments: &[String]) -> Result<()> {
    let root = root();
    set_up::wasm_target()?;
    set_up::npm()?;
    set_up::chromium()?;
    set_up::softhsm()?;
    set_up::minisign()?;
    set_up::schemathesis(&root)?;
    set_up::peer_dlms(&root)?;
    set_up::peer_dlt645(&root)?;
    set_up::peer_mbus(&root)?;
    set_up::peer_modbus(&root)?;
    drivers::build_all(&root)?;
    examples()?;
    cargo(BUILD_ALL)?;
    let readers = card_readers(&root);
    let mut cargo_test = cargo_command(&["test", "--workspace"]);
    cargo_test.args(arguments).envs(readers.as_ref().map(Pcscd::environment));
    run(&mut cargo_test)?;
    drop(readers);
    // Somebody who asks for one test has asked for no others.
    let all = arguments.iter().all(|it| it == "--no-fail-fast");
    if all { on_postgres(&[]) } else { Ok(()) }
}

/// A pcscd with virtual readers for the length of the run. Without one the tests of card readers say
/// that they did not run, and so does this.
fn card_readers(root: &Path) -> Option<Pcscd> {
    let folder = root.join(format!("target/pcscd-{}", std::process::id()));
    let started = set_up::pcscd().and_then(|()| Ok(Pcscd::start(&folder)?));
    match started {
        Ok(pcscd) => {
            println!("card readers: {}", pcscd.version());
            Some(pcscd)
        }
        Err(error) => {
            eprintln!("NO CARD READERS, and their tests will not run: {error:#}");
            None
        }
    }
}

/// The tests that need a card reader, as `cargo test` is told them.
const OF_READERS: &[&str] = &[
    "--test",
    "pcsc",
    "--test",
    "card_commands",
    "--test",
    "maintenance_cards",
    "--test",
    "new_card_vendor",
];

/// Passes tests of card readers, those or what else is asked for, on a pcscd brought up for them.
pub fn cards(arguments: &[String]) -> Result<()> {
    let Some(readers) = card_readers(&root()) else { bail!("there is no pcscd") };
    let mut cargo_test = cargo_command(&["test", "--workspace"]);
    if arguments.is_empty() {
        cargo_test.args(OF_READERS);
    }
    run(cargo_test.args(arguments).envs([readers.environment()]))
}

/// The tests that touch a database, by package and target: the unit tests of a library, or one of
/// its other tests.
const OF_DATABASES: &[(&str, &str)] = &[
    ("polymeter-ledger", "polymeter_ledger"),
    ("polymeter-service", "all"),
    ("crash", "rows"),
    ("crash", "faults"),
    ("crash", "upgrades"),
    ("e2e", "api"),
    ("e2e", "books"),
    ("e2e", "counter"),
    ("e2e", "energy"),
    ("e2e", "postgres"),
    ("e2e", "purse"),
    ("e2e", "rollover"),
    ("e2e", "token"),
    ("e2e", "token_entry"),
];

/// Passes those tests once more, on a PostgreSQL server that is brought up for them.
pub fn on_postgres(arguments: &[String]) -> Result<()> {
    let root = root();
    set_up::postgresql()?;
    let cluster = postgres::Cluster::start(&root)?;
    println!("the tests of databases on {}:", cluster.version()?);
    for test in postgres::test_programs(OF_DATABASES)? {
        println!("     Running {} on PostgreSQL", test.name);
        let mut program = Command::new(test.program);
        program.args(arguments).current_dir(test.folder).env(postgres::SERVER, cluster.url());
        run(&mut program).with_context(|| format!("{} on PostgreSQL", test.name))?;
    }
    Ok(())
}

/// The vendor examples whose language is not Rust, and what they need.
pub fn examples() -> Result<()> {
    let root = root();
    examples::set_up(&root)?;
    examples::build(&root, &root.join(drivers::OUT_DIR), examples::EXAMPLES)
}

/// Plays the hostile drivers against the program as it is built now.
pub fn gallery(write: bool) -> Result<()> {
    let root = root();
    set_up::wasm_target()?;
    set_up::npm()?;
    drivers::build_all(&root)?;
    cargo(BUILD_ALL)?;
    let mut gallery = Command::new(root.join("target/debug/gallery"));
    if write {
        gallery.arg("--write");
    }
    run(&mut gallery)
}

/// Kills the program that is shipped, on both databases. What is not optimised spends most of the time on
/// starting again, so that fewer kills are made in it.
pub fn crash(arguments: &[String]) -> Result<()> {
    let root = root();
    release(&root)?;
    set_up::postgresql()?;
    let cluster = postgres::Cluster::start(&root)?;
    let mut crash = Command::new(root.join("target/release/crash"));
    run(crash.arg("kill").args(arguments).env(postgres::SERVER, cluster.url()))
}

/// Lives of the product's own code, from seeds.
pub fn simulate(arguments: &[String]) -> Result<()> {
    let root = root();
    set_up::wasm_target()?;
    set_up::npm()?;
    drivers::build_all(&root)?;
    cargo(BUILD_ALL)?;
    run(Command::new(root.join("target/debug/crash")).arg("simulate").args(arguments))
}

/// Where the fuzzer is built: with counters, which everything else does without.
const FUZZ_TARGET: &str = "target/fuzz-build";

/// Builds the fuzzer with the counters of stable Rust's coverage, so that it sees which code an input
/// reaches, and runs it. Corpus and findings stay in `target/fuzz`.
pub fn fuzz(arguments: &[String]) -> Result<()> {
    let root = root();
    let mut build = cargo_command(&["build", "--quiet", "--profile", "fuzz", "--package", "fuzz"]);
    build.args(["--features", "coverage"]);
    build.env("CARGO_TARGET_DIR", root.join(FUZZ_TARGET));
    build.env("RUSTFLAGS", "-Cinstrument-coverage");
    // Build scripts and macros are counted too, and would leave what they counted lying about.
    build.env("LLVM_PROFILE_FILE", "/dev/null");
    run(&mut build)?;
    let mut fuzz = Command::new(root.join(FUZZ_TARGET).join("fuzz/fuzz"));
    // What the counters would be written to at the end; nobody reads it.
    fuzz.env("LLVM_PROFILE_FILE", "/dev/null");
    run(fuzz.args(arguments).current_dir(&root))
}

/// Formatting, clippy and the documentation; the vendor's example in Rust is a workspace of its own.
pub fn lint() -> Result<()> {
    cargo(&["fmt", "--all", "--check"])?;
    let example = root().join("vendor-examples/acme-rust");
    run(cargo_command(&["fmt", "--check"]).current_dir(&example))?;
    // The versions that everything else has, as `polymeter-sdk new` gives them to a vendor.
    std::fs::copy(root().join("Cargo.lock"), example.join("Cargo.lock")).context("Cargo.lock")?;
    let clippy = ["clippy", "--all-targets", "--", "--deny", "warnings"];
    let mut of_example = cargo_command(&clippy);
    run(of_example.current_dir(example).env("CARGO_TARGET_DIR", root().join(VENDOR_TARGET)))?;
    cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])?;
    // All at once, as for BUILD_ALL; of the dependencies only what clippy has made anyway.
    let mut doc = cargo_command(&["doc", "--workspace", "--no-deps", "--quiet"]);
    run(doc.env("RUSTDOCFLAGS", "--deny warnings"))
}

/// Published frames against the decoders; `cargo xtask test` demands the same.
pub fn vectors(filter: &str) -> Result<()> {
    let Some(folder) = vectors::folder() else {
        bail!("NO VECTORS: there is no folder ../shared/vectors beside the workspace");
    };
    let report = vectors::Report::new(&folder, filter);
    print!("{report}");
    if report.failed() {
        bail!("a published row differs without a reason, or nothing was checked");
    }
    Ok(())
}

/// The drivers, and a release of the program and of what drives it. Together, as for [`BUILD_ALL`].
fn release(root: &Path) -> Result<()> {
    set_up::wasm_target()?;
    set_up::npm()?;
    drivers::build_all(root)?;
    let mut build = vec!["build", "--release"];
    for package in ["polymeter-server", "meter-sim", "dlt645-native", "bench", "crash"] {
        build.extend(["--package", package]);
    }
    cargo(&build)
}

/// Timings mean something only on optimised code.
pub fn bench(arguments: &[String]) -> Result<()> {
    let root = root();
    release(&root)?;
    set_up::bench_peers(&root);
    let mut bench = Command::new(root.join("target/release/bench"));
    // Its rows are left out where no server comes up.
    let cluster = set_up::postgresql().and_then(|()| postgres::Cluster::durable(&root)).ok();
    if let Some(cluster) = &cluster {
        bench.env(postgres::SERVER, cluster.url());
    }
    run(bench.args(arguments).current_dir(&root))
}

fn cargo(arguments: &[&str]) -> Result<()> {
    run(&mut cargo_command(arguments))
}

/// The cargo that runs us, in the workspace's root.
fn cargo_command(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

fn run(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command.status().with_context(|| format!("{name} did not start"))?;
    if !status.success() {
        bail!("{name} ended with {status}");
    }
    Ok(())
}
