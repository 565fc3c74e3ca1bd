//! `pinhole.toml`: what a gateway is told at its start. Documented in docs/gateway.md.

use super::faults::FaultsConfig;
use crate::arguments::{
    FilteringChoice, HelperPorts, LoadArguments, MappingChoice, MediaSourceChoice, NatOptions, OnFaultChoice,
    RunArguments,
};
use crate::load::{Grant, LoadError, Loaded, Loader};
use crate::signature::KeyError;
use pinhole_engine::shard::MOST_SHARDS;
use pinhole_engine::topology::CidrError;
use pinhole_engine::{AddressRange, Cidr, NatHelpers, Settings, Spread};
use pinhole_gateway::{LinkPolicy, RouterSettings, SourceCheck, Treatment};
use pinhole_helper::NatHelper;
use pinhole_io::live::confine::Writable;
use pinhole_io::live::fault::Faults;
use serde::Deserialize;
use std::collections::HashSet;
use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroU16};
use std::path::{Path, PathBuf};

/// Where the control socket is if nothing else is said.
pub const SOCKET: &str = "/run/pinhole.sock";

/// Where modules are looked for by name if nothing else is said.
const HELPER_PATH: &str = "/usr/lib/pinhole/helpers";

/// Most ports of a router.
const MOST_PORTS: usize = 64;

/// Seconds between two times that state is written.
const STATE_PAUSE: u64 = 10;

/// Most connections that the kernel carries at a time: their counters and windows take 80 bytes each, from the start.
const MOST_CARRIED: u32 = 65_536;

/// The file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// How frames go from one port to the other.
    #[serde(default)]
    pub mode: Mode,
    /// The interfaces: two of a bridge, two or more of a router.
    #[serde(default)]
    pub ports: Vec<String>,
    /// The ruleset; a relative path counts from the file's folder.
    pub rules: Option<PathBuf>,
    /// Threads among which the traffic is spread.
    pub shards: Option<NonZeroU8>,
    /// The control socket.
    pub control: Option<PathBuf>,
    /// Users, by number, who may use the control socket beside root and the gateway's own.
    #[serde(default)]
    pub control_users: Vec<u32>,
    /// A capture of all frames that come and go.
    pub record: Option<PathBuf>,
    /// Where counters can be read by HTTP: an address with its port, or the path of a Unix socket.
    pub metrics: Option<Endpoint>,
    /// How it writes about itself.
    #[serde(default)]
    pub log: LogFormat,
    /// How much it writes about itself.
    #[serde(default)]
    pub log_level: LogLevel,
    /// Whether it gives up system calls and files that it does not need.
    pub confine: Option<bool>,
    /// What outlives a restart.
    #[serde(default)]
    pub state: StateConfig,
    /// What passes a bridge beside IP.
    #[serde(default)]
    pub bridge: Option<BridgeConfig>,
    /// How a router treats what it routes.
    #[serde(default)]
    pub router: Option<RouterConfig>,
    /// Connection tracking.
    #[serde(default)]
    pub conntrack: ConntrackConfig,
    /// Address translation beyond netfilter's ways.
    #[serde(default)]
    pub nat: NatConfig,
    /// Helpers.
    #[serde(default)]
    pub helpers: HelpersConfig,
    /// What is done to the frames that come in, for tests.
    pub faults: Option<FaultsConfig>,
}

/// How frames go from one port to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Unchanged, but for the verdict.
    #[default]
    Bridge,
    /// Where the host's routes lead.
    Router,
}

impl Mode {
    /// Its name in the file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bridge => "bridge",
            Self::Router => "router",
        }
    }
}

/// How a gateway writes about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// JSON, one object a line.
    Json,
}

/// How much a gateway writes about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Messages, and the packets that rules log.
    #[default]
    Info,
    /// Also every packet that is judged.
    Trace,
}

/// `[state]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct StateConfig {
    /// The file; without one nothing outlives a restart.
    pub file: Option<PathBuf>,
    every: Option<u64>,
    /// What to do about a file that is not whole.
    pub damaged: Damaged,
    stay_closed: Option<bool>,
}

