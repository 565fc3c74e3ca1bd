//! `pinhole replay`: its arguments, and the engine settings that follow from them.

use super::LoadArguments;
use super::{NatHalves, NatMapping, NatOptions, Target, TargetError};
use clap::{ArgAction, Args, ValueEnum};
use pinhole_engine::{Attachment, ChecksumPolicy, Cidr, NatHelpers, OnFault, Settings};
use pinhole_helper::{MediaSource, Pickup, Registry};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// `pinhole replay`.
#[derive(Args, Debug, Default)]
#[command(
    after_long_help = "Exit codes: 0 done; 1 a capture could not be read, or not to its end (what was read is shown); \
2 wrong usage; 3 wrong ruleset; 4 what --fail-on names happened; 5 output could not be written."
)]
pub struct ReplayArguments {
    /// Captures (pcap, pcapng or snoop, also in gzip), merged by time; `-` is standard input
    #[arg(value_name = "CAPTURE")]
    pub captures: Vec<PathBuf>,

    /// Ruleset in the nftables language; without one, everything is accepted and tracked
    #[arg(long, value_name = "FILE", help_heading = "Firewall")]
    pub rules: Option<PathBuf>,
    /// Attach a helper by destination port, without a rule: `ftp=21,2121`, or `ftp` for its conventional ports (repeatable)
    #[arg(long, value_name = "NAME[=PORTS]", help_heading = "Firewall")]
    pub helpers: Vec<HelperPorts>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "clap takes a comment here for a help text")]
    pub loading: LoadArguments,
    /// Control connections whose beginning the capture lacks: `strict` never reads them, `lenient` reads from the first byte seen
    #[arg(long, value_enum, default_value_t, value_name = "POLICY", help_heading = "Firewall")]
    pub pickup: PickupChoice,
    /// What becomes of a connection whose loaded helper did what it must not
    #[arg(long, value_enum, default_value_t, value_name = "WHAT", help_heading = "Loaded helpers")]
    pub on_fault: OnFaultChoice,
    /// Let helpers open connections to addresses other than the announcer's (FXP and the like): dangerous
    #[arg(long, help_heading = "Firewall")]
    pub third_party: bool,
    /// Announcements that the other end must answer (FTP's PORT by its 200) match nothing before the answer. Some servers connect first and
    /// answer then
    #[arg(long, help_heading = "Firewall")]
    pub wait_for_answer: bool,
    /// Who may send media to an announced port (SIP, H.323): the other end of the call's `signalling` only, where that end has `announced` its
    /// own media, or `anyone`
    #[arg(long, value_enum, default_value_t, value_name = "WHO", help_heading = "Firewall")]
    pub media_source: MediaSourceChoice,
    /// Calls for a registered user (SIP, H.323) may come from anyone, and not from its registrar only
    #[arg(long, help_heading = "Firewall")]
    pub any_caller: bool,
    /// Who was called may lead the caller, and nobody else, to a third host: a SIP proxy to the media of whom it rings
    #[arg(long, help_heading = "Firewall")]
    pub introductions: bool,
    /// Addresses of the firewall host itself: their packets pass input and output instead of forward (repeatable)
    #[arg(long, value_name = "CIDR", help_heading = "Firewall")]
    pub local: Vec<Cidr>,
    /// Addresses behind an interface, for iifname and oifname (repeatable; the longest prefix wins), and the firewall's own address there,
    /// for masquerade and redirect: `wan=0.0.0.0/0,address=203.0.113.7`
    #[arg(long, value_name = "NAME=CIDR[,address=IP]", help_heading = "Firewall")]
    pub iface: Vec<Interface>,
    /// Translate addresses without a ruleset: `snat:10.0.0.0/8=203.0.113.7` for conns from inside, `dnat:203.0.113.7=10.0.0.5` or
    /// `dnat:203.0.113.7:2121=10.0.0.5:21` for those to it, `nptv6:fd01:203:405::/48=2001:db8:1::/48` for both (repeatable). Works beside the NAT
    /// statements of --rules
    #[arg(long, value_name = "MAPPING", help_heading = "Address translation")]
    pub nat: Vec<NatMapping>,
    /// The captures show one side of the firewall only: answers are addressed, and acknowledgements numbered, as the other side would have
    #[arg(long, help_heading = "Address translation")]
    pub one_sided: bool,
    /// NAT helpers that rewrite announcements: `all`, `none`, or a list (`ftp,irc`)
    #[arg(long, value_name = "LIST", default_value = "all", help_heading = "Address translation")]
    pub nat_helpers: NatHalves,
    /// How outside ports are given.
    #[command(flatten)]
    pub nat_options: NatOptions,
    /// Whether wrong transport checksums make packets invalid. Captures taken on a sending host hold packets whose checksum the
    /// network card was still to fill in, hence `ignore` by default
    #[arg(long, value_enum, default_value_t, value_name = "POLICY", help_heading = "Firewall")]
    pub checksum: Checksums,
    /// Of out-of-window TCP segments, only RSTs are invalid (nf_conntrack_tcp_be_liberal)
    #[arg(long, help_heading = "Firewall")]
    pub tcp_be_liberal: bool,
    /// Do not pick up TCP connections in mid-stream (nf_conntrack_tcp_loose=0)
    #[arg(long, help_heading = "Firewall")]
    pub no_tcp_loose: bool,
    /// Most connections tracked at a time
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_CONNS, value_parser = clap::value_parser!(u32).range(1..),
          help_heading = "Firewall")]
    pub max_conns: u32,
    /// Whose time timeouts run on: `capture`, or `frozen` at the first packet
    #[arg(long, value_enum, default_value_t, value_name = "CLOCK", help_heading = "Firewall")]
    pub clock: Clock,

    /// What is shown
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", help_heading = "Output")]
    pub format: Format,
    /// Show connection and expectation events as they happen, as `conntrack -E` does
    #[arg(long, conflicts_with_all = ["format", "explain"], help_heading = "Output")]
    pub events: bool,
    /// Explain a frame (`12`, `frame 12`), a connection (`conn 5`) or a flow (`10.0.0.1:1234 > 10.0.0.2:21`, or any part of one);
    /// without TARGET: everything expected, related, refused, unreadable or dropped
    #[arg(long, value_name = "TARGET", num_args = 0..=3, conflicts_with = "format", help_heading = "Output")]
    pub explain: Option<Vec<String>>,
    /// Show all connections and drops, not only the notable and the largest
    #[arg(long, help_heading = "Output")]
    pub all: bool,
    /// How many of the other connections, and of each kind of drop, the tree and the explanation show
    #[arg(long, value_name = "N", default_value_t = DEFAULT_LIMIT, help_heading = "Output")]
    pub limit: usize,
    /// Write the packets that survive to a pcapng file, each with a comment that holds its state, rule and reason
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub write: Option<PathBuf>,
    /// With --write: all packets, also those that do not survive
    #[arg(long, requires = "write", help_heading = "Output")]
    pub write_all: bool,
    /// Draw a control connection, its expectations and related connections (`.svg` or `.html`)
    #[arg(long, value_name = "FILE", value_parser = parse_diagram, help_heading = "Output")]
    pub diagram: Option<PathBuf>,
    /// The connection that --diagram draws (default: the first one with an expectation)
    #[arg(long, value_name = "CONN", requires = "diagram", help_heading = "Output")]
    pub diagram_conn: Option<u32>,
    /// Exit with code 4 if this happened (repeatable)
    #[arg(long, value_enum, value_name = "WHAT", action = ArgAction::Append, help_heading = "Output")]
    pub fail_on: Vec<FailOn>,
}

