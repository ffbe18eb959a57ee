//! What every test here needs: a library, built once; a call; a device that is a function.

use polymeter_native::{Bounds, Child, ChildError, End, Event, Frame, Library, Program};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// The honest one, and the one that misbehaves by request.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    Rdk,
    Hostile,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Its bytes, built by the system's own compiler.
pub fn bytes(which: Which) -> &'static [u8] {
    static BUILT: [OnceLock<Vec<u8>>; 2] = [OnceLock::new(), OnceLock::new()];
    BUILT[which as usize].get_or_init(|| build(which))
}

fn build(which: Which) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a folder");
    let sources = root().join("vendor-examples/rdk-native/src");
    let made = folder.path().join("library.so");
    let mut cc = Command::new("cc");
    cc.args(["-std=gnu11", "-O2", "-fPIC", "-shared", "-Wall", "-Werror", "-o"]).arg(&made);
    cc.arg("-I").arg(&sources);
    for part in ["rdk.c", "line.c", "meter.c", "card.c"] {
        cc.arg(sources.join(part));
    }
    if let Which::Hostile = which {
        cc.arg("-DRDKIcard=honest");
        cc.arg(root().join("tests/conformance/native-hostile/hostile.c"));
    }
    let built = cc.output().expect("cc starts");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::read(made).expect("a library")
}

pub fn program() -> Program {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_polymeter-native-worker"));
    Program { program, arguments: Vec::new() }
}

pub const BOUNDS: Bounds = Bounds { memory_bytes: 32 << 20, cpu_seconds: 1, wall_seconds: 20 };

/// How a call ended, and what was seen of it.
#[derive(Debug, Default)]
pub struct Seen {
    pub sent: Vec<Vec<u8>>,
    pub said: String,
    pub ended: Option<Result<(i64, Vec<u8>), End>>,
}

impl Seen {
    /// The answering frame.
    pub fn frame(&self) -> Frame {
        let Some(Ok((0, reply))) = &self.ended else { panic!("no answer: {self:?}") };
        Frame::decode(reply).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The end of its process, in words.
    pub fn end(&self) -> String {
        let Some(Err(end)) = &self.ended else { panic!("it did not end: {self:?}") };
        end.to_string()
    }
}

pub async fn start(which: Which) -> Child {
    let library = Library::new(bytes(which), "RDKIcard").expect("a library");
    Child::start(&program(), &library, &BOUNDS).await.expect("it starts")
}

pub async fn started(bytes: &[u8], function: &str) -> Result<Child, ChildError> {
    let library = Library::new(bytes, function).expect("a library");
    Child::start(&program(), &library, &BOUNDS).await
}

/// One call from beginning to end. `device` answers what is sent; `None`: it stays silent. After
/// `most` of time the call is given up, and `ended` is `None`.
pub async fn call(
    which: Which,
    frame: &Frame,
    password: &str,
    most: Duration,
    mut device: impl FnMut(&[u8]) -> Option<Vec<u8>>,
) -> Seen {
    let mut child = start(which).await;
    let mut seen = Seen::default();
    child.call(password.as_bytes(), &frame.encode().expect("short")).await;
    let run = async {
        loop {
            match child.next().await {
                Event::Sends(bytes) => {
                    let answer = device(&bytes);
                    // What floods is cut.
                    if seen.sent.len() < 100 {
                        seen.sent.push(bytes);
                    }
                    if let Some(answer) = answer {
                        child.hear(&answer).await;
                    }
                }
                Event::Says(bytes) if seen.said.len() < 100_000 => {
                    seen.said += &String::from_utf8_lossy(&bytes);
                }
                Event::Says(_) => {}
                Event::Answers { returned, mut reply } => {
                    // For people who read what failed.
                    reply
                        .truncate(reply.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1));
                    return Ok((returned, reply));
                }
                Event::Ends(end) => return Err(end),
            }
        }
    };
    let ended = tokio::time::timeout(most, run).await.ok();
    seen.ended = ended;
    seen
}
