//! The running kernel as an oracle: the same packets, the same ruleset, and what netfilter makes of them.
//!
//! [`Oracle`] puts a router of its own into a fresh network namespace: datagrams are written to one TUN device and leave by
//! another. A log rule in front of every other rule reports the state that conntrack gave each packet; whether the packet
//! comes out tells the ruleset's verdict; ctnetlink tells the expectations that the kernel's helpers made.
//! Nothing of the host is touched. It needs `CAP_SYS_ADMIN` and `CAP_NET_ADMIN` (root), `nft` and `ip`.
//!
//! Time is the wall clock: a capture replayed without pauses is seen under an almost frozen clock.

mod expectation;
mod namespace;
mod netlink;
mod nflog;
mod observe;
mod oracle;
mod repair;
mod router;
mod tun;

#[cfg(test)]
mod tests;

pub use expectation::{ExpectationEvent, ExpectationEventKind, KernelTuple};
pub use observe::{Observation, State, Status};
pub use oracle::Oracle;
pub use repair::{Repair, repair};
pub use router::{HelperAssignment, OracleSettings};

use std::io;

/// Why the oracle cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OracleError {
    /// No network namespace of its own (it takes `CAP_SYS_ADMIN`).
    #[error("cannot enter a network namespace of its own: {0}")]
    Namespace(#[source] io::Error),
    /// A TUN device cannot be made or used.
    #[error("TUN device {name}: {source}")]
    Tun {
        /// The device's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A kernel setting cannot be written.
    #[error("sysctl {name}: {source}")]
    Sysctl {
        /// The setting's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program that sets up the router failed.
    #[error("{program}: {message}")]
    Program {
        /// The program.
        program: &'static str,
        /// What it said.
        message: String,
    },
    /// A netlink socket cannot be set up or read.
    #[error("netlink, {operation}: {source}")]
    Netlink {
        /// What was being done.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel did not take the bytes for a packet. The oracle can go on with the next one.
    #[error("the kernel refused the packet: {0}")]
    Refused(#[source] io::Error),
}
