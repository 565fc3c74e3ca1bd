//! What a gateway takes from its host at the start, and gives back at the stop: interfaces, and for a router the ways to the host's own stack.
//!
//! Life cycle: opened; closed to the host by a guard ([`Links::close_to_host`]); what the kernel says of the network is followed
//! ([`Links::follow`]); given back. A router's pairs of devices go with it, also if it never came to run.

use super::config::{Config, FlowtableChoice, Mode};
use super::crew::Crew;
use super::daemon::Capture;
use super::spread::Spreading;
use crate::commands::Failure;
use pinhole_engine::Engine;
use pinhole_gateway::router::RouterPort;
use pinhole_gateway::shards::program;
use pinhole_gateway::{Bridge, Datapath, Router};
use pinhole_io::live::Port;
use pinhole_io::live::fanout;
use pinhole_io::live::fault::Faulty;
use pinhole_io::live::flowtable::Flowtable;
use pinhole_io::live::guard::Guard;
use pinhole_io::live::host::{self, Pair};
use pinhole_io::live::packet::{PacketPort, Reach};
use pinhole_io::live::record::Recorded;
use pinhole_io::live::rtnetlink::{RouteSocket, Snapshot};
use pinhole_wire::Time;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

/// Interfaces, addresses and routes are read again at most so often, however often they change.
const LAYOUT_PAUSE: u64 = 50_000_000;

/// What is taken.
pub(super) struct Links {
    ports: Vec<String>,
    link_scope: bool,
    guard: Option<Guard>,
    network: Option<Network>,
    notice: Option<String>,
}

/// What a router follows.
struct Network {
    socket: RouteSocket,
    pairs: Vec<Pair>,
    /// Something changed since the last snapshot, which is of that time.
    outdated: bool,
    read: Time,
}

impl Links {
    /// Opens the ports, for an engine or for several, each of which has its own of each interface.
    pub(super) fn open(
        config: &Config,
        engines: Vec<Engine>,
        now: Time,
        recording: Option<&Capture>,
        spreading: Option<&mut Spreading>,
    ) -> Result<(Vec<Datapath>, Self), Failure> {
        let settings = config.router_settings();
        let mut links = Self {
            ports: config.ports.clone(),
            link_scope: settings.link_scope,
            guard: None,
            network: None,
            notice: None,
        };
        let mut opening = Opening { config, count: engines.len(), recording, table: None, spreading };
        let datapaths = match (config.mode, config.ports.as_slice()) {
            (Mode::Bridge, [one, other]) => {
                let mut open = |index, name| opening.open(index, name, Reach::Everything);
                let ports = open(0, one)?.into_iter().zip(open(1, other)?);
                let bridge = |(engine, (one, other))| -> Datapath {
                    Bridge::new(engine, [one, other], config.link_policy()).into()
                };
                engines.into_iter().zip(ports).map(bridge).collect()
            }
            (Mode::Bridge, _) => return Err(Failure::Usage("a bridge has two ports".to_owned())),
            (Mode::Router, names) => {
                opening.table = links.open_flowtable(config)?;
                let ports = links.open_router(&mut opening, names)?;
                let router = |(engine, ports)| Router::new(engine, ports, settings);
                let mut routers: Vec<Router> = engines.into_iter().zip(ports).map(router).collect();
                if let Some(network) = &mut links.network {
                    let snapshot = network.socket.dump().map_err(|error| cannot_read(&error))?;
                    routers.iter_mut().for_each(|router| router.configure(now, &snapshot));
                    if let Some(spreading) = &mut opening.spreading {
                        spreading.note_network(&snapshot);
                    }
                    if let Some(table) = opening.table.take() {
                        links.carry(config, table, &snapshot, &mut routers)?;
                    }
                }
                routers.into_iter().map(Datapath::from).collect()
            }
        };
        if let Some(spreading) = opening.spreading {
            spreading.tell_kernel().map_err(|error| {
                Failure::Gateway(format!("the kernel cannot spread frames over shards: {error}"))
            })?;
        }
        Ok((datapaths, links))
    }

