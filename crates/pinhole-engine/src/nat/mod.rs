//! NAT: what becomes of conns whose ends are translated.
//!
//! ```text
//! first packet ─► chains ─► destination decided ─► route ─► chains ─► source decided ─► chains ─► confirm ─► Translation
//! later packets ─► tracker (either tuple) ─► chains, in the same order ─► Translation ─► output
//! ```
//!
//! * `engine::translate`: the way of a packet whose conn is, or may become, translated.
//! * `course`: the two ends of a conn while they are decided; what rules and settings ask for.
//! * `choose`: which tuple a conn gets, as netfilter chooses; `allot`: where the settings ask for more (`behaviour`).
//! * `allocation`: what conns hold of the outside: `pools` (ports in use), `blocks` (ports of one host), `mappings` (inner ends with one outer end),
//!   `reuse` (ends that a source has already).
//! * `output`: where packets that were changed, or what changes of them, lie until the caller has sent them.
//! * `settings`: what is set up besides the ruleset; `halves`: the NAT halves of helpers.
//!
//! What a translated conn holds is kept from when it is confirmed until the tracker delivers it as dead; its port becomes free then. Most conns hold
//! nothing but what follows from their tuples: of these a number says so (`Kept`), which the tracker has. Others have a `Translation`.

mod acknowledge;
mod allocation;
mod allot;
mod behaviour;
mod blocks;
mod choose;
mod course;
mod halves;
mod mappings;
mod output;
mod outside;
mod payload;
mod pools;
mod reuse;
mod saved;
mod settings;
mod slots;

pub use behaviour::{Filtering, NatBehaviour, PortMapping};
pub use output::{Content, Emission, EmissionKind};
pub use pinhole_nat::Patch;
pub use settings::{NatHelpers, NatRule, NatSettings};

pub(crate) use acknowledge::acknowledgement;
pub(crate) use allocation::Holding;
pub(crate) use choose::{Side, has_ports};
pub(crate) use course::Course;
pub(crate) use halves::Halves;
pub(crate) use output::Output;
pub(crate) use payload::{AT_ONCE, Entered, Held, Payload};
pub(crate) use saved::{Reused, SavedTranslation};

use crate::event::Reason;
use crate::shard::Shard;
use allocation::{Allocation, Known, Lease};
use pinhole_nat::Binding;
use pinhole_ruleset::RuleId;
use pinhole_track::{ConnId, Tracker, Tuple};
use pinhole_wire::{Direction, Protocol, Time};
use pools::{Draws, Port};
use slots::Slots;

/// Most conns of which something is held at a time.
const MOST_HOLDING: usize = 1024;
/// And most of these that one host opened.
const MOST_HOLDING_OF_ONE: usize = 64;

/// Counters of NAT.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatStatistics {
    /// Conns that were translated.
    pub conns: u64,
    /// Packets that were translated.
    pub packets: u64,
    /// First packets dropped because no port was free.
    pub exhausted: u64,
    /// First packets dropped because the interface has no address to masquerade as or redirect to.
    pub no_address: u64,
    /// Packets of translated conns dropped because they cannot be translated.
    pub untranslatable: u64,
    /// Announcements that were read after a part of them had been forwarded: their receiver has them as they were.
    pub late: u64,
}

/// The NAT of one engine.
pub(crate) struct Nat {
    pub(crate) settings: NatSettings,
    pub(crate) halves: Halves,
    /// Whether the ruleset has chains that translate.
    pub(crate) ruled: bool,
    pub(crate) statistics: NatStatistics,
    pub(crate) output: Output,
    /// Which of several this engine is.
    pub(crate) shard: Option<Box<Shard>>,
    allocation: Allocation,
    draws: Draws,
    pub(crate) slots: Slots,
    /// Slots of conns of which something is held; some may not be so any more.
    holding: Vec<u32>,
    /// The packet at hand, and what it grew beyond the longest segment.
    pub(crate) scratch: Vec<u8>,
    pub(crate) further: Vec<u8>,
}

/// Why a new conn cannot be translated, or led anywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    Exhausted,
    NoAddress,
    Clash,
    NoRoute,
}

