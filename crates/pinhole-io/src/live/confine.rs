//! What a gateway that runs cannot do any more, whatever is found in it: a filter of system calls (seccomp) and one of files (Landlock).
//!
//! Both hold for this thread, for those that it starts from now on and for the programs that they run (`nft`), for good. They come after everything
//! is open: the calls that are refused are those that no part of a gateway needs, and the files that may be written are named. A kernel
//! that has no Landlock leaves that part out.

use landlock::{
    ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, path_beneath_rules,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// System calls that fail with EPERM: of other processes' memory, of mounts and namespaces, of the kernel itself.
const REFUSED: [i64; 29] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_acct,
];

/// Commands of bpf(2) that are left: to look at, change and remove what lies in maps. Of the others (0, and from here on) none is.
const FIRST_REFUSED_OF_BPF: u64 = 4;

/// The newest rights that are asked for; an older kernel gives those that it knows.
const RIGHTS: ABI = ABI::V3;

/// What may still be changed in the file system.
#[derive(Clone, Debug, Default)]
pub struct Writable {
    /// Files, and folders with all that is in them, that may be made, written and removed.
    pub all: Vec<PathBuf>,
    /// Folders whose files may be removed.
    pub removable: Vec<PathBuf>,
}

/// How far a gateway is confined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// System calls and files.
    Full,
    /// System calls only: the kernel has no Landlock.
    WithoutLandlock,
}

/// Confines this thread and what it starts. It must have given up its privileges before.
///
/// # Errors
/// The system's; a path of `writable` cannot be opened.
pub fn confine(writable: &Writable) -> io::Result<Confinement> {
    let confinement = confine_files(writable).map_err(io::Error::other)?;
    let mut rules = REFUSED.into_iter().map(|number| (number, Vec::new())).collect::<BTreeMap<_, _>>();
    rules.insert(libc::SYS_bpf, bpf_commands().map_err(io::Error::other)?);
    let arch = std::env::consts::ARCH.try_into().map_err(io::Error::other)?;
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(io::Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(io::Error::other)?;
    seccompiler::apply_filter(&program).map_err(io::Error::other)?;
    Ok(confinement)
}

/// The commands of bpf(2) that are refused: those that make and load.
fn bpf_commands() -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
    let is = |operator, value| SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, value);
    [is(SeccompCmpOp::Eq, 0), is(SeccompCmpOp::Ge, FIRST_REFUSED_OF_BPF)]
        .into_iter()
        .map(|condition| SeccompRule::new(vec![condition?]))
        .collect()
}

/// All may be read and run, what is named may be changed, and nothing else.
fn confine_files(writable: &Writable) -> Result<Confinement, landlock::RulesetError> {
    let status = Ruleset::default()
        .handle_access(AccessFs::from_all(RIGHTS))?
        .create()?
        .add_rules(path_beneath_rules(["/"], AccessFs::from_read(RIGHTS)))?
        .add_rules(path_beneath_rules(["/dev"], AccessFs::from_file(RIGHTS)))?
        .add_rules(path_beneath_rules(&writable.all, AccessFs::from_all(RIGHTS)))?
        .add_rules(path_beneath_rules(&writable.removable, AccessFs::RemoveFile))?
        .restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::NotEnforced => Confinement::WithoutLandlock,
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Confinement::Full,
    })
}