    /// Opens the ports of routers, by router.
    fn open_router(
        &mut self,
        opening: &mut Opening<'_>,
        names: &[String],
    ) -> Result<Vec<Vec<RouterPort>>, Failure> {
        for name in names {
            let forwards = host::forwarding(name)
                .map_err(|error| Failure::Gateway(format!("interface {name}: {error}")))?;
            if let Some(setting) = forwards {
                return Err(Failure::Gateway(format!(
                    "the kernel forwards what comes in by {name} itself, past every rule of this gateway when it does not run: \
                     `sysctl {setting}=0` first"
                )));
            }
        }
        let mut socket = RouteSocket::open().map_err(|error| cannot_read(&error))?;
        let snapshot = socket.dump().map_err(|error| cannot_read(&error))?;
        let mut found = Vec::new();
        for name in names {
            match snapshot.link(name) {
                Some(link) if link.address.is_some() => found.push(link),
                Some(_) => {
                    return Err(Failure::Gateway(format!("interface {name}: is not like Ethernet")));
                }
                None => return Err(Failure::Gateway(format!("interface {name}: No such device"))),
            }
        }
        let pairs = host::add_pairs(&mut socket, &found).map_err(|error| {
            Failure::Gateway(format!("cannot make devices (veth) between router and host: {error}"))
        })?;
        let network = Network { socket, pairs, outdated: false, read: Time(0) };
        let pairs = &self.network.insert(network).pairs;
        let mut routers: Vec<Vec<RouterPort>> = (0..opening.count).map(|_| Vec::new()).collect();
        for (index, (name, pair)) in names.iter().zip(pairs).enumerate() {
            let ways = opening.open_sockets(&pair.router, Reach::Everything)?;
            let wires = opening.open(index, name, Reach::Own)?;
            for ((router, way), wire) in routers.iter_mut().zip(ways).zip(wires) {
                let host = Box::new(way.named(format!("{name} (host)")));
                router.push(RouterPort { wire, host, host_link: pair.host.clone() });
            }
        }
        Ok(routers)
    }

    /// Makes the table of what the kernel is to carry; `None`: it carries nothing, by choice or because it cannot.
    fn open_flowtable(&mut self, config: &Config) -> Result<Option<Flowtable>, Failure> {
        let choice = config.flowtable();
        if choice == FlowtableChoice::Off {
            return Ok(None);
        }
        self.or_without(choice, Flowtable::open(config.flowtable_size()))
    }

    /// Attaches the table to the ports.
    fn carry(
        &mut self,
        config: &Config,
        mut table: Flowtable,
        snapshot: &Snapshot,
        routers: &mut [Router],
    ) -> Result<(), Failure> {
        let indices = self.ports.iter().filter_map(|name| snapshot.link(name)).map(|link| link.index);
        let attached = indices.collect::<Vec<_>>().into_iter().try_for_each(|index| table.attach(index));
        if self.or_without(config.flowtable(), attached)?.is_none() {
            return Ok(());
        }
        match routers {
            [router] => router.carry_by(Box::new(table)),
            routers => {
                let parts = table.divided(routers.len() as u32);
                routers.iter_mut().zip(parts).for_each(|(router, part)| router.carry_by(Box::new(part)));
            }
        }
        Ok(())
    }

    /// What was made, or nothing and a notice, if it is not to be had and not demanded.
    fn or_without<T>(&mut self, choice: FlowtableChoice, made: io::Result<T>) -> Result<Option<T>, Failure> {
        match made {
            Ok(made) => Ok(Some(made)),
            Err(error) if choice == FlowtableChoice::Auto => {
                self.notice =
                    Some(format!("the kernel carries no packets by itself (`router.flowtable`): {error}"));
                Ok(None)
            }
            Err(error) => Err(Failure::Gateway(format!(
                "the kernel cannot carry packets by itself: {error} (`flowtable = \"on\"`)"
            ))),
        }
    }

    /// What there is to say of the start.
    pub(super) fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    /// Closes the interfaces to the host, all but what the mode leaves it.
    pub(super) fn close_to_host(&mut self) -> Result<(), Failure> {
        let names: Vec<&str> = self.ports.iter().map(String::as_str).collect();
        let guard = match &self.network {
            None => Guard::isolate(&names),
            Some(network) => {
                let shared: Vec<_> = names.iter().copied().zip(&network.pairs).collect();
                Guard::share(&shared, self.link_scope)
            }
        };
        let guard = guard.map_err(|error| {
            Failure::Gateway(format!("cannot keep the host away from {}: {error}", names.join(", ")))
        })?;
        self.guard = Some(guard);
        Ok(())
    }

