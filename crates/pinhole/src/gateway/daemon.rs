//! Start, loop and stop of `pinhole run`.
//!
//! Order at the start: everything that can be wrong is found before anything is touched (configuration, ruleset, privileges); then
//! ports are opened, the socket is bound, the guard closes the interfaces to the host, privileges are dropped, and frames begin to pass. At
//! the stop the guard and the socket are taken away again. `links` has what that means in each mode.

use super::config::{Config, ConfigError};
use super::control::Control;
use super::crew::{self, Crew};
use super::links::Links;
use super::log::Log;
use super::metrics::Metrics;
use super::modules::Modules;
use super::notify::ServiceManager;
use super::shard::{Clock, Gateway, load};
use super::spread::Spreading;
use super::state::{Recalled, StateFile};
use super::worker::Trouble;
use crate::commands::{Failure, Terminal};
use crate::exit;
use pinhole_engine::{Engine, Steering};
use pinhole_gateway::shards::{Exchange, Share};
use pinhole_io::live::confine::{self, Confinement};
use pinhole_io::live::record::Recording;
use pinhole_io::live::{Interest, privilege, wait};
use pinhole_ruleset::Ruleset;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

/// Batches after which clients are looked after, however busy the ports are.
const BATCHES_PER_CLIENT_TURN: u32 = 16;

/// A recording of all ports.
pub(super) type Capture = Arc<Recording<BufWriter<File>>>;

/// Runs a gateway until it is told to stop.
///
/// # Errors
/// It cannot start: the reason says what to do.
pub fn run(config: &Config, terminal: &mut Terminal) -> Result<u8, Failure> {
    let rules = config.rules.clone().unwrap_or_default();
    let ruleset = load(&rules)?;
    let count = config.shards();
    crew::check(&ruleset, count)?;
    let (secret, spreading_secret) = (secret(), secret()[0] as u32);
    let made = (0..count).map(|index| make(config, secret, &ruleset, (index, count)));
    let (mut engines, modules): (Vec<_>, Vec<_>) =
        made.collect::<Result<Vec<_>, Failure>>()?.into_iter().unzip();
    let mut signals = Signals::new().map_err(|error| Failure::Gateway(format!("signals: {error}")))?;
    demand_privileges()?;

    let recording = config.record.as_deref().map(record).transpose()?;
    let manager = ServiceManager::of_process();
    let recalled = Recalled::of(&config.state, Clock::new().now())?;
    let clock = Clock::new().not_before(recalled.saved());
    let spreading_secret = recalled.secret().unwrap_or(spreading_secret);
    let mut spreading = (count > 1).then(|| {
        let bare = Steering::new(count as u8, spreading_secret, config.spread());
        Spreading::new(bare, config.inside(), &config.ports, &ruleset)
    });
    let steering = spreading.as_ref().map(Spreading::steering);
    if let Some(told) = recalled.restore(&config.state, &mut engines, steering, clock.now())? {
        terminal.warn(&told)?;
    }
    let (mut datapaths, mut links) =
        Links::open(config, engines, clock.now(), recording.as_ref(), spreading.as_mut())?;
    if let Some(notice) = links.take_notice() {
        terminal.warn(&notice)?;
    }
    if config.faults.is_some() {
        terminal.warn("frames that come in are lost, held, repeated or changed, as `[faults]` says")?;
    }
    let exchange = Exchange::new(count).map_err(|error| Failure::Gateway(format!("shards: {error}")))?;
    let exchange = Arc::new(exchange);
    if let Some(spreading) = &spreading {
        for (index, datapath) in datapaths.iter_mut().enumerate() {
            datapath.join(Share::new(index, spreading.steering().clone(), exchange.clone()));
            datapath.steer_by(spreading.steering().clone());
        }
    }
    let gateways = datapaths.into_iter().zip(modules).map(|(datapath, modules)| {
        let mut gateway = Gateway::new(datapath, rules.clone(), modules, clock);
        gateway.journal.log = Log::new(config.log, config.log_level);
        gateway.introduce();
        gateway
    });
    let gateways: Vec<Gateway> = gateways.collect();
    let metrics = config
        .metrics
        .as_ref()
        .map(Metrics::bind)
        .transpose()
        .map_err(|error| Failure::Gateway(format!("metrics: {error}")))?;
    let control = Control::bind(config.socket(), config.control_users.clone()).map_err(|error| {
        Failure::Gateway(format!("control socket {}: {error}", config.socket().display()))
    })?;
    links.close_to_host()?;
    // From here on, whatever fails, the interfaces are given back.
    let clients = Clients { control, metrics, manager };
    let state = StateFile::of(&config.state, clock.now(), spreading_secret);
    let several = spreading.map(|spreading| (spreading, exchange));
    let result = confine(config, terminal)
        .and_then(|()| Crew::start(gateways, several, rules))
        .and_then(|crew| serve(config, crew, clients, state, &mut links, &mut signals, terminal));
    let told = if config.state.stays_closed() { links.stay_closed() } else { links.give_back().err() };
    if let Some(told) = told {
        terminal.warn(&told)?;
    }
    if let Some(recording) = recording {
        let finished = recording.finish();
        let name = config.record.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
        finished.map_err(|error| Failure::File(name, error))?;
    }
    result.map(|()| exit::OK)
}

