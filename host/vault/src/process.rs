//! A process that holds keys leaves no core file and lets no other of the same user read its
//! memory.

/// Before the first key is read. Refused only where the system refuses, which is worth a warning
/// and not a stop: a host without such calls still sells.
pub fn keep_out_of_core_files() -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_dumpable(false)?;
    #[cfg(unix)]
    nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0)?;
    Ok(())
}
