//! The oracle: one packet in, what the kernel made of it out.

use std::io;
use std::time::{Duration, Instant};

use super::expectation::ExpectationEvents;
use super::nflog::PacketLog;
use super::observe::{LOG_GROUP, Observation};
use super::router::{self, OracleSettings};
use super::tun::Tun;
use super::{OracleError, namespace};

/// How long to wait for the log of a packet that seems not to have been logged. The kernel handles a packet before the
/// write that delivers it returns; this is for a machine so loaded that a softirq is put off.
const PATIENCE: Duration = Duration::from_millis(2);

/// A router in a network namespace of its own, with the running kernel's conntrack, helpers and nftables.
#[derive(Debug)]
pub struct Oracle {
    ingress: Tun,
    egress: Tun,
    log: PacketLog,
    expectations: ExpectationEvents,
}

impl Oracle {
    /// Sets up the router.
    ///
    /// This moves the **calling thread** into a new network namespace, for good: call it on a thread that does nothing
    /// else with the network. The oracle itself may be used from any thread.
    ///
    /// # Errors
    /// Missing privileges or programs, a ruleset that `nft` refuses, a setting that the kernel does not have.
    pub fn start(settings: &OracleSettings) -> Result<Self, OracleError> {
        namespace::enter().map_err(OracleError::Namespace)?;
        let ingress = create(&settings.ingress)?;
        let egress = create(&settings.egress)?;
        router::configure(settings)?;
        let log = PacketLog::open(LOG_GROUP)
            .map_err(|source| OracleError::Netlink { operation: "binding the log group", source })?;
        let expectations = ExpectationEvents::open()
            .map_err(|source| OracleError::Netlink { operation: "subscribing to expectations", source })?;
        Ok(Self { ingress, egress, log, expectations })
    }

    /// Sends one IP datagram through the router. See [`super::repair`] for what a captured datagram needs first.
    ///
    /// What comes out with its hop limit lowered by one was forwarded; what goes to the datagram's source otherwise is an
    /// answer of the router's.
    ///
    /// # Errors
    /// [`OracleError::Refused`] if the kernel does not take the bytes for a packet, after which the oracle can go on;
    /// any other error is final.
    pub fn packet(&mut self, datagram: &[u8]) -> Result<Observation, OracleError> {
        self.ingress.write(datagram).map_err(OracleError::Refused)?;
        let mut observation = Observation::default();
        self.log
            .prefixes(PATIENCE, |prefix| observation.note(prefix))
            .map_err(|source| OracleError::Netlink { operation: "reading the log", source })?;
        self.collect(datagram, &mut observation)
            .map_err(|source| OracleError::Tun { name: "egress".to_owned(), source })?;
        observation.expectations = self
            .expectations
            .drain()
            .map_err(|source| OracleError::Netlink { operation: "reading expectation events", source })?;
        Ok(observation)
    }

    /// What else comes out by the egress device for the latest datagram, within so long: a busy machine may put off what is sent by a queue.
    ///
    /// # Errors
    /// The device's.
    pub fn look_again(&mut self, datagram: &[u8], patience: Duration) -> Result<Observation, OracleError> {
        let egress = |source| OracleError::Tun { name: "egress".to_owned(), source };
        let mut observation = Observation::default();
        let begun = Instant::now();
        while begun.elapsed() < patience && observation.forwarded.is_empty() && observation.answers.is_empty()
        {
            std::thread::sleep(PATIENCE);
            self.collect(datagram, &mut observation).map_err(egress)?;
        }
        Ok(observation)
    }

    /// Sorts what came out by the egress device.
    fn collect(&mut self, datagram: &[u8], observation: &mut Observation) -> io::Result<()> {
        let forwarded_hops = hop_limit(datagram).and_then(|hops| hops.checked_sub(1));
        let source = addresses(datagram).map(|(source, _)| source);
        while let Some(packet) = self.egress.read()? {
            if hop_limit(packet) == forwarded_hops {
                observation.forwarded.push(packet.to_vec());
            } else if addresses(packet).map(|(_, destination)| destination) == source {
                observation.answers.push(packet.to_vec());
            }
            // What remains is the router's own chatter: neighbour and multicast listener discovery.
        }
        Ok(())
    }
}

fn create(name: &str) -> Result<Tun, OracleError> {
    Tun::create(name).map_err(|source| OracleError::Tun { name: name.to_owned(), source })
}

/// The hop limit of an IPv6 or the TTL of an IPv4 datagram.
fn hop_limit(datagram: &[u8]) -> Option<u8> {
    let offset = match datagram.first()? >> 4 {
        4 => 8,
        6 => 7,
        _ => return None,
    };
    datagram.get(offset).copied()
}

/// Source and destination address as they stand in the header.
fn addresses(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    match datagram.first()? >> 4 {
        4 => Some((datagram.get(12..16)?, datagram.get(16..20)?)),
        6 => Some((datagram.get(8..24)?, datagram.get(24..40)?)),
        _ => None,
    }
}
