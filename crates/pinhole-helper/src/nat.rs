//! The NAT half of a helper.
//!
//! The conntrack half says where in the stream an announced endpoint stands and in which notation
//! ([`Action::Locate`](crate::Action::Locate)). When NAT gives the expected conn another endpoint, the host asks the NAT half of
//! the same name for the bytes to put there. It knows notations, nothing else: which endpoint it is, how lengths and sequence
//! numbers follow, and whether the packet passes at all are the host's affair. Without a NAT half the conn is tracked and its
//! payload left alone.

use crate::Field;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// Writes endpoints in the notations of one protocol.
pub trait NatHelper: Send + Sync {
    /// The name of the helper that it belongs to ([`Spec::name`](crate::Spec)).
    fn name(&self) -> &str;

    /// Appends to `out` what shall stand in place of `old`, the located bytes of notation `field`, to announce `endpoint`.
    ///
    /// # Errors
    /// When the endpoint cannot be written so; `out` is unchanged then.
    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable>;
}

impl<H: NatHelper + ?Sized> NatHelper for &H {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        (**self).encode(field, endpoint, old, out)
    }
}

impl<H: NatHelper + ?Sized> NatHelper for Box<H> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn encode(
        &self,
        field: Field,
        endpoint: SocketAddr,
        old: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unencodable> {
        (**self).encode(field, endpoint, old, out)
    }
}

/// Why an endpoint cannot be written in a notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unencodable {
    /// The notation is none of this protocol's.
    Notation,
    /// The notation has no room for an address of this family.
    AddressFamily,
}

impl Unencodable {
    /// A short stable name, for machine-readable output.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Notation => "notation",
            Self::AddressFamily => "address-family",
        }
    }
}

impl core::fmt::Display for Unencodable {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Notation => "the NAT helper does not know the notation",
            Self::AddressFamily => "the notation has no room for an address of this family",
        })
    }
}

impl core::error::Error for Unencodable {}
