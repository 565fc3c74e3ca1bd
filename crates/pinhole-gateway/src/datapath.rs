//! What a gateway drives: a bridge or a router.

use crate::shards::Share;
use crate::{Bridge, Observer, Router, Statistics};
use pinhole_engine::{Engine, Steering};
use pinhole_io::live::Port;
use pinhole_wire::Time;
use std::io;

/// A bridge or a router.
pub enum Datapath {
    /// Frames go from one port to the other.
    Bridge(Box<Bridge>),
    /// Datagrams go where the host's routes lead.
    Router(Box<Router>),
}

impl Datapath {
    /// The engine.
    pub fn engine(&self) -> &Engine {
        match self {
            Self::Bridge(bridge) => bridge.engine(),
            Self::Router(router) => router.engine(),
        }
    }

    /// The engine, to be changed between two batches.
    pub fn engine_mut(&mut self) -> &mut Engine {
        match self {
            Self::Bridge(bridge) => bridge.engine_mut(),
            Self::Router(router) => router.engine_mut(),
        }
    }

    /// The ports; of a router also the ways to its host, behind the others.
    pub fn ports(&self) -> &[Box<dyn Port>] {
        match self {
            Self::Bridge(bridge) => bridge.ports(),
            Self::Router(router) => router.ports(),
        }
    }

    /// How many of the ports, the first ones, are no ways to the host.
    pub fn wires(&self) -> usize {
        match self {
            Self::Bridge(bridge) => bridge.ports().len(),
            Self::Router(router) => router.ports().len() / 2,
        }
    }

    /// The ports, to be asked for what they lost.
    pub fn ports_mut(&mut self) -> &mut [Box<dyn Port>] {
        match self {
            Self::Bridge(bridge) => bridge.ports_mut(),
            Self::Router(router) => router.ports_mut(),
        }
    }

    /// Conns whose packets the kernel carries now.
    pub fn carried(&self) -> usize {
        match self {
            Self::Bridge(_) => 0,
            Self::Router(router) => router.carried(),
        }
    }

    /// Takes back what the kernel carries, so that all is known of it: before conns are saved.
    pub fn recall_all(&mut self, now: Time) {
        if let Self::Router(router) = self {
            router.recall_all(now);
        }
    }

    /// Counters.
    pub fn statistics(&self) -> &Statistics {
        match self {
            Self::Bridge(bridge) => bridge.statistics(),
            Self::Router(router) => router.statistics(),
        }
    }

    /// Takes what has come in by a port, at most one batch. Returns how many frames that were: a full batch means that there may be more.
    ///
    /// # Errors
    /// The port's; frames that came before the error are handled.
    pub fn serve(&mut self, now: Time, side: usize, observer: &mut dyn Observer) -> io::Result<usize> {
        match self {
            Self::Bridge(bridge) => bridge.serve(now, side, observer),
            Self::Router(router) => router.serve(now, side, observer),
        }
    }

    /// Makes it one of several, each with its own ports to the same interfaces.
    pub fn join(&mut self, share: Share) {
        match self {
            Self::Bridge(bridge) => bridge.join(share),
            Self::Router(router) => router.join(share),
        }
    }

    /// Its part among several, if it is one of them.
    pub fn share(&self) -> Option<&Share> {
        match self {
            Self::Bridge(bridge) => bridge.share(),
            Self::Router(router) => router.share(),
        }
    }

    /// Spreads frames another way from now on, if it is one of several.
    pub fn steer_by(&mut self, steering: Steering) {
        match self {
            Self::Bridge(bridge) => bridge.steer_by(steering),
            Self::Router(router) => router.steer_by(steering),
        }
    }

    /// Takes what other shards handed over, at most one batch. Returns whether there was anything.
    pub fn serve_handed(&mut self, now: Time, observer: &mut dyn Observer) -> bool {
        match self {
            Self::Bridge(bridge) => bridge.serve_handed(now, observer),
            Self::Router(router) => router.serve_handed(now, observer),
        }
    }

    /// Lets time pass. Returns whether there is more to do at once.
    pub fn advance(&mut self, now: Time, observer: &mut dyn Observer) -> bool {
        match self {
            Self::Bridge(bridge) => bridge.advance(now, observer),
            Self::Router(router) => router.advance(now, observer),
        }
    }

    /// When [`advance`](Self::advance) or [`serve`](Self::serve) should be called next if no frame comes.
    pub fn next_deadline(&self) -> Option<Time> {
        match self {
            Self::Bridge(bridge) => bridge.next_deadline(),
            Self::Router(router) => router.next_deadline(),
        }
    }

    /// Hands on the events of what was asked of [`engine_mut`](Self::engine_mut).
    pub fn tell_events(&mut self, observer: &mut dyn Observer) {
        match self {
            Self::Bridge(bridge) => bridge.tell_events(observer),
            Self::Router(router) => router.tell_events(observer),
        }
    }
}

impl From<Bridge> for Datapath {
    fn from(bridge: Bridge) -> Self {
        Self::Bridge(Box::new(bridge))
    }
}

impl From<Router> for Datapath {
    fn from(router: Router) -> Self {
        Self::Router(Box::new(router))
    }
}