impl StateConfig {
    /// Whether the interfaces stay closed to the host after a stop: it would reset connections that are to go on.
    pub fn stays_closed(&self) -> bool {
        self.file.is_some() && self.stay_closed.unwrap_or(true)
    }

    /// Seconds between two times that it is written; zero: at the stop alone.
    pub fn every(&self) -> u64 {
        self.every.unwrap_or(STATE_PAUSE)
    }
}

/// What to do about a state file that is not whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Damaged {
    /// Put it aside, say so, and begin with nothing.
    #[default]
    SetAside,
    /// Do not start.
    Refuse,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Endpoint {
    /// An address and a port.
    Address(SocketAddr),
    /// A Unix socket.
    Path(PathBuf),
}

impl TryFrom<String> for Endpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Path(text.into()));
        }
        let parsed = text.parse().map(Self::Address);
        parsed
            .map_err(|_| format!("`{text}` is neither an address with its port (127.0.0.1:9188) nor a path"))
    }
}

/// `[bridge]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct BridgeConfig {
    arp: Option<Passage>,
    neighbour_discovery: Option<NeighbourPassage>,
    bridge_protocols: Option<Passage>,
    other: Option<Passage>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Passage {
    Pass,
    Drop,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NeighbourPassage {
    Pass,
    Drop,
    Rules,
}

/// `[router]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RouterConfig {
    source_check: Option<SourceCheckConfig>,
    link_scope: Option<Passage>,
    flowtable: FlowtableChoice,
}

/// Whether the kernel carries packets of connections that need not be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowtableChoice {
    /// If it can.
    #[default]
    Auto,
    /// If it cannot, there is no start.
    On,
    /// It does not.
    Off,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SourceCheckConfig {
    Strict,
    Loose,
    Off,
}

/// `[conntrack]`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct ConntrackConfig {
    max_conns: Option<u32>,
    max_expectations: Option<u32>,
    tcp_loose: Option<bool>,
    tcp_be_liberal: Option<bool>,
}

/// `[nat]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct NatConfig {
    mapping: Option<MappingChoice>,
    filtering: Option<FilteringChoice>,
    parity: bool,
    ports_per_host: Option<NonZeroU16>,
    hairpin: bool,
    inside: Option<Vec<AddressesConfig>>,
}

/// A range of addresses, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
struct AddressesConfig(Cidr);

impl TryFrom<String> for AddressesConfig {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: CidrError| error.to_string())
    }
}

/// `[helpers]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct HelpersConfig {
    attach: Vec<String>,
    nat: Option<Vec<String>>,
    third_party: bool,
    wait_for_answer: bool,
    path: Option<Vec<PathBuf>>,
    load: Vec<PathBuf>,
    allow: Vec<Grant>,
    trusted_keys: Vec<String>,
    require_signed: bool,
    media_source: MediaSourceChoice,
    any_caller: bool,
    introductions: bool,
    on_fault: OnFaultChoice,
}

