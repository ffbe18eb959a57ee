//! The process that loads one library, calls it once and ends: started by `child`, never by a person.
//!
//! Invariant: it has no environment, no folder and no file of its own; it has given up what `jail` says
//! before the first instruction of the library runs. Its input is the control socket, its output the
//! far end of `icdev`, its error output the log, and each is put where the library expects it.
//! Not here: who starts it and what is thought of its answer (child).

use crate::child::Bounds;
use crate::fence::Fenced;
use crate::frame::FRAME_BYTES_MOST;
use crate::jail;
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW, Symbol};
use nix::libc::{c_char, c_int, c_long};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::ffi::OsString;
use std::io::{IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;

/// The hidden first argument; after it stand the function's name, bytes of memory, seconds of CPU and
/// seconds altogether.
pub(crate) const COMMAND: &str = "native-worker";
/// What a worker tells: loaded, with what is in force; not loaded, with the reason; the answer.
pub(crate) const READY: u8 = b'R';
pub(crate) const REFUSED: u8 = b'E';
pub(crate) const ANSWERED: u8 = b'A';
/// Room for a password and the zero that ends it.
pub(crate) const PASSWORD_BYTES_MOST: usize = 255;
const USAGE: u8 = 2;

type Icard = unsafe extern "C" fn(c_int, *mut c_char, *mut c_char, *mut c_char) -> c_long;

/// Runs this process as a library's worker if its arguments, the program's name first, say so. To be
/// asked before anything else is done in `main`.
pub fn native_worker(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != COMMAND {
        return None;
    }
    let mut word = || arguments.next()?.into_string().ok();
    let function = word();
    let mut number = || word()?.parse::<u64>().ok();
    let (Some(function), Some(memory_bytes), Some(cpu_seconds), Some(wall_seconds)) =
        (function, number(), number(), number())
    else {
        eprintln!("{COMMAND} is started by polymeter itself");
        return Some(ExitCode::from(USAGE));
    };
    let bounds = Bounds { memory_bytes, cpu_seconds, wall_seconds };
    Some(match serve(&function, &bounds) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("{sentence}");
            ExitCode::FAILURE
        }
    })
}

fn serve(function: &str, bounds: &Bounds) -> Result<(), String> {
    let told = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    // Where the host is gone and the library hangs, this ends it.
    let seconds = u32::try_from(bounds.wall_seconds).unwrap_or(u32::MAX);
    nix::unistd::alarm::set(seconds.max(1));
    let Ends { mut control, icdev } = ends().map_err(|error| told("its files", &error))?;
    let image = image(&control).map_err(|error| told("the library did not come", &error))?;
    let mut prepared = Prepared::new()?;
    jail::give_up(bounds)?;
    let jailed = jail::while_loading();
    let loaded = load(image, function);
    let _ = nix::unistd::close(image);
    let (_library, icard) = match loaded {
        Ok(loaded) => loaded,
        Err(sentence) => {
            return tell(&mut control, REFUSED, sentence.as_bytes());
        }
    };
    // Both or none: the host speaks of one.
    let jailed = jailed && jail::while_called();
    tell(&mut control, READY, &[u8::from(jailed)])?;
    prepared.take(&mut control)?;
    let returned = prepared.call(icdev.as_raw_fd(), *icard);
    let answer = [returned.to_be_bytes().as_slice(), &prepared.reply.read()].concat();
    tell(&mut control, ANSWERED, &answer)?;
    // The host ends this process. No code of the library's is run once more, as an exit would.
    let _ = control.read(&mut [0]);
    Ok(())
}

/// The three standard files, put where the library's code expects them.
struct Ends {
    control: UnixStream,
    icdev: OwnedFd,
}

fn ends() -> std::io::Result<Ends> {
    let control: UnixStream = std::io::stdin().as_fd().try_clone_to_owned()?.into();
    let icdev = std::io::stdout().as_fd().try_clone_to_owned()?;
    let nothing = std::fs::File::open("/dev/null")?;
    nix::unistd::dup2_stdin(&nothing)?;
    // What a library prints is its log.
    nix::unistd::dup2_stdout(std::io::stderr())?;
    Ok(Ends { control, icdev })
}

/// The library's bytes, which the host has judged, in a file that nobody can change.
fn image(control: &UnixStream) -> std::io::Result<RawFd> {
    let mut byte = [0];
    let mut room = nix::cmsg_space!([RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut byte)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(control.as_raw_fd(), &mut parts, Some(&mut room), flags)?;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(files) = part
            && let Some(file) = files.first()
        {
            return Ok(*file);
        }
    }
    Err(std::io::Error::other("nothing was handed over"))
}

#[expect(unsafe_code, reason = "loading a library runs its code: that is what this process is for")]
fn load(image: RawFd, function: &str) -> Result<(Library, Symbol<Icard>), String> {
    let path = format!("/proc/self/fd/{image}");
    // SAFETY: its code can do to this process whatever it likes; the process has nothing to lose.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|error| {
        let what = with_causes(&error).replace(&path, "the library");
        format!("it cannot be loaded: {what}")
    })?;
    // SAFETY: that the function is of this type is the vendor's word, and only this process relies on
    // it.
    let icard = unsafe { library.get::<Icard>(function.as_bytes()) }
        .map_err(|_| format!("it has no function {function}"))?;
    Ok((library, icard))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => with_causes(source),
        None => error.to_string(),
    }
}

/// The three buffers of a call.
struct Prepared {
    request: Fenced<FRAME_BYTES_MOST>,
    reply: Fenced<FRAME_BYTES_MOST>,
    password: Fenced<{ PASSWORD_BYTES_MOST + 1 }>,
}

impl Prepared {
    fn new() -> Result<Self, String> {
        Ok(Self { request: Fenced::new()?, reply: Fenced::new()?, password: Fenced::new()? })
    }

    /// The call from the host: a byte for the password's length, the password, the frame.
    fn take(&mut self, control: &mut UnixStream) -> Result<(), String> {
        let gone = |error: std::io::Error| format!("the host is gone: {error}");
        let mut head = [0; 3];
        control.read_exact(&mut head).map_err(gone)?;
        let [secret, high, low] = head;
        let mut password = vec![0; secret.into()];
        control.read_exact(&mut password).map_err(gone)?;
        let mut frame = vec![0; u16::from_be_bytes([high, low]).into()];
        control.read_exact(&mut frame).map_err(gone)?;
        self.password.write(&password);
        self.request.write(&frame);
        Ok(())
    }

    #[expect(unsafe_code, reason = "the one call of a vendor's function")]
    fn call(&self, icdev: c_int, icard: Icard) -> c_long {
        let (request, reply) = (self.request.as_ptr(), self.reply.as_ptr());
        // SAFETY: each pointer is to memory of the size that the document promises, ended by a fence;
        // what the function does beyond that, it does to this process alone.
        unsafe { icard(icdev, request, reply, self.password.as_ptr()) }
    }
}

/// Length, kind, content.
fn tell(control: &mut UnixStream, kind: u8, content: &[u8]) -> Result<(), String> {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let content = content.get(..length.into()).unwrap_or_default();
    let message = [&length.to_be_bytes(), [kind].as_slice(), content].concat();
    control.write_all(&message).map_err(|error| format!("the host is gone: {error}"))
}