/// One of so many engines, and its helpers.
fn make(
    config: &Config,
    secret: [u64; 2],
    ruleset: &Ruleset,
    position: (usize, usize),
) -> Result<(Engine, Modules), Failure> {
    let wrong = |error: ConfigError| Failure::Usage(error.to_string());
    let settings = config.settings(secret).map_err(wrong)?;
    let loaded = config.loaded().map_err(wrong)?;
    let modules = Modules::new(loaded.origins, config.loader().map_err(wrong)?, config.helper_path());
    let ruleset = ruleset.clone().divided(position);
    let mut engine = Engine::new(settings, loaded.registry, Some(ruleset)).map_err(Failure::Setup)?;
    loaded.halves.into_iter().for_each(|half| engine.load_nat(half));
    Ok((engine, modules))
}

/// Gives up what is not needed any more, for this thread and those that it starts.
fn confine(config: &Config, terminal: &mut Terminal) -> Result<(), Failure> {
    privilege::drop_others()
        .map_err(|error| Failure::Gateway(format!("cannot give up privileges: {error}")))?;
    if config.confine.unwrap_or(true) {
        match confine::confine(&config.writable()) {
            Ok(Confinement::Full) => {}
            Ok(Confinement::WithoutLandlock) => {
                terminal
                    .warn("this kernel has no Landlock: files are protected by their permissions alone")?;
            }
            Err(error) => {
                return Err(Failure::Gateway(format!("cannot confine itself: {error} (`confine = false`)")));
            }
        }
    }
    Ok(())
}

/// Those who want to know.
struct Clients {
    control: Control,
    metrics: Option<Metrics>,
    manager: ServiceManager,
}

/// Serves ports and clients until a signal says that it is enough.
fn serve(
    config: &Config,
    mut crew: Crew,
    clients: Clients,
    mut state: Option<StateFile>,
    links: &mut Links,
    signals: &mut Signals,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let p = terminal.palette;
    let shards = config.shards();
    writeln!(
        terminal.out,
        "{}running{}: {} {}{}, control socket {}",
        p.good,
        p.good.end(),
        config.mode.name(),
        config.ports.join(" - "),
        if shards > 1 { format!(", {shards} shards") } else { String::new() },
        config.socket().display()
    )?;
    terminal.out.flush()?;
    let Clients { mut control, mut metrics, mut manager } = clients;
    manager.ready(&format!("{} {}", config.mode.name(), config.ports.join(" - ")));

    let mut troubles = Log::new(config.log, config.log_level);
    let mut turns = 0u32;
    loop {
        turns = turns.wrapping_add(1);
        let now = crew.now();
        let busy = crew.turn(&mut |message| troubles.tell(now, message));
        links.ask(&mut crew);
        if busy && !turns.is_multiple_of(BATCHES_PER_CLIENT_TURN) {
            continue;
        }
        if signals.stop()? {
            break;
        }
        if signals.reload()? {
            match crew.reload() {
                Ok(()) => troubles.tell(now, "the ruleset is in force"),
                Err(message) => troubles.tell(now, &message),
            }
        }
        if let Err(error) = links.follow(now, &mut crew) {
            troubles.tell(now, &format!("interfaces, addresses and routes cannot be read: {error}"));
        }
        control.serve(&mut crew);
        if is_well(&crew, &mut troubles)? {
            manager.live(now);
        }
        if let Some(metrics) = &mut metrics {
            metrics.serve(now, &mut crew);
        }
        if let Some(trouble) = state.as_mut().and_then(|state| state.proceed(now, &mut crew)) {
            troubles.tell(now, &trouble);
        }
        if !busy && !control.is_busy() && !state.as_ref().is_some_and(StateFile::is_busy) && !crew.listen() {
            let waiting: Vec<Interest<'_>> = crew
                .descriptors()
                .into_iter()
                .chain(signals.descriptors())
                .chain(links.descriptor())
                .map(Interest::reading)
                .chain(control.interests())
                .chain(metrics.iter().flat_map(Metrics::interests))
                .collect();
            let others = [
                links.next_deadline(),
                manager.next_deadline(),
                state.as_ref().and_then(StateFile::next_deadline),
                metrics.as_ref().and_then(Metrics::next_deadline),
            ];
            wait(&waiting, crew.patience(others.into_iter().flatten()))
                .map_err(|error| Failure::Gateway(error.to_string()))?;
        }
    }
    manager.stopping();
    let mut gateways = crew.stop()?;
    if let Some(state) = state {
        state.finish(gateways.iter_mut().map(Gateway::save_last).collect())?;
    }
    Ok(())
}