impl Refused {
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Self::Exhausted => Reason::NatExhausted,
            Self::NoAddress => Reason::NatNoAddress,
            Self::Clash => Reason::Clash,
            Self::NoRoute => Reason::NoRoute,
        }
    }

    /// What an event tells of it.
    pub(crate) const fn told(self) -> Option<NatFailure> {
        match self {
            Self::Exhausted => Some(NatFailure::Exhausted),
            Self::NoAddress => Some(NatFailure::NoAddress),
            Self::Clash | Self::NoRoute => None,
        }
    }
}

/// What asked for another end of a conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TranslatedBy {
    /// A rule.
    Rule(RuleId),
    /// A [`NatRule`].
    Setting,
    /// The mapping of the inner end that the destination stands for.
    Mapping,
    /// The conn turns round here: [`NatBehaviour::hairpin`].
    Hairpin,
}

/// Why no translation was found for a new conn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NatFailure {
    /// Every port that would do is in use.
    Exhausted,
    /// The interface has no address, or the address is one that cannot be translated.
    NoAddress,
}

/// What is kept of a translated conn, as the number that the tracker has of it tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// What follows from its tuples.
    Told {
        /// The port that its packets leave bearing is no other conn's.
        port: bool,
        /// Other conns of its source may be given the end that it has outside.
        reuse: bool,
    },
    /// All of this translation.
    Translation(u32),
}

impl Kept {
    const PORT: u32 = 1;
    const REUSE: u32 = 2;
    /// Numbers below say all there is.
    const SLOTS: u32 = 4;

    const fn of(number: u32) -> Self {
        if number < Self::SLOTS {
            Self::Told { port: number & Self::PORT != 0, reuse: number & Self::REUSE != 0 }
        } else {
            Self::Translation(number)
        }
    }
}

/// What is kept of a translated conn that holds more than a port, or whose payload is rewritten.
pub(crate) struct Translation {
    pub(crate) conn: ConnId,
    holding: Holding,
    /// If a helper reads the conn, and has its NAT half.
    pub(crate) payload: Option<Box<Payload>>,
}

impl Holding {
    /// The number that says all of it, for a conn that came and leaves so.
    fn told(&self, original: &Tuple, leaving: &Tuple) -> Option<u32> {
        let port = match self.lease {
            Some(Lease::Port { port, block: None }) if Some(port) == told_port(leaving) => Kept::PORT,
            None => 0,
            Some(_) => return None,
        };
        let reuse = match &self.reuse {
            Some(known) if *known == Known::of(original, leaving) => Kept::REUSE,
            None => 0,
            Some(_) => return None,
        };
        if self.through.is_none() { Some(port | reuse) } else { None }
    }
}

/// The port of its own that a conn has whose packets leave so, if it has one. Such have TCP and UDP only: tuples of others can be inverted in more
/// than one way.
fn told_port(leaving: &Tuple) -> Option<Port> {
    matches!(leaving.protocol, Protocol::TCP | Protocol::UDP).then(|| Port::of(leaving))
}

/// What is made of the headers of a conn's packets.
pub(crate) fn binding(tracker: &Tracker, conn: ConnId) -> Option<Binding> {
    Binding::new(&tracker.original(conn)?, &tracker.reply(conn)?).ok()
}

impl Nat {
    pub(crate) fn new(settings: NatSettings, ruled: bool, secret: [u64; 2]) -> Self {
        Self {
            halves: Halves::new(&settings.helpers),
            settings,
            ruled,
            statistics: NatStatistics::default(),
            output: Output::default(),
            shard: None,
            allocation: Allocation::new(secret),
            draws: Draws::new(secret),
            slots: Slots::default(),
            holding: Vec::new(),
            scratch: Vec::new(),
            further: Vec::new(),
        }
    }

    /// Whether first packets are to be decided about at all.
    pub(crate) fn is_active(&self) -> bool {
        self.ruled || !self.settings.rules.is_empty()
    }

    pub(crate) fn count(&mut self, refused: Refused) {
        match refused {
            Refused::Exhausted => self.statistics.exhausted += 1,
            Refused::NoAddress => self.statistics.no_address += 1,
            Refused::Clash | Refused::NoRoute => {}
        }
    }

