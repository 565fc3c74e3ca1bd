//! Captures that show one side of a translating firewall.
//!
//! A capture from inside holds answers as the inside hosts get them: addressed to themselves, and acknowledging bytes as they sent them.
//! A firewall that translates expects them as the other side sends them: addressed to the public end, and acknowledging what
//! was rewritten. [`OneSided`] makes the second out of the first, packet by packet, from what the engine knows at that moment:
//!
//! * a packet that bears a tuple of a known conn is on its right side, and stays;
//! * one that bears the inverse of such a tuple shows the other side of the firewall, and gets the conn's tuple for its direction;
//! * one to an end that an expectation stands for, or that `--nat dnat:…` says is behind a public one, gets that public end.
//!
//! The same holds for captures from outside, where the answers of a server behind `dnat` come from its public address.

use crate::arguments::NatMapping;
use pinhole_engine::{Engine, Frame};
use pinhole_nat::{Binding, ChecksumField};
use pinhole_track::Tuple;
use pinhole_wire::{Address, Direction, LinkType, Packet, link};
use std::net::SocketAddr;

/// Turns frames into what would have come to the firewall.
pub struct OneSided {
    mappings: Vec<NatMapping>,
}

impl OneSided {
    /// For a firewall with these `--nat` mappings.
    pub fn new(mappings: Vec<NatMapping>) -> Self {
        Self { mappings }
    }

    /// The frame that would have come in place of one that was captured.
    pub fn arriving(&self, engine: &Engine, captured: &Frame<'_>, frame: &mut Vec<u8>) {
        if engine.view_from_outside(captured, frame).is_none() {
            frame.clear();
            frame.extend_from_slice(captured.bytes);
            self.address(engine, captured.link, frame);
        }
    }

    /// Addresses the first packet of a conn to the public end that stands for the inside one that it shows.
    fn address(&self, engine: &Engine, link: LinkType, frame: &mut [u8]) {
        let Some(packet) = parse(link, frame) else { return };
        let shown = Tuple::of(&packet);
        if engine.tracker().conn_of(&shown).is_some() {
            return;
        }
        let end = SocketAddr::new(shown.destination.ip(shown.version), shown.destination_port);
        let public = self.mappings.iter().find_map(|mapping| mapping.public_end_of(end));
        let Some(public) = public else { return };
        let destination = Address::from(public.ip());
        let real = Tuple { destination, destination_port: public.port(), ..shown };
        if let Some(Ok(binding)) = real.inverse().map(|answer| Binding::new(&shown, &answer)) {
            // What cannot be translated is not of a kind that could be expected or forwarded: it stays as it is.
            let _ = binding.translate(Direction::Original, frame, &packet, ChecksumField::Full);
        }
    }
}

fn parse(link: LinkType, frame: &[u8]) -> Option<Packet> {
    let network = link::strip(link, frame).ok()?;
    Packet::parse(frame, network.offset).ok()
}