const DEFAULT_MAX_CONNS: u32 = 262_144;
const DEFAULT_LIMIT: usize = 10;

impl ReplayArguments {
    /// Splits what followed `--explain` into its target and captures that were swallowed with it (`--explain capture.pcap`).
    ///
    /// # Errors
    /// When it is neither.
    pub fn resolve_explain(&mut self) -> Result<Option<Target>, TargetError> {
        let Some(words) = self.explain.take() else { return Ok(None) };
        let target = (1..=words.len())
            .rev()
            .find_map(|n| Some((n, Target::from_str(&words.get(..n)?.join(" ")).ok()?)));
        let (used, target) = target.unwrap_or((0, Target::Everything));
        let captures = words.get(used..).unwrap_or_default();
        if let Some(odd) = captures.iter().find(|word| *word != "-" && !PathBuf::from(word).exists()) {
            return Err(TargetError(odd.clone()));
        }
        self.captures.extend(captures.iter().map(PathBuf::from));
        Ok(Some(target))
    }

    /// The engine settings that these arguments ask for.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.track.max_conns = self.max_conns;
        settings.track.l4.tcp_be_liberal = self.tcp_be_liberal;
        settings.track.l4.tcp_loose = !self.no_tcp_loose;
        settings.checksums = match self.checksum {
            Checksums::Ignore => ChecksumPolicy::Ignore,
            Checksums::Verify => ChecksumPolicy::Verify,
        };
        settings.pickup = match self.pickup {
            PickupChoice::Strict => Pickup::Strict,
            PickupChoice::Lenient => Pickup::Lenient,
        };
        settings.on_fault = self.on_fault.into();
        settings.policy.third_party = self.third_party;
        settings.policy.wait_for_answer = self.wait_for_answer;
        settings.policy.media_source = self.media_source.into();
        settings.policy.any_caller = self.any_caller;
        settings.policy.introductions = self.introductions;
        settings.attachments = self.helpers.iter().map(|h| h.0.clone()).collect();
        for &range in &self.local {
            settings.topology.add_local(range);
        }
        for interface in &self.iface {
            let id = settings.topology.add_interface(&interface.name, interface.range);
            settings.nat.addresses.extend(interface.address.map(|address| (id, address)));
        }
        settings.nat.rules = self.nat.iter().filter_map(NatMapping::setting).collect();
        settings.nat.behaviour = self.nat_options.behaviour();
        settings.nat.helpers = NatHelpers::new(&self.nat_helpers.built_in());
        settings
    }
}