    pub(crate) fn translation(&self, slot: u32) -> Option<&Translation> {
        self.slots.get(slot)
    }

    pub(crate) fn translation_mut(&mut self, slot: u32) -> Option<&mut Translation> {
        self.slots.get_mut(slot)
    }

    /// The NAT halves, a source of ports to try, and which of them are others'.
    pub(crate) fn for_rewriting(&mut self) -> (&Halves, &mut Draws, Option<&Shard>) {
        (&self.halves, &mut self.draws, self.shard.as_deref())
    }

    /// Whether there is room for another conn of which something is held.
    pub(crate) fn may_hold(&self, tracker: &Tracker, binding: &Binding) -> bool {
        let initiator = binding.arrives(Direction::Original).source;
        let held = self.holding.iter().filter_map(|&slot| tracker.original(self.translation(slot)?.conn));
        let of_one = held.filter(|held| held.source == initiator).count();
        self.holding.len() < MOST_HOLDING && of_one < MOST_HOLDING_OF_ONE
    }

    #[inline]
    pub(crate) fn is_holding(&self) -> bool {
        !self.holding.is_empty()
    }

    pub(crate) fn note_holding(&mut self, slot: u32) {
        if !self.holding.contains(&slot) {
            self.holding.push(slot);
        }
    }

    /// When the first of the held lines is to be looked at.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.holding.iter().filter_map(|&slot| self.hold_deadline(slot)).min()
    }

    fn hold_deadline(&self, slot: u32) -> Option<Time> {
        let payload = self.translation(slot)?.payload.as_ref()?;
        payload.sides.iter().filter_map(|side| side.hold.deadline(&self.settings.hold)).min()
    }

    /// Takes the conns out whose held lines are due, and those of which nothing is held any more.
    pub(crate) fn holding_until(&mut self, now: Time) -> Vec<u32> {
        let holding = std::mem::take(&mut self.holding);
        let (later, due) = holding
            .into_iter()
            .filter(|&slot| self.hold_deadline(slot).is_some())
            .partition(|&slot| self.hold_deadline(slot).is_some_and(|deadline| deadline > now));
        self.holding = later;
        due
    }

    /// Keeps what a translated conn holds that came and leaves so. `false`: there are too many.
    fn keep(
        &mut self,
        tracker: &mut Tracker,
        conn: ConnId,
        (original, leaving): (&Tuple, &Tuple),
        holding: Holding,
        payload: Option<Box<Payload>>,
    ) -> bool {
        let is_read = payload.is_some() || tracker.session(conn).is_some();
        let number = match holding.told(original, leaving) {
            Some(number) if !is_read => Some(number),
            _ => self.slots.add(Translation { conn, holding, payload }),
        };
        tracker.set_translation(conn, number);
        number.is_some()
    }

    /// A translated conn with these tuples is gone.
    pub(crate) fn end(&mut self, kept: u32, original: &Tuple, reply: &Tuple) {
        let holding = match Kept::of(kept) {
            Kept::Told { port, reuse } => {
                let Some(leaving) = reply.inverse() else { return };
                let port = told_port(&leaving).filter(|_| port);
                Holding {
                    lease: port.map(|port| Lease::Port { port, block: None }),
                    through: None,
                    reuse: reuse.then(|| Known::of(original, &leaving)),
                }
            }
            Kept::Translation(slot) => match self.slots.remove(slot) {
                Some(gone) => gone.holding,
                None => return,
            },
        };
        if let Some(Known { source, address, port }) = &holding.reuse {
            self.allocation.reuse.leave(source, *address, *port);
        }
        self.give_back(&holding);
    }

    pub(crate) fn give_back(&mut self, holding: &Holding) {
        self.allocation.give_back(holding);
    }

    /// Ports in use by translated sources.
    pub(crate) fn ports(&self) -> u64 {
        self.allocation.pools.len()
    }

    /// Inner ends that have one outer end.
    pub(crate) fn mappings(&self) -> usize {
        self.allocation.mappings.len()
    }

    /// Ports tried for translated sources.
    pub(crate) fn tried(&self) -> u64 {
        self.allocation.tried
    }
}