    /// Gives the interfaces back to the host.
    ///
    /// # Errors
    /// They stay closed; the message says how to open them.
    pub(super) fn give_back(&mut self) -> Result<(), String> {
        let Some(guard) = self.guard.take() else { return Ok(()) };
        guard.remove().map_err(|error| {
            format!(
                "the interfaces stay closed to this host: {error} (nft delete table netdev {})",
                guard.table()
            )
        })
    }

    /// Leaves the interfaces closed to the host until the next start; what there is to say about it.
    pub(super) fn stay_closed(&mut self) -> Option<String> {
        let table = self.guard.take()?.table().to_owned();
        Some(format!(
            "the interfaces stay closed to this host until the next start, so that connections outlive it (nft delete table netdev {table})"
        ))
    }

    /// Hands routers' questions to the kernel.
    pub(super) fn ask(&mut self, crew: &mut Crew) {
        let Some(network) = &mut self.network else { return };
        for question in crew.take_questions() {
            // If it cannot be asked, the packets that wait are given up in time.
            let _ = network.socket.resolve(question.interface, question.address);
        }
    }

    /// Tells routers what has changed.
    pub(super) fn follow(&mut self, now: Time, crew: &mut Crew) -> io::Result<()> {
        let Some(network) = &mut self.network else { return Ok(()) };
        let news = network.socket.changes()?;
        network.outdated |= news.layout;
        if !news.neighbours.is_empty() {
            crew.update(now, news.neighbours);
        }
        if network.outdated && now.since(network.read) >= LAYOUT_PAUSE {
            let snapshot = network.socket.dump()?;
            network.outdated = false;
            network.read = now;
            crew.configure(now, snapshot)?;
        }
        Ok(())
    }

    /// When [`follow`](Self::follow) is to be called though nothing was notified.
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let network = self.network.as_ref().filter(|network| network.outdated)?;
        Some(network.read.plus_nanos(LAYOUT_PAUSE))
    }

    /// To be waited on for what the kernel says.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.network.as_ref().map(|network| network.socket.as_fd())
    }
}

impl Drop for Links {
    fn drop(&mut self) {
        if let Some(network) = &mut self.network {
            host::remove_pairs(&mut network.socket, &network.pairs);
        }
    }
}

/// Opening ports.
struct Opening<'a> {
    config: &'a Config,
    /// Of each interface.
    count: usize,
    recording: Option<&'a Capture>,
    table: Option<Flowtable>,
    spreading: Option<&'a mut Spreading>,
}

impl Opening<'_> {
    /// Opens the ports of an interface. What is recorded is what the gateway sees: what came through the faults.
    fn open(&mut self, index: usize, name: &str, reach: Reach) -> Result<Vec<Box<dyn Port>>, Failure> {
        let mut ports = Vec::with_capacity(self.count);
        for (shard, port) in self.open_sockets(name, reach)?.into_iter().enumerate() {
            if let Some(table) = &self.table {
                port.leave_to(table).map_err(|error| failed(name, &error))?;
            }
            let port: Box<dyn Port> = match self.config.faults_of(index) {
                Some((faults, seed)) => Box::new(Faulty::new(port, faults, seed.wrapping_add(shard as u64))),
                None => Box::new(port),
            };
            ports.push(match self.recording {
                Some(recording) => Box::new(Recorded::new(port, recording)),
                None => port,
            });
        }
        Ok(ports)
    }

    fn open_sockets(&mut self, name: &str, reach: Reach) -> Result<Vec<PacketPort>, Failure> {
        let Some(spreading) = &mut self.spreading else {
            return Ok(vec![PacketPort::open(name, reach).map_err(|error| failed(name, &error))?]);
        };
        let program = program::of(spreading.steering());
        let (ports, fanout) =
            fanout::open(name, reach, self.count, &program).map_err(|error| failed(name, &error))?;
        spreading.add(fanout);
        Ok(ports)
    }
}

fn failed(name: &str, error: &io::Error) -> Failure {
    Failure::Gateway(format!("interface {name}: {error}"))
}

fn cannot_read(error: &io::Error) -> Failure {
    Failure::Gateway(format!("cannot read interfaces, addresses and routes: {error}"))
}