/// A helper and the ports of `--helpers`.
#[derive(Clone, Debug)]
pub struct HelperPorts(pub Attachment);

impl HelperPorts {
    /// Whether there is such a helper.
    ///
    /// # Errors
    /// There is none; which there are.
    pub fn check(&self, registry: &Registry) -> Result<(), String> {
        let name = &self.0.helper;
        if registry.find(name).is_some() {
            return Ok(());
        }
        let known: Vec<&str> = registry.iter().map(|helper| helper.spec().name.as_str()).collect();
        Err(format!("no helper is called `{name}`; there are: {}", known.join(", ")))
    }
}

impl FromStr for HelperPorts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, list) = text.split_once('=').map_or((text, None), |(name, list)| (name, Some(list)));
        let ports = list.map_or(Ok(Vec::new()), |list| list.split(',').map(parse_port).collect())?;
        Ok(Self(Attachment { helper: name.to_owned(), ports }))
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    text.trim()
        .parse()
        .ok()
        .filter(|&port| port != 0)
        .ok_or_else(|| format!("`{text}` is not a port (1 to 65535)"))
}

/// An interface name and addresses behind it.
#[derive(Clone, Debug)]
pub struct Interface {
    /// The name.
    pub name: String,
    /// The addresses.
    pub range: Cidr,
    /// The firewall's own address there.
    pub address: Option<IpAddr>,
}

impl FromStr for Interface {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once('=').ok_or("expected NAME=CIDR, as in lan=10.0.0.0/8")?;
        let (range, option) = rest.split_once(',').map_or((rest, None), |(range, rest)| (range, Some(rest)));
        if name.is_empty() {
            return Err("the interface name is empty".to_owned());
        }
        Ok(Self {
            name: name.to_owned(),
            range: range.parse().map_err(|e: pinhole_engine::topology::CidrError| e.to_string())?,
            address: option.map(own_address).transpose()?,
        })
    }
}

fn own_address(option: &str) -> Result<IpAddr, String> {
    let address = option
        .strip_prefix("address=")
        .ok_or_else(|| format!("`{option}` is unknown: expected address=IP behind the comma"))?;
    address.parse().map_err(|_| format!("`{address}` is not an IP address"))
}

fn parse_diagram(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.extension().and_then(|e| e.to_str()) {
        Some("svg" | "html" | "htm") => Ok(path),
        _ => Err("the name must end in .svg or .html".to_owned()),
    }
}

/// What to do with control connections whose beginning was not captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PickupChoice {
    /// Never read them.
    #[default]
    Strict,
    /// Read from the first byte seen.
    Lenient,
}

/// What becomes of a connection whose loaded helper was quarantined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFaultChoice {
    /// It goes on, unread.
    #[default]
    Pass,
    /// Its packets are dropped.
    Drop,
}

impl From<OnFaultChoice> for OnFault {
    fn from(choice: OnFaultChoice) -> Self {
        match choice {
            OnFaultChoice::Pass => Self::Pass,
            OnFaultChoice::Drop => Self::Drop,
        }
    }
}

/// Who may send media to an announced port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MediaSourceChoice {
    /// The other end of the signalling connection only.
    Signalling,
    /// Where the other end said that it has its media.
    #[default]
    Announced,
    /// Anyone.
    Anyone,
}

impl MediaSourceChoice {
    /// As it is written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Signalling => "signalling",
            Self::Announced => "announced",
            Self::Anyone => "anyone",
        }
    }
}

impl From<MediaSourceChoice> for MediaSource {
    fn from(choice: MediaSourceChoice) -> Self {
        match choice {
            MediaSourceChoice::Signalling => Self::Signalling,
            MediaSourceChoice::Announced => Self::Announced,
            MediaSourceChoice::Anyone => Self::Anyone,
        }
    }
}

/// Whose time it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Clock {
    /// The capture's time stamps.
    #[default]
    Capture,
    /// The time of the first packet, for ever.
    Frozen,
}

/// Whether checksums count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Checksums {
    /// They are not looked at.
    #[default]
    Ignore,
    /// A packet with a wrong one is invalid.
    Verify,
}

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Control connections, their expectations and related connections; totals; drops by rule.
    #[default]
    Tree,
    /// One line a packet.
    Table,
    /// Connections and expectations as `conntrack -L` lists them.
    Conntrack,
    /// JSON Lines (`docs/json.md`).
    Json,
}

/// What makes a replay fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// A packet was dropped or rejected.
    Drop,
    /// An announcement was refused, or a helper could not read its connection.
    Refusal,
}