/// Whether all shards go round.
///
/// # Errors
/// One has ended: its part of the traffic is lost, and the gateway is no good.
fn is_well(crew: &Crew, troubles: &mut Log) -> Result<bool, Failure> {
    let mut well = true;
    for trouble in crew.troubles() {
        if let Trouble::Ended(_) = trouble {
            return Err(Failure::Gateway(trouble.to_string()));
        }
        troubles.tell(crew.now(), &trouble.to_string());
        well = false;
    }
    Ok(well)
}

/// Of the process's own randomness, as its hash maps are keyed.
fn secret() -> [u64; 2] {
    [RandomState::new().hash_one(0), RandomState::new().hash_one(1)]
}

fn demand_privileges() -> Result<(), Failure> {
    let missing = privilege::missing().map_err(|error| Failure::Gateway(format!("privileges: {error}")))?;
    if missing.is_empty() {
        return Ok(());
    }
    let list: Vec<String> = missing.iter().map(|(name, purpose)| format!("{name} ({purpose})")).collect();
    Err(Failure::Gateway(format!(
        "missing privileges: {}; run as root, or `setcap cap_net_raw,cap_net_admin+ep` the binary",
        list.join(", ")
    )))
}

fn record(path: &Path) -> Result<Capture, Failure> {
    let cannot = |error| Failure::File(path.display().to_string(), error);
    let file = File::create(path).map_err(cannot)?;
    Recording::new(BufWriter::new(file), concat!("pinhole ", env!("CARGO_PKG_VERSION"))).map_err(cannot)
}

/// Signals, as bytes that can be waited for.
struct Signals {
    stop: UnixStream,
    reload: UnixStream,
}

impl Signals {
    fn new() -> io::Result<Self> {
        let (stop, stop_writer) = UnixStream::pair()?;
        let (reload, reload_writer) = UnixStream::pair()?;
        stop.set_nonblocking(true)?;
        reload.set_nonblocking(true)?;
        pipe::register(SIGTERM, stop_writer.try_clone()?)?;
        pipe::register(SIGINT, stop_writer)?;
        pipe::register(SIGHUP, reload_writer)?;
        Ok(Self { stop, reload })
    }

    fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.stop.as_fd(), self.reload.as_fd()].into_iter()
    }

    fn stop(&mut self) -> Result<bool, Failure> {
        came(&mut self.stop)
    }

    fn reload(&mut self) -> Result<bool, Failure> {
        came(&mut self.reload)
    }
}

fn came(stream: &mut UnixStream) -> Result<bool, Failure> {
    match stream.read(&mut [0; 64]) {
        Ok(count) => Ok(count > 0),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Ok(false)
        }
        Err(error) => Err(Failure::Gateway(format!("signals: {error}"))),
    }
}
