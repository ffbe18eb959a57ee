//! Compiling apart: what comes of it, and of compilers that die, hang, flood and lie.

use crate::bench::{ample, component, device, moment, silent};
use crate::components::{chain, config, contracted, refusal, runtime, worker};
use crate::{Driver, Limits, Options, Runtime, Vault};
use polymeter_runtime::Worker;
use std::path::Path;
use std::sync::Arc;

async fn reads(driver: &Arc<Driver>) {
    driver.read(&mut silent().await, &device("fine"), moment()).await.expect("an answer");
}

fn beside(folder: &Path, worker: Worker) -> Runtime {
    Runtime::new(Options::apart(Vault::default(), worker, folder)).expect("an engine")
}

/// A shell command in the worker's place.
fn shell(command: &str) -> Worker {
    Worker { program: "/bin/sh".into(), arguments: vec!["-c".into(), command.into()] }
}

#[tokio::test]
async fn code_is_made_once_and_then_taken_from_the_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let config = || config("misbehaving", ample());
    let first = beside(&cache, worker());
    let driver = first.load(config(), component()).await.expect("loads");
    reads(&driver).await;
    let metrics = first.metrics();
    assert_eq!((metrics.code_compiled, metrics.code_cached), (1, 0));
    assert_eq!(metrics.drivers.len(), 1);

    // A later process; its compiler cannot do anything, and need not.
    let second = beside(&cache, shell("exit 9"));
    let driver = second.load(config(), component()).await.expect("loads from the cache");
    reads(&driver).await;
    let metrics = second.metrics();
    assert_eq!((metrics.code_compiled, metrics.code_cached), (0, 1));

    // One bit in the middle of the code: refused, made anew, and whole afterwards.
    let files = std::fs::read_dir(&cache).expect("a folder").flatten();
    let file = files.map(|entry| entry.path()).find(|path| path.extension().is_some());
    let file = file.expect("one piece of code");
    let whole = std::fs::read(&file).expect("readable");
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    *flipped.get_mut(middle).expect("not empty") ^= 1;
    std::fs::write(&file, &flipped).expect("written");
    let error = second.load(config(), component()).await.expect_err("cannot be made anew here");
    assert!(error.to_string().contains("the compiler broke: it ended with code 9"), "{error}");
    std::fs::write(&file, &flipped).expect("written");
    let third = beside(&cache, worker());
    reads(&third.load(config(), component()).await.expect("made anew")).await;
    assert_eq!(third.metrics().code_compiled, 1);
    assert_eq!(std::fs::read(&file).expect("readable").len(), whole.len());
    assert_eq!(second.load(config(), component()).await.map(|_| ()).err().map(|_| ()), None);
}

#[tokio::test]
async fn a_compiler_that_breaks_is_a_sentence() {
    let folder = tempfile::tempdir().expect("a folder");
    let limits = Limits { compile_cpu_seconds: 1, ..ample() };
    for (command, sentence) in [
        ("kill -SEGV $$", "the compiler broke: it was ended by SIGSEGV: "),
        ("echo it is all too much >&2; exit 7", "it ended with code 7: it is all too much"),
        ("exit 0", "the compiler broke: what it returned is no code"),
        ("echo no code at all, but something else", "what it returned is no code"),
        ("cat", "what it returned is no code"),
        ("cat > /dev/null; yes", "was not compiled: "),
        ("printf polymeter-made-1; head -c 200 /dev/zero", "another version of this program"),
        ("echo memory allocation of 9 bytes failed >&2; kill -ABRT $$", "compile-memory-bytes"),
        ("kill -XCPU $$", "limit compile-cpu-seconds of 1 is spent: raise"),
        ("exec sleep 100", "limit compile-cpu-seconds of 1 is spent: raise"),
        ("echo it fits nowhere >&2; exit 3", "does not fit contract 1.1.0: it fits nowhere"),
    ] {
        let runtime = beside(&folder.path().join("cache"), shell(command));
        let loaded = runtime.load(config("broken", limits.clone()), component()).await;
        let error = chain(&loaded.expect_err(command));
        assert!(error.starts_with("driver broken ") && error.contains(sentence), "{error}");
        assert_eq!(runtime.metrics().code_failed, 1);
    }
    let nowhere = Worker { program: "/nowhere/at/all".into(), arguments: vec![] };
    let runtime = beside(&folder.path().join("cache"), nowhere);
    let error = runtime.load(config("broken", ample()), component()).await.expect_err("refused");
    assert!(error.to_string().contains("/nowhere/at/all does not start: No such file"), "{error}");
}

#[tokio::test]
async fn a_cache_that_others_may_write_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let open = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(folder.path(), open).expect("opened");
    let options = Options::apart(Vault::default(), worker(), folder.path());
    let error = Runtime::new(options).expect_err("refused").to_string();
    assert!(error.starts_with("the cache of native code is refused: "), "{error}");
    assert!(error.contains("is open to others (mode 777)"), "{error}");
}

#[tokio::test]
async fn what_the_compiler_refuses_is_told_as_before() {
    // A body of the wrong type passes the parser and fails the compiler.
    let bad = wat::parse_str("(component (core module (func (result i32))))").expect("text");
    let error = refusal("bad", ample(), &contracted(&bad)).await;
    assert!(error.starts_with("driver bad does not fit contract 1.1.0: "), "{error}");
    let error = refusal("bad", ample(), &contracted(b"\0asm\x0d\0\x01\0")).await;
    assert!(error.contains("does not export polymeter:driver/info@1.0.0"), "{error}");
}

#[tokio::test]
async fn a_driver_outside_the_pool_does_the_same() {
    // More memory than a place in the pool has, and a stack of its own.
    let limits = Limits { memory_bytes: 128 << 20, stack_bytes: 1 << 20, ..ample() };
    let driver = runtime().load(config("misbehaving", limits), component()).await.expect("loads");
    reads(&driver).await;
    let mut line = silent().await;
    let error = driver.read(&mut line, &device("memory"), moment()).await.expect_err("bounded");
    assert!(error.to_string().contains(" of 134217728 bytes, and "), "{error}");
    driver.release();
    reads(&driver).await;
}
