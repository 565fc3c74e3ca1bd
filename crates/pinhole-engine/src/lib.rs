//! The path of a packet.
//!
//! ```text
//! frame ─► link ─► parse ─► defragment ─► checksum ─► raw chains ─► track ─► chains of the hooks ─► confirm ─► helper ─► outcome
//! ```
//!
//! [`Engine`] is sans-IO: frames and time come in, [`Outcome`]s and [`Event`]s come out; the same input gives the same output, to the
//! byte. One engine is one shard, owned by one thread.
//!
//! * [`engine`]: the path itself, packet by packet and in batches.
//! * `stage`: the first passes over a batch.
//! * [`host`]: what carries out the requests of helper sessions: admission, provenance, refusals.
//! * `rules` and `scene`: which chains a packet meets, what a rule sees of a packet, and what it may change.
//! * [`nat`]: what becomes of conns whose ends are translated.
//! * [`event`]: outcomes, reasons and events: the data that `explain` is made of.
//! * [`state`]: what outlives a restart.
//! * [`shard`]: which packets and ports are an engine's, if it is one of several.
//! * [`defrag`]: fragments are put together before tracking.
//! * [`prefixes`]: values by address range.
//! * [`topology`]: hooks and interface names from addresses, where no real interfaces are known.
#![forbid(unsafe_code)]

pub mod defrag;
pub mod engine;
pub mod event;
pub mod frame;
pub mod host;
pub mod nat;
pub mod prefixes;
mod rules;
mod scene;
pub mod settings;
pub mod shard;
mod stage;
pub mod state;
pub mod topology;

pub use engine::{Engine, PreparedRuleset, Saving, UnloadError};
pub use event::{
    Event, ExpectationRecord, Logged, Outcome, Provenance, Reason, RefusalRecord, RuleRef, Verdict,
};
pub use frame::{Frame, FrameChecksum};
pub use host::LoadError;
pub use nat::{
    Content, Emission, EmissionKind, Filtering, NatBehaviour, NatFailure, NatHelpers, NatRule, NatSettings,
    NatStatistics, Patch, PortMapping, TranslatedBy,
};
pub use settings::{Attachment, ChecksumPolicy, OnFault, Settings, SetupError};
pub use shard::{AddressRange, Shard, Spread, Steering};
pub use state::{Restored, State, StateError};
pub use topology::{Cidr, InterfaceId, Topology};
