//! Start, loop and stop of `pinhole run`.
//!
//! Order at the start: everything that can be wrong is found before anything is touched (configuration, ruleset, privileges); then
//! ports are opened, the socket is bound, the guard closes the interfaces to the host, privileges are dropped, and frames begin to pass. At
//! the stop the guard and the socket are taken away again. `links` has what that means in each mode.

use super::config::{Config, ConfigError};
use super::control::Control;
use super::journal::Journal;
use super::links::Links;
use super::log::Log;
use super::metrics::Metrics;
use super::modules::Modules;
use super::notify::ServiceManager;
use super::state::{Recalled, StateFile};
use crate::commands::{Failure, Terminal};
use crate::load::Grant;
use crate::{exit, files};
use pinhole_engine::Engine;
use pinhole_gateway::{Datapath, Observer};
use pinhole_io::live::confine::{self, Confinement};
use pinhole_io::live::record::Recording;
use pinhole_io::live::{Interest, Port, privilege, wait};
use pinhole_ruleset::Ruleset;
use pinhole_track::ConnId;
use pinhole_wire::Time;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;
use std::cell::RefCell;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Longest wait for a frame.
const LONGEST_WAIT: u64 = 1_000_000_000;

/// Turns of a busy router after which its ways to the host are looked at.
const TURNS_PER_HOST_TURN: u32 = 8;

/// Batches after which clients are looked after, however busy the ports are.
const BATCHES_PER_CLIENT_TURN: u32 = 16;

/// A recording of all ports.
pub(super) type Capture = Rc<RefCell<Recording<BufWriter<File>>>>;

/// A gateway that runs.
pub(super) struct Gateway {
    pub(super) datapath: Datapath,
    pub(super) journal: Journal,
    pub(super) modules: Modules,
    rules: PathBuf,
    clock: Clock,
    turns: u32,
    busy: bool,
}

/// Time that never goes back and still tells the date.
struct Clock {
    start: Instant,
    date: u64,
}

