//! What a gateway needs of root, and how it gives up the rest.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};
use std::io;

/// The capabilities that a gateway keeps, with what each is for.
pub const NEEDED: [(&str, &str); 2] = [
    ("CAP_NET_RAW", "to receive and send frames"),
    ("CAP_NET_ADMIN", "to keep the host's own stack away from the interfaces"),
];

const KEPT: CapabilitySet = CapabilitySet::NET_RAW.union(CapabilitySet::NET_ADMIN);

/// Those of [`NEEDED`] that the process lacks.
///
/// # Errors
/// The system's.
pub fn missing() -> io::Result<Vec<(&'static str, &'static str)>> {
    let held = capabilities(None)?.effective;
    let flags = [CapabilitySet::NET_RAW, CapabilitySet::NET_ADMIN];
    Ok(NEEDED.iter().zip(flags).filter(|(_, flag)| !held.contains(*flag)).map(|(name, _)| *name).collect())
}

/// Gives up every capability but [`NEEDED`], for this thread and all programs that it starts, for good.
///
/// # Errors
/// The system's.
pub fn drop_others() -> io::Result<()> {
    let held = capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all().difference(KEPT).iter() {
            // A capability that this kernel does not know cannot be in the set.
            let _ = remove_capability_from_bounding_set(capability);
        }
    }
    set_no_new_privs(true)?;
    let kept = held.permitted.intersection(KEPT);
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    Ok(())
}
