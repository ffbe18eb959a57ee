//! The symbols of PC/SC, found in the system's libpcsclite when they are first needed.
//!
//! The crate `pcsc` links to that library while it is built, and a program linked so does not start
//! where it is absent. A fresh machine has neither its development files nor, on most servers,
//! itself. So `.cargo/config.toml` tells the crate's build script to link nothing, and the symbols
//! are here (ADR 0043). Not here: what they are used for (`pcsc`).
//!
//! Invariant: whoever calls [`ready`] first has these symbols linked, in whatever order the linker
//! takes its archives; each of them only passes its arguments on.

use std::sync::OnceLock;

use libloading::Library;
use pcsc::ffi;

/// As Debian's libpcsclite1 and every other distribution's names it.
const LIBRARY: &str = "libpcsclite.so.1";

/// What a person does about it.
pub(super) const MISSING: &str = "PC/SC is not installed here: apt-get install pcscd";

/// Loads the library, once it is there.
pub(super) fn ready() -> Result<(), &'static str> {
    // Reading the table makes it, and with it the symbols, part of every program that gets here.
    let linked = std::hint::black_box(&SYMBOLS).len();
    match functions() {
        Some(_) if linked > 0 => Ok(()),
        _ => Err(MISSING),
    }
}

/// Asked again each time until it is there, so that installing it is enough.
fn functions() -> Option<&'static Functions> {
    static FUNCTIONS: OnceLock<Functions> = OnceLock::new();
    if let Some(functions) = FUNCTIONS.get() {
        return Some(functions);
    }
    let functions = Functions::load().ok()?;
    Some(FUNCTIONS.get_or_init(|| functions))
}

/// For each function: its place in the table, its own symbol that goes through the table.
macro_rules! forward {
    ($($name:ident($($argument:ident: $type:ty),*);)*) => {
        #[expect(non_snake_case, reason = "PC/SC's own names")]
        struct Functions {
            $($name: unsafe extern "C" fn($($type),*) -> ffi::LONG,)*
            /// What the pointers point into.
            _library: Library,
        }

        impl Functions {
            #[expect(unsafe_code, reason = "symbols of a library have no types; these are PC/SC's")]
            fn load() -> Result<Functions, libloading::Error> {
                // SAFETY: the system's own library, whose initialisers every PC/SC program runs;
                // the signatures are those of the crate's own declarations.
                unsafe {
                    let library = Library::new(LIBRARY)?;
                    Ok(Functions {
                        $($name: *library.get(concat!(stringify!($name), "\0").as_bytes())?,)*
                        _library: library,
                    })
                }
            }
        }

        $(
            #[expect(unsafe_code, reason = "the symbol that the crate pcsc asks for")]
            #[allow(non_snake_case, reason = "PC/SC's own name")]
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name($($argument: $type),*) -> ffi::LONG {
                let Some(functions) = functions() else { return ffi::SCARD_E_NO_SERVICE };
                // SAFETY: the caller's promises are passed on with the arguments.
                unsafe { (functions.$name)($($argument),*) }
            }
        )*

        /// One reference to each symbol.
        static SYMBOLS: Table = Table([$($name as *const (),)* (&raw const g_rgSCardT0Pci).cast()]);
        struct Table([*const (); COUNT]);
        const COUNT: usize = [$(stringify!($name),)* "g_rgSCardT0Pci"].len();
    };
}

impl Table {
    fn len(&self) -> usize {
        self.0.len()
    }
}

// SAFETY: addresses of functions and constants, which nobody writes.
#[expect(unsafe_code, reason = "raw addresses are not Sync by themselves")]
unsafe impl Sync for Table {}

type Bytes = *mut u8;
type Text = *const std::ffi::c_char;
type Word = ffi::DWORD;
type Words = *mut ffi::DWORD;
type Nothing = *const std::ffi::c_void;

forward! {
    SCardEstablishContext(
        scope: Word, first: Nothing, second: Nothing, context: *mut ffi::SCARDCONTEXT
    );
    SCardReleaseContext(context: ffi::SCARDCONTEXT);
    SCardIsValidContext(context: ffi::SCARDCONTEXT);
    SCardCancel(context: ffi::SCARDCONTEXT);
    SCardConnect(
        context: ffi::SCARDCONTEXT, reader: Text, share: Word, protocols: Word,
        card: *mut ffi::SCARDHANDLE, protocol: Words
    );
    SCardReconnect(
        card: ffi::SCARDHANDLE, share: Word, protocols: Word, initialization: Word, protocol: Words
    );
    SCardDisconnect(card: ffi::SCARDHANDLE, disposition: Word);
    SCardGetStatusChange(
        context: ffi::SCARDCONTEXT, timeout: Word, states: *mut ffi::SCARD_READERSTATE, count: Word
    );
    SCardListReaders(
        context: ffi::SCARDCONTEXT, groups: Text, readers: *mut std::ffi::c_char, length: Words
    );
    SCardBeginTransaction(card: ffi::SCARDHANDLE);
    SCardEndTransaction(card: ffi::SCARDHANDLE, disposition: Word);
    SCardStatus(
        card: ffi::SCARDHANDLE, reader: *mut std::ffi::c_char, reader_length: Words, state: Words,
        protocol: Words, atr: Bytes, atr_length: Words
    );
    SCardGetAttrib(card: ffi::SCARDHANDLE, attribute: Word, value: Bytes, length: Words);
    SCardSetAttrib(card: ffi::SCARDHANDLE, attribute: Word, value: *const u8, length: Word);
    SCardTransmit(
        card: ffi::SCARDHANDLE, send: *const ffi::SCARD_IO_REQUEST, command: *const u8,
        command_length: Word, receive: *mut ffi::SCARD_IO_REQUEST, answer: Bytes,
        answer_length: Words
    );
    SCardControl(
        card: ffi::SCARDHANDLE, code: Word, input: *const u8, input_length: Word, output: Bytes,
        output_length: Word, returned: Words
    );
}

/// The protocol and the structure's own length, as pcsclite's `winscard_clnt.c` defines them.
macro_rules! protocol {
    ($name:ident, $protocol:expr) => {
        #[expect(unsafe_code, reason = "the symbol that the crate pcsc asks for")]
        #[allow(non_upper_case_globals, reason = "PC/SC's own name")]
        #[unsafe(no_mangle)]
        static $name: ffi::SCARD_IO_REQUEST = ffi::SCARD_IO_REQUEST {
            dwProtocol: $protocol,
            cbPciLength: size_of::<ffi::SCARD_IO_REQUEST>() as ffi::DWORD,
        };
    };
}

protocol!(g_rgSCardT0Pci, ffi::SCARD_PROTOCOL_T0);
protocol!(g_rgSCardT1Pci, ffi::SCARD_PROTOCOL_T1);
protocol!(g_rgSCardRawPci, ffi::SCARD_PROTOCOL_RAW);