/// Why there is no gateway to be made of a file and flags.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{0}: cannot read: {1}")]
    Read(String, std::io::Error),
    /// The file is wrong: with line, column and the line itself.
    #[error("{0}: {1}")]
    File(String, String),
    /// Something is missing or contradicts something else.
    #[error("{0}")]
    Incomplete(String),
    /// A helper of a file is not to be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Config {
    /// Reads a file. Unknown keys are errors.
    ///
    /// # Errors
    /// It cannot be read, or something in it is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|error| ConfigError::Read(name.clone(), error))?;
        let mut config = Self::parse(&text).map_err(|message| ConfigError::File(name.clone(), message))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        config.rules = config.rules.map(|rules| folder.join(rules));
        for file in config.helpers.load.iter_mut().chain(config.helpers.path.iter_mut().flatten()) {
            *file = folder.join(&*file);
        }
        let of_file = |error| match error {
            ConfigError::Incomplete(message) => ConfigError::File(name.clone(), message),
            other => other,
        };
        config.check_helpers().map_err(of_file)?;
        Ok(config)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        config.attachments().map_err(|error| error.to_string())?;
        Ok(config)
    }

    /// The file that the arguments name, or none, with what they override.
    ///
    /// # Errors
    /// The file's, or two ports or a ruleset are not given.
    pub fn of(arguments: &RunArguments) -> Result<Self, ConfigError> {
        let mut config = arguments.config.as_deref().map(Self::load).transpose()?.unwrap_or_default();
        if !arguments.ports.is_empty() {
            config.ports.clone_from(&arguments.ports);
        }
        config.shards = arguments.shards.or(config.shards);
        for (place, flag) in [
            (&mut config.rules, &arguments.rules),
            (&mut config.control, &arguments.control),
            (&mut config.record, &arguments.record),
            (&mut config.state.file, &arguments.state),
        ] {
            if flag.is_some() {
                place.clone_from(flag);
            }
        }
        if !arguments.helper_path.is_empty() {
            config.helpers.path = Some(arguments.helper_path.clone());
        }
        config.check()?;
        Ok(config)
    }

    /// Whether it says all that a gateway needs.
    ///
    /// # Errors
    /// It does not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let incomplete = |message: &str| Err(ConfigError::Incomplete(message.to_owned()));
        let given = self.ports.len();
        match self.mode {
            Mode::Bridge if given != 2 => {
                return incomplete(&format!(
                    "a bridge has two ports, {given} given: `ports = [\"eth0\", \"eth1\"]`, or --port twice"
                ));
            }
            Mode::Router if !(2..=MOST_PORTS).contains(&given) => {
                return incomplete(&format!(
                    "a router has 2 to {MOST_PORTS} ports, {given} given: `ports = [\"lan0\", \"wan0\"]`, or --port for each"
                ));
            }
            Mode::Bridge if self.router.is_some() => {
                return incomplete("`[router]` is for `mode = \"router\"`");
            }
            Mode::Router if self.bridge.is_some() => {
                return incomplete("`[bridge]` is for `mode = \"bridge\"`");
            }
            _ => {}
        }
        let mut seen = HashSet::new();
        if let Some(twice) = self.ports.iter().find(|port| !seen.insert(*port)) {
            return incomplete(&format!("two ports are the same interface, {twice}"));
        }
        if self.nat.filtering.is_some() && self.nat.mapping.is_none() {
            return incomplete("`nat.filtering` takes a `nat.mapping`: others find an inside end by it");
        }
        if self.flowtable() == FlowtableChoice::On && self.wants_every_packet() {
            return incomplete(
                "`router.flowtable = \"on\"` contradicts `record`, `faults` and `log-level = \"trace\"`: what the kernel carries they do not see",
            );
        }
        if self.shards() > usize::from(MOST_SHARDS) {
            return incomplete(&format!("there are at most {MOST_SHARDS} shards"));
        }
        if self.shards() > 1 && self.nat.ports_per_host.is_some() {
            return incomplete(
                "`nat.ports-per-host` is for `shards = 1`: a host's block of ports lies in one piece, and several shards divide ports finer",
            );
        }
        if self.shards() > 1 && self.spread() == Spread::ByInside && self.nat.inside.is_none() {
            return incomplete(
                "`nat.mapping = \"endpoint-independent\"` with several shards takes `nat.inside = [\"10.0.0.0/8\", …]`: all that an inside end has lies in one shard",
            );
        }
        if self.rules.is_none() {
            return incomplete("no ruleset is given: `rules = \"fw.nft\"`, or --rules");
        }
        Ok(())
    }

    /// What a gateway that runs may still change in the file system.
    pub fn writable(&self) -> Writable {
        let folder = |path: &Path| match path.parent() {
            Some(folder) if folder != Path::new("") => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        let socket = match &self.metrics {
            Some(Endpoint::Path(path)) => Some(folder(path)),
            _ => None,
        };
        let mut all: Vec<PathBuf> = self.state.file.as_deref().map(folder).into_iter().collect();
        if self.mode == Mode::Router {
            all.push("/proc/sys/net".into());
        }
        Writable { all, removable: [folder(self.socket())].into_iter().chain(socket).collect() }
    }

    /// Threads among which the traffic is spread.
    pub fn shards(&self) -> usize {
        self.shards.map_or(1, |shards| usize::from(shards.get()))
    }

    /// Which addresses say what shard a packet is for.
    pub fn spread(&self) -> Spread {
        match self.nat.mapping {
            Some(MappingChoice::EndpointIndependent) => Spread::ByInside,
            _ => Spread::ByOutside,
        }
    }

    /// Addresses of hosts that are translated, if they are told.
    pub fn inside(&self) -> Option<Vec<AddressRange>> {
        let inside = self.nat.inside.as_ref()?;
        Some(inside.iter().map(|range| range.0.into()).collect())
    }

    /// The control socket.
    pub fn socket(&self) -> &Path {
        self.control.as_deref().unwrap_or(Path::new(SOCKET))
    }

    /// What passes beside IP.
    pub fn link_policy(&self) -> LinkPolicy {
        let default = LinkPolicy::default();
        let treatment = |passage: Option<Passage>, default| match passage {
            None => default,
            Some(Passage::Pass) => Treatment::Pass,
            Some(Passage::Drop) => Treatment::Drop,
        };
        let bridge = self.bridge.unwrap_or_default();
        LinkPolicy {
            arp: treatment(bridge.arp, default.arp),
            neighbour_discovery: match bridge.neighbour_discovery {
                None => default.neighbour_discovery,
                Some(NeighbourPassage::Pass) => Treatment::Pass,
                Some(NeighbourPassage::Drop) => Treatment::Drop,
                Some(NeighbourPassage::Rules) => Treatment::Rules,
            },
            bridge_protocols: treatment(bridge.bridge_protocols, default.bridge_protocols),
            other: treatment(bridge.other, default.other),
        }
    }

    /// What is done to the frames of a port, if anything.
    pub(super) fn faults_of(&self, port: usize) -> Option<(Faults, u64)> {
        self.faults.as_ref().map(|faults| faults.of_port(port))
    }

    /// How a router treats what it routes.
    pub fn router_settings(&self) -> RouterSettings {
        let router = self.router.unwrap_or_default();
        RouterSettings {
            source_check: match router.source_check {
                None | Some(SourceCheckConfig::Strict) => SourceCheck::Strict,
                Some(SourceCheckConfig::Loose) => SourceCheck::Loose,
                Some(SourceCheckConfig::Off) => SourceCheck::Off,
            },
            link_scope: matches!(router.link_scope, Some(Passage::Pass)),
        }
    }

    /// Whether the kernel carries packets. What is recorded, traced or treated with faults is to pass the gateway.
    pub fn flowtable(&self) -> FlowtableChoice {
        match self.router.unwrap_or_default().flowtable {
            FlowtableChoice::Auto if self.wants_every_packet() => FlowtableChoice::Off,
            choice => choice,
        }
    }

    fn wants_every_packet(&self) -> bool {
        self.log_level == LogLevel::Trace || self.record.is_some() || self.faults.is_some()
    }

    /// How many connections the kernel may carry at a time.
    pub fn flowtable_size(&self) -> u32 {
        let max_conns = self.conntrack.max_conns.unwrap_or(Settings::default().track.max_conns);
        max_conns.clamp(1, MOST_CARRIED)
    }

    /// The engine's settings; its hash is keyed with `secret`.
    ///
    /// # Errors
    /// A helper that does not exist.
    pub fn settings(&self, secret: [u64; 2]) -> Result<Settings, ConfigError> {
        let mut settings = Settings { secret, ..Settings::default() };
        let track = &mut settings.track;
        track.max_conns = self.conntrack.max_conns.unwrap_or(track.max_conns);
        track.max_expectations = self.conntrack.max_expectations.unwrap_or(track.max_expectations);
        // Each shard has its part of the whole.
        let shards = self.shards() as u32;
        track.max_conns = track.max_conns.div_ceil(shards);
        track.max_expectations = track.max_expectations.div_ceil(shards);
        settings.helper_memory = settings.helper_memory.div_ceil(self.shards());
        let track = &mut settings.track;
        track.l4.tcp_loose = self.conntrack.tcp_loose.unwrap_or(track.l4.tcp_loose);
        track.l4.tcp_be_liberal = self.conntrack.tcp_be_liberal.unwrap_or(track.l4.tcp_be_liberal);
        settings.policy.third_party = self.helpers.third_party;
        settings.policy.wait_for_answer = self.helpers.wait_for_answer;
        settings.nat.helpers = self.nat_helpers();
        settings.policy.media_source = self.helpers.media_source.into();
        settings.policy.any_caller = self.helpers.any_caller;
        settings.policy.introductions = self.helpers.introductions;
        settings.on_fault = self.helpers.on_fault.into();
        let nat = &self.nat;
        let options = NatOptions {
            nat_mapping: nat.mapping,
            nat_filtering: nat.filtering,
            nat_parity: nat.parity,
            nat_ports_per_host: nat.ports_per_host,
            nat_hairpin: nat.hairpin,
        };
        settings.nat.behaviour = options.behaviour();
        settings.attachments = self.attachments()?.into_iter().map(|helper| helper.0).collect();
        Ok(settings)
    }

    /// The NAT halves of built-in helpers: all, or those that are named.
    fn nat_helpers(&self) -> NatHelpers {
        let all = pinhole_helpers::nat_helpers().iter().copied();
        NatHelpers::new(&all.filter(|half| self.wants_nat_helper(half.name())).collect::<Vec<_>>())
    }

    fn wants_nat_helper(&self, name: &str) -> bool {
        self.helpers.nat.as_ref().is_none_or(|names| names.iter().any(|wanted| wanted == name))
    }

    /// Whether all helpers exist that are named.
    fn check_helpers(&self) -> Result<(), ConfigError> {
        let helpers = self.loaded()?.registry;
        self.attachments()?.iter().try_for_each(|attachment| {
            let unknown = |message| ConfigError::Incomplete(format!("helpers.attach: {message}"));
            attachment.check(&helpers).map_err(unknown)
        })
    }

    /// Which helpers of files are loaded, and on which terms.
    ///
    /// # Errors
    /// A key is none, or signatures are required and nobody is trusted.
    pub fn loading(&self) -> Result<LoadArguments, ConfigError> {
        let loading = LoadArguments {
            load: self.helpers.load.clone(),
            allow: self.helpers.allow.clone(),
            trusted_key: self.helpers.trusted_keys.clone(),
            require_signed: self.helpers.require_signed,
        };
        let wrong = |error: KeyError| ConfigError::Incomplete(format!("helpers.trusted-keys: {error}"));
        loading.loader().map(|_| loading).map_err(wrong)
    }

    /// What reads files with helpers, on the configuration's terms.
    ///
    /// # Errors
    /// As [`loading`](Self::loading).
    pub fn loader(&self) -> Result<Loader, ConfigError> {
        let loader = self.loading()?.loader();
        loader.map_err(|error| ConfigError::Incomplete(error.to_string()))
    }

    /// The folders in which modules are looked for by name.
    pub fn helper_path(&self) -> Vec<PathBuf> {
        self.helpers.path.clone().unwrap_or_else(|| vec![PathBuf::from(HELPER_PATH)])
    }

    /// All helpers, and the NAT halves of those of files that are wanted.
    ///
    /// # Errors
    /// One of a file is not to be loaded, or a NAT helper is named that there is not.
    pub fn loaded(&self) -> Result<Loaded, ConfigError> {
        let mut loaded = self.loader()?.load()?;
        let is_known = |name: &str| {
            pinhole_helpers::nat_helpers().iter().any(|half| half.name() == name)
                || loaded.halves.iter().any(|half| half.name() == name)
        };
        if let Some(name) = self.helpers.nat.iter().flatten().find(|name| !is_known(name)) {
            let message = format!("helpers.nat: no NAT helper is called `{name}`");
            return Err(ConfigError::Incomplete(message));
        }
        loaded.halves.retain(|half| self.wants_nat_helper(half.name()));
        Ok(loaded)
    }

    fn attachments(&self) -> Result<Vec<HelperPorts>, ConfigError> {
        let parsed = self.helpers.attach.iter().map(|text| text.parse());
        parsed
            .collect::<Result<_, String>>()
            .map_err(|e| ConfigError::Incomplete(format!("helpers.attach: {e}")))
    }
}
