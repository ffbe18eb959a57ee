//! Memory for a library between two pages that nobody may touch.
//!
//! Invariant: the last byte lies before a forbidden page, so that who writes too much ends the process
//! there and then instead of writing over something else. It is never given back: the process serves
//! one call and ends. Not here: what is written into it (worker).

use nix::libc::{_SC_PAGESIZE, c_char, c_void};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, mprotect};
use std::num::NonZeroUsize;
use std::ptr::NonNull;

/// `SIZE` bytes, all zero, with nothing after them.
#[derive(Debug)]
pub(crate) struct Fenced<const SIZE: usize> {
    start: NonNull<u8>,
}

impl<const SIZE: usize> Fenced<SIZE> {
    #[expect(unsafe_code, reason = "pages are mapped and protected by address")]
    pub(crate) fn new() -> Result<Self, String> {
        let told = |what: String| format!("no memory between two fences: {what}");
        // SAFETY: asks for a number and has no other effect.
        let page = unsafe { nix::libc::sysconf(_SC_PAGESIZE) };
        let page = usize::try_from(page).map_err(|_| told("no page size".to_owned()))?;
        let inside = SIZE.next_multiple_of(page);
        let whole = NonZeroUsize::new(inside + 2 * page).ok_or_else(|| told("no size".into()))?;
        let flags = MapFlags::MAP_PRIVATE;
        // SAFETY: a new mapping where the system likes takes nobody's place.
        let map = unsafe { mmap_anonymous(None, whole, ProtFlags::PROT_NONE, flags) }
            .map_err(|error| told(error.to_string()))?;
        // SAFETY: one page into a mapping of at least three.
        let middle = unsafe { map.cast::<u8>().add(page) };
        let both = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: these pages are our own and nobody has a reference into them yet.
        unsafe { mprotect(middle.cast::<c_void>(), inside, both) }
            .map_err(|error| told(error.to_string()))?;
        // SAFETY: at most `inside` bytes further, and `SIZE` bytes before its end.
        Ok(Self { start: unsafe { middle.add(inside - SIZE) } })
    }

    /// As the library takes it.
    pub(crate) fn as_ptr(&self) -> *mut c_char {
        self.start.as_ptr().cast()
    }

    /// As many of `bytes` as there is room for.
    #[expect(unsafe_code, reason = "the mapping is reached by address")]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        // SAFETY: at most `SIZE` bytes into `SIZE` bytes of our own mapping.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.as_ptr().cast(),
                bytes.len().min(SIZE),
            );
        }
    }

    #[expect(unsafe_code, reason = "the mapping is reached by address")]
    pub(crate) fn read(&self) -> Vec<u8> {
        // SAFETY: `SIZE` bytes of our own mapping, which the library has come back from.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), SIZE) }.to_vec()
    }
}