impl Clock {
    fn new() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { start: Instant::now(), date: u64::try_from(since.as_nanos()).unwrap_or(0) }
    }

    /// Shows at least this time, which an earlier run has seen.
    fn not_before(mut self, time: Time) -> Self {
        self.date = self.date.max(time.0);
        self
    }

    fn now(&self) -> Time {
        Time(self.date).plus_nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Gateway {
    fn new(datapath: Datapath, rules: PathBuf, modules: Modules, clock: Clock) -> Self {
        let ports = datapath.ports().iter().map(|port| port.name().to_owned()).collect();
        let mut journal = Journal::new(ports);
        journal.report.nat_helpers = datapath.engine().nat_helpers().map(str::to_owned).collect();
        Self { datapath, journal, modules, rules, clock, turns: 0, busy: false }
    }

    /// A gateway of a test's.
    #[cfg(test)]
    pub(super) fn for_tests(datapath: Datapath, rules: PathBuf) -> Self {
        Self::new(datapath, rules, Modules::default(), Clock::new())
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }

    /// Seconds since the start.
    pub(super) fn uptime(&self, now: Time) -> u64 {
        now.since(Time(self.clock.date)) / 1_000_000_000
    }

    /// Tells the journal what there is already.
    pub(super) fn introduce(&mut self) {
        let engine = self.datapath.engine();
        engine.describe(self.clock.now(), &mut |event| self.journal.event(engine, event));
    }

    /// Brings what is known of a conn up to date.
    pub(super) fn refresh(&mut self, conn: ConnId) {
        self.journal.refresh(self.datapath.engine(), conn, self.clock.now());
    }

    /// Ends all conns; returns how many.
    pub(super) fn flush(&mut self) -> usize {
        let count = self.datapath.engine().tracker().len();
        self.datapath.engine_mut().flush(self.clock.now());
        self.datapath.tell_events(&mut self.journal);
        count
    }

    /// Ends these conns; returns how many there were.
    pub(super) fn delete(&mut self, conns: &[ConnId]) -> usize {
        let now = self.clock.now();
        let count = conns.iter().filter(|conn| self.datapath.engine_mut().delete(now, **conn)).count();
        self.datapath.tell_events(&mut self.journal);
        count
    }

    /// Loads helpers; what was done, a line each.
    pub(super) fn load(&mut self, names: &[String], allow: &[Grant]) -> Result<String, String> {
        self.modules.load(self.datapath.engine_mut(), names, allow)
    }

    /// Unloads helpers.
    pub(super) fn unload(&mut self, names: &[String], force: bool) -> Result<String, String> {
        let now = self.clock.now();
        let done = self.modules.unload(self.datapath.engine_mut(), now, names, force);
        self.datapath.tell_events(&mut self.journal);
        done
    }

    /// Lets a helper read again, or no more.
    pub(super) fn switch(&mut self, name: &str, enabled: bool, nat: bool) -> Result<String, String> {
        let now = self.clock.now();
        let done = self.modules.switch(self.datapath.engine_mut(), now, name, enabled, nat);
        self.datapath.tell_events(&mut self.journal);
        done
    }

    /// Reads helpers again from their files.
    pub(super) fn reload_modules(&mut self, names: &[String]) -> Result<String, String> {
        self.modules.reload(self.datapath.engine_mut(), names)
    }

    /// Reads the ruleset again and puts it into force; if anything is wrong with it, nothing changes.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        let stays = |failure: &Failure| format!("the ruleset stays as it was\n{}", describe(failure));
        let ruleset = load(&self.rules).map_err(|failure| stays(&failure))?;
        self.datapath.engine_mut().replace_ruleset(Some(ruleset)).map_err(|e| stays(&Failure::Setup(e)))?;
        self.journal.ruleset_replaced();
        Ok(())
    }

    /// One turn: a batch from each port, and what is due. Returns whether there is more to do at once.
    pub(super) fn turn(&mut self, mut complain: impl FnMut(&str)) -> bool {
        let mut more = false;
        self.turns = self.turns.wrapping_add(1);
        // The host has little to say while packets pass.
        let listens = !self.busy || self.turns.is_multiple_of(TURNS_PER_HOST_TURN);
        let sides = if listens { self.datapath.ports().len() } else { self.datapath.wires() };
        for side in 0..sides {
            match self.datapath.serve(self.clock.now(), side, &mut self.journal) {
                Ok(count) => more |= count > 0,
                Err(error) => {
                    let name = self.datapath.ports().get(side).map_or("", Port::name);
                    complain(&format!("port {name}: {error}"));
                }
            }
        }
        self.busy = self.datapath.advance(self.clock.now(), &mut self.journal) || more;
        self.busy
    }

    /// Nanoseconds until something is due, here or for others.
    fn patience(&self, others: impl Iterator<Item = Time>) -> u64 {
        let deadline = self.datapath.next_deadline().into_iter().chain(others).min();
        let due = deadline.map(|deadline| deadline.since(self.clock.now()));
        due.map_or(LONGEST_WAIT, |nanos| nanos.clamp(1_000_000, LONGEST_WAIT))
    }
}

