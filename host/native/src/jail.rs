//! What a worker gives up before a vendor's code runs in it.
//!
//! Invariant: limits come first, then the filter under which the library is loaded, which may read
//! files, then the one under which it is called, which may open nothing at all. Neither can be taken
//! back. What is forbidden fails with EPERM, so that a library which tries goes on and says so.
//! Not here: memory fences (fence), the deadline (child).
//!
//! A system without filters gets the limits alone, and the host says so.

use crate::child::Bounds;
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;

/// Files that a library's loading may hold at the same time, beside the worker's own few.
const FILES_MOST: u64 = 32;

/// Whatever these do, they do to memory and files that the process has already.
const CALLING: &[libc::c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_shutdown,
    libc::SYS_ppoll,
    libc::SYS_pselect6,
    libc::SYS_fcntl,
    libc::SYS_ioctl,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getrusage,
    libc::SYS_uname,
    libc::SYS_sched_yield,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];
#[cfg(target_arch = "x86_64")]
const CALLING_OF_OLD: &[libc::c_long] =
    &[libc::SYS_poll, libc::SYS_select, libc::SYS_pause, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const CALLING_OF_OLD: &[libc::c_long] = &[];

/// What the loader needs beside them.
const LOADING: &[libc::c_long] = &[
    libc::SYS_pread64,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_seccomp,
];
#[cfg(target_arch = "x86_64")]
const LOADING_OF_OLD: &[libc::c_long] =
    &[libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink];
#[cfg(not(target_arch = "x86_64"))]
const LOADING_OF_OLD: &[libc::c_long] = &[];

/// Memory, CPU, files and core dumps. `room` is address space beyond what is used already.
pub(crate) fn give_up(bounds: &Bounds) -> Result<(), String> {
    let used = std::fs::read_to_string("/proc/self/statm").ok();
    let pages = used.and_then(|text| text.split(' ').next()?.parse::<u64>().ok());
    let pages = pages.ok_or("the process does not see how much memory it uses")?;
    let memory = pages.saturating_mul(page()).saturating_add(bounds.memory_bytes);
    let cpu = bounds.cpu_seconds;
    for (resource, soft, hard) in [
        (Resource::RLIMIT_CORE, 0, 0),
        (Resource::RLIMIT_FSIZE, 0, 0),
        (Resource::RLIMIT_NOFILE, FILES_MOST, FILES_MOST),
        (Resource::RLIMIT_NPROC, 0, 0),
        (Resource::RLIMIT_AS, memory, memory),
        // The first asks (and by default ends the process), the second kills.
        (Resource::RLIMIT_CPU, cpu, cpu.saturating_add(1)),
    ] {
        setrlimit(resource, soft, hard)
            .map_err(|error| format!("{resource:?} cannot be set to {soft}: {error}"))?;
    }
    Ok(())
}

#[expect(unsafe_code, reason = "the system tells its page size by a C function")]
fn page() -> u64 {
    // SAFETY: asks for a number and has no other effect.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Until the library is loaded. `false`: the system has no filters.
pub(crate) fn while_loading() -> bool {
    // Opening for reading alone: neither for writing nor making anything.
    let mask = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC).unsigned_abs();
    let reading = |place| only(place, u64::from(mask), libc::O_RDONLY.unsigned_abs().into());
    let control = |option: libc::c_int| only(0, u64::from(u32::MAX), option.unsigned_abs().into());
    let rules = || -> Option<Rules> {
        let mut rules = always([CALLING, CALLING_OF_OLD, LOADING, LOADING_OF_OLD]);
        rules.insert(libc::SYS_openat, vec![reading(2)?]);
        #[cfg(target_arch = "x86_64")]
        rules.insert(libc::SYS_open, vec![reading(1)?]);
        // How the second filter is put on.
        let second = [libc::PR_SET_NO_NEW_PRIVS, libc::PR_SET_SECCOMP];
        let second: Option<Vec<_>> = second.into_iter().map(control).collect();
        rules.insert(libc::SYS_prctl, second?);
        rules.extend(own_signals()?);
        Some(rules)
    };
    rules().is_some_and(put_on)
}

/// From then on. No file, no socket, no process, no thread, no code that is not there yet.
pub(crate) fn while_called() -> bool {
    let exec = u64::from(libc::PROT_EXEC.unsigned_abs());
    let rules = || -> Option<Rules> {
        let mut rules = always([CALLING, CALLING_OF_OLD, &[], &[]]);
        rules.insert(libc::SYS_mmap, vec![only(2, exec, 0)?]);
        rules.insert(libc::SYS_mprotect, vec![only(2, exec, 0)?]);
        rules.extend(own_signals()?);
        Some(rules)
    };
    rules().is_some_and(put_on)
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn always(lists: [&[libc::c_long]; 4]) -> Rules {
    lists.into_iter().flatten().map(|call| (*call, Vec::new())).collect()
}

/// `abort` and its like, which a process does to itself.
fn own_signals() -> Option<Rules> {
    let own = only(0, u64::from(u32::MAX), std::process::id().into())?;
    Some(BTreeMap::from([(libc::SYS_tgkill, vec![own])]))
}

/// Where that argument, under the mask, has that value.
fn only(place: u8, mask: u64, value: u64) -> Option<SeccompRule> {
    let is = SeccompCmpOp::MaskedEq(mask);
    let condition = SeccompCondition::new(place, SeccompCmpArgLen::Dword, is, value).ok()?;
    SeccompRule::new(vec![condition]).ok()
}

fn put_on(rules: Rules) -> bool {
    let Ok(arch) = std::env::consts::ARCH.try_into() else { return false };
    let forbidden = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, forbidden, SeccompAction::Allow, arch);
    let program: Option<BpfProgram> = filter.ok().and_then(|filter| filter.try_into().ok());
    program.is_some_and(|program| seccompiler::apply_filter(&program).is_ok())
}
