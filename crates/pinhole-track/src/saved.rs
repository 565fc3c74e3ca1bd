//! What of a tracker outlives a restart: conns, expectations and calls as plain data, without the places they had in the tables.

use crate::l4::L4;
use crate::{ConnId, Counters, ExpectationId, Tuple};
use pinhole_helper::BlindReason;
use pinhole_wire::Time;
use serde::{Deserialize, Serialize};

/// A conn. Ids are those of the tracker that saved it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedConn {
    /// Its id.
    pub id: ConnId,
    /// Original tuple.
    pub original: Tuple,
    /// Reply tuple, if it is not the inverse of the original one.
    pub reply: Option<Tuple>,
    /// First packet.
    pub start: Time,
    /// Master, if it was expected.
    pub master: Option<ConnId>,
    /// The expectation that it fulfilled.
    pub expectation: Option<ExpectationId>,
    /// Number of the attached helper.
    pub helper: Option<u16>,
    /// Why its helper reads it no more.
    pub blind: Option<BlindReason>,
    /// Number of the timeout policy that it follows; zero is the tracker's own.
    pub policy: u16,
    pub(crate) status: u32,
    pub(crate) deadline: Time,
    pub(crate) mark: u32,
    pub(crate) labels: [u8; 16],
    pub(crate) counters: [Counters; 2],
    pub(crate) l4: L4,
}

impl SavedConn {
    /// Packets of the conn may have passed since it was saved: where they stand is learned anew from the next ones.
    pub fn forget_windows(&mut self) {
        if let L4::Tcp(tcp) = &mut self.l4 {
            tcp.forget_windows();
        }
    }
}

/// A call of PPTP.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SavedCall {
    /// Its control conn.
    pub master: ConnId,
    /// Its packets, with the keys of both ends.
    pub packets: Vec<Tuple>,
    /// What announced it.
    pub expectations: Vec<ExpectationId>,
}

/// Why something that was saved cannot be in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrestorable {
    /// Its time has passed.
    #[error("its time has passed")]
    Expired,
    /// There is no room for it.
    #[error("there is no room for it")]
    Full,
    /// Something else has its place.
    #[error("its place is taken")]
    Taken,
    /// Nothing like it can be.
    #[error("it contradicts itself")]
    Unsound,
}