/// Runs a gateway until it is told to stop.
///
/// # Errors
/// It cannot start: the reason says what to do.
pub fn run(config: &Config, terminal: &mut Terminal) -> Result<u8, Failure> {
    let rules = config.rules.clone().unwrap_or_default();
    let ruleset = load(&rules)?;
    let wrong = |error: ConfigError| Failure::Usage(error.to_string());
    let settings = config.settings(secret()).map_err(wrong)?;
    let loaded = config.loaded().map_err(wrong)?;
    let modules = Modules::new(loaded.origins, config.loader().map_err(wrong)?, config.helper_path());
    let mut engine = Engine::new(settings, loaded.registry, Some(ruleset)).map_err(Failure::Setup)?;
    loaded.halves.into_iter().for_each(|half| engine.load_nat(half));
    let mut signals = Signals::new().map_err(|error| Failure::Gateway(format!("signals: {error}")))?;
    demand_privileges()?;

    let recording = config.record.as_deref().map(record).transpose()?;
    let manager = ServiceManager::of_process();
    let recalled = Recalled::of(&config.state, Clock::new().now())?;
    let clock = Clock::new().not_before(recalled.saved());
    if let Some(told) = recalled.restore(&config.state, &mut engine, clock.now())? {
        terminal.warn(&told)?;
    }
    let (datapath, mut links) = Links::open(config, engine, clock.now(), recording.as_ref())?;
    if let Some(notice) = links.take_notice() {
        terminal.warn(&notice)?;
    }
    if config.faults.is_some() {
        terminal.warn("frames that come in are lost, held, repeated or changed, as `[faults]` says")?;
    }
    let mut gateway = Gateway::new(datapath, rules, modules, clock);
    gateway.journal.log = Log::new(config.log, config.log_level);
    gateway.introduce();
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
    let result = serve(config, gateway, clients, &mut links, &mut signals, terminal);
    let told = if config.state.stays_closed() { links.stay_closed() } else { links.give_back().err() };
    if let Some(told) = told {
        terminal.warn(&told)?;
    }
    if let Some(recording) = recording {
        let finished = recording.borrow_mut().finish();
        let name = config.record.as_deref().map(|path| path.display().to_string()).unwrap_or_default();
        finished.map_err(|error| Failure::File(name, error))?;
    }
    result.map(|()| exit::OK)
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
    mut gateway: Gateway,
    clients: Clients,
    links: &mut Links,
    signals: &mut Signals,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
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
    let p = terminal.palette;
    writeln!(
        terminal.out,
        "{}running{}: {} {}, control socket {}",
        p.good,
        p.good.end(),
        config.mode.name(),
        config.ports.join(" - "),
        config.socket().display()
    )?;
    terminal.out.flush()?;
    let Clients { mut control, mut metrics, mut manager } = clients;
    manager.ready(&format!("{} {}", config.mode.name(), config.ports.join(" - ")));

    let mut state = StateFile::of(&config.state, gateway.now());
    let mut troubles = Log::new(config.log, config.log_level);
    let mut turns = 0u32;
    loop {
        turns = turns.wrapping_add(1);
        let now = gateway.now();
        let busy = gateway.turn(|message| troubles.tell(now, message));
        links.ask(&mut gateway.datapath);
        if busy && !turns.is_multiple_of(BATCHES_PER_CLIENT_TURN) {
            continue;
        }
        if signals.stop()? {
            break;
        }
        if signals.reload()? {
            match gateway.reload() {
                Ok(()) => troubles.tell(now, "the ruleset is in force"),
                Err(message) => troubles.tell(now, &message),
            }
        }
        if let Err(error) = links.follow(now, &mut gateway.datapath) {
            troubles.tell(now, &format!("interfaces, addresses and routes cannot be read: {error}"));
        }
        control.serve(&mut gateway);
        manager.live(now);
        if let Some(metrics) = &mut metrics {
            metrics.serve(now, &mut gateway);
        }
        if let Some(trouble) = state.as_mut().and_then(|state| state.proceed(now, gateway.datapath.engine()))
        {
            troubles.tell(now, &trouble);
        }
        if !busy && !control.is_busy() && !state.as_ref().is_some_and(StateFile::is_busy) {
            let ports = gateway.datapath.ports().iter().filter_map(Port::descriptor);
            let waiting: Vec<Interest<'_>> = ports
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
            wait(&waiting, gateway.patience(others.into_iter().flatten()))
                .map_err(|error| Failure::Gateway(error.to_string()))?;
        }
    }
    manager.stopping();
    if let Some(state) = state {
        let now = gateway.now();
        gateway.datapath.recall_all(now);
        state.finish(gateway.now(), gateway.datapath.engine())?;
    }
    Ok(())
}

fn load(rules: &Path) -> Result<Ruleset, Failure> {
    files::load(rules).map_err(Failure::Ruleset)
}

/// What is wrong with a ruleset, in lines without colour.
fn describe(failure: &Failure) -> String {
    match failure {
        Failure::Ruleset(diagnostics) => {
            diagnostics.iter().map(|d| d.render(false)).collect::<Vec<_>>().join("\n")
        }
        other => other.to_string(),
    }
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
