//! The two that translate: the running kernel, and pinhole.

use pinhole_engine::{
    ChecksumPolicy, Engine, Frame, FrameChecksum, InterfaceId, NatHelpers, Settings, Topology, Verdict,
};
use pinhole_io::kernel::{self, Oracle, OracleError, OracleSettings};
use pinhole_track::State;
use pinhole_wire::{Direction, LinkType, Time};

/// Translates one datagram after the other.
pub(crate) trait Judge {
    /// What leaves in a datagram's stead.
    fn pass(&mut self, datagram: &[u8]) -> Option<Vec<u8>>;

    /// State and direction of the datagram that came last.
    fn state(&self) -> (Option<State>, Option<Direction>);
}

/// The running kernel.
pub(crate) struct Kernel {
    oracle: Oracle,
    last: (Option<State>, Option<Direction>),
}

impl Kernel {
    /// Takes the calling thread into a network namespace.
    pub(crate) fn start(ruleset: &str) -> Result<Self, OracleError> {
        // `udplite-checksum` in docs/divergences.md.
        let sysctls = vec![("net.netfilter.nf_conntrack_checksum".to_owned(), "0".to_owned())];
        let ruleset = Some(ruleset.to_owned());
        let settings = OracleSettings { sysctls, ruleset, ..OracleSettings::default() };
        Oracle::start(&settings).map(|oracle| Self { oracle, last: (None, None) })
    }
}

impl Judge for Kernel {
    fn pass(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let observed = self.oracle.packet(datagram).unwrap();
        let state = observed.state.map(|state| match state {
            kernel::State::New => State::New,
            kernel::State::Established => State::Established,
            kernel::State::Related => State::Related,
            kernel::State::Invalid => State::Invalid,
            kernel::State::Untracked => State::Untracked,
        });
        self.last = (state, observed.direction);
        observed.forwarded.into_iter().next()
    }

    fn state(&self) -> (Option<State>, Option<Direction>) {
        self.last
    }
}

/// Whether an error says that there is no kernel to ask here.
pub(crate) fn cannot_ask(error: &OracleError) -> bool {
    match error {
        OracleError::Namespace(_) | OracleError::Tun { .. } => true,
        OracleError::Program { message, .. } => message.contains("cannot run it"),
        _ => false,
    }
}

/// Our engine, under a clock that stands still.
pub(crate) struct Pinhole {
    engine: Engine,
    ways: [InterfaceId; 2],
    number: u64,
    last: (Option<State>, Option<Direction>),
}

impl Pinhole {
    pub(crate) fn start(ruleset: &str) -> Self {
        let ruleset = pinhole_ruleset::compile_text("ruleset.nft", ruleset).unwrap();
        let mut topology = Topology::new();
        let ways = ["tin", "tout"].map(|name| topology.interface(name));
        let mut settings = Settings { topology, checksums: ChecksumPolicy::Verify, ..Settings::default() };
        // The router's address on the way out.
        settings.nat.addresses.push((ways[1], "192.0.2.253".parse().unwrap()));
        settings.nat.helpers = NatHelpers::new(pinhole_helpers::nat_helpers());
        let engine = Engine::new(settings, pinhole_helpers::registry(), Some(ruleset)).unwrap();
        Self { engine, ways, number: 0, last: (None, None) }
    }
}

impl Judge for Pinhole {
    fn pass(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        self.number += 1;
        let outcome = self.engine.handle(&Frame {
            number: self.number,
            time: Time::from_seconds(1_000_000_000),
            link: LinkType::RAW,
            bytes: datagram,
            ingress: Some(self.ways[0]),
            egress: Some(self.ways[1]),
            checksum: FrameChecksum::Unknown,
        });
        while self.engine.next_event().is_some() {}
        self.last = (outcome.state, outcome.conn.map(|_| outcome.direction));
        let made = self.engine.output().next().map(|made| made.packet(datagram));
        (outcome.verdict == Verdict::Accept).then(|| made.unwrap_or_else(|| datagram.to_vec()))
    }

    fn state(&self) -> (Option<State>, Option<Direction>) {
        self.last
    }
}
