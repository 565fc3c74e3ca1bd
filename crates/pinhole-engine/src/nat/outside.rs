//! Captures of one side: what a frame was before it was translated.

use super::{Nat, binding};
use crate::frame::Frame;
use crate::host::Host;
use pinhole_helper::PortMatch;
use pinhole_nat::{Binding, ChecksumField};
use pinhole_track::{ConnId, Tracker, Tuple};
use pinhole_wire::link::{self, NetworkKind};
use pinhole_wire::{Direction, Packet};

impl Nat {
    pub(crate) fn view_from_outside(
        &self,
        tracker: &Tracker,
        host: &Host,
        frame: &Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Option<ConnId> {
        let network = link::strip(frame.link, frame.bytes).ok()?;
        if matches!(network.kind, NetworkKind::Other(_)) {
            return None;
        }
        let packet = Packet::parse(frame.bytes, network.offset).ok()?;
        let (about, is_error) = match packet.quoted(frame.bytes) {
            None => (packet, false),
            Some(quoted) => (quoted.ok()?, true),
        };
        let Some((conn, quoted)) = self.leaves_as(tracker, &about, is_error) else {
            return if is_error { None } else { expected_from_outside(tracker, host, frame, &packet, out) };
        };
        let direction = if is_error { quoted.opposite() } else { quoted };
        out.clear();
        out.extend_from_slice(frame.bytes);
        if binding(tracker, conn)?.undone().translate(direction, out, &packet, ChecksumField::Full).is_err() {
            out.clear();
            return None;
        }
        let translation = tracker.translation(conn).and_then(|kept| self.translation(kept));
        if let Some(payload) = translation.and_then(|it| it.payload.as_ref()).filter(|_| !is_error) {
            payload.conversation.restore(direction, out, &packet);
        }
        Some(conn)
    }

    /// The translated conn whose packets leave as this one is, and their direction. What an ICMP error quotes has not come yet: it bears
    /// what packets that come in bear.
    fn leaves_as(&self, tracker: &Tracker, packet: &Packet, comes: bool) -> Option<(ConnId, Direction)> {
        let tuple = Tuple::of(packet);
        let (conn, direction) = if comes {
            tracker.conn_of(&tuple)?
        } else {
            let (conn, answers) = tracker.conn_of(&tuple.inverse()?)?;
            (conn, answers.opposite())
        };
        tracker.translation(conn)?;
        Some((conn, direction))
    }
}

/// A packet that opens an expected conn, addressed to the end that was announced outside. The conn is the master's.
fn expected_from_outside(
    tracker: &Tracker,
    host: &Host,
    frame: &Frame<'_>,
    packet: &Packet,
    out: &mut Vec<u8>,
) -> Option<ConnId> {
    let shown = Tuple::of(packet);
    if tracker.conn_of(&shown).is_some() {
        return None;
    }
    let (outer, master) = tracker.expectations().find_map(|expectation| {
        let follow = host.follow(expectation.id)?;
        let PortMatch::Exact(port) = expectation.expect.destination_port else { return None };
        let leads_here =
            (follow.destination, follow.port(port)) == (shown.destination, shown.destination_port);
        let fits = leads_here && expectation.expect.protocol == shown.protocol;
        let destination = expectation.expect.destination.into();
        fits.then_some((Tuple { destination, destination_port: port, ..shown }, expectation.master))
    })?;
    let binding = Binding::new(&shown, &outer.inverse()?).ok()?;
    out.clear();
    out.extend_from_slice(frame.bytes);
    binding.translate(Direction::Original, out, packet, ChecksumField::Full).ok()?;
    Some(master)
}
