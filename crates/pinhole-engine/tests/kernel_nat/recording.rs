//! What the kernel did: the recordings in `../shared/oracle/nat`, one set of files a job.

use super::support;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// The public address of every job.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 7);

/// One line of `jobs.txt`: a capture, and the host in it that stands behind 203.0.113.7.
#[derive(Clone)]
pub(crate) struct Job {
    /// The protocol's folder.
    pub(crate) protocol: String,
    pub(crate) capture: String,
    /// The inside host is the target of `dnat`; else it is the subject of `snat`.
    pub(crate) is_dnat: bool,
    pub(crate) inside: Ipv4Addr,
    /// The address that hosts outside know.
    pub(crate) public: Ipv4Addr,
}

/// Of one frame, its state.
pub(crate) struct StateRow {
    pub(crate) frame: u64,
    pub(crate) state: String,
    pub(crate) direction: String,
    pub(crate) status: String,
    pub(crate) note: String,
}

/// An expectation as it was entered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ExpectationRow {
    pub(crate) frame: u64,
    pub(crate) helper: String,
    /// `tcp:10.0.0.1:0>203.0.113.7:4000`
    pub(crate) tuple: String,
    pub(crate) master: String,
}

/// The kernel's answers about one job.
pub(crate) struct Recording {
    pub(crate) states: Vec<StateRow>,
    pub(crate) expectations: Vec<ExpectationRow>,
    /// By frame, the datagrams that left.
    pub(crate) left: BTreeMap<u64, Vec<Vec<u8>>>,
}

impl Job {
    /// The jobs that have a recording and a capture here.
    pub(crate) fn all(shared: &Path) -> Vec<Self> {
        let text = std::fs::read_to_string(shared.join("oracle/nat/jobs.txt")).unwrap();
        let jobs = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (protocol, capture) = (words.next()?.to_owned(), words.next()?.to_owned());
            let is_dnat = words.next()? == "dnat";
            Some(Self { protocol, capture, is_dnat, inside: words.next()?.parse().ok()?, public: PUBLIC })
        });
        jobs.filter(|job| job.file(shared, "nat.pcap").exists() && job.path(shared).exists()).collect()
    }

    /// `ftp NAME.pcap nat`, as differences are listed.
    pub(crate) fn name(&self) -> String {
        format!("{} {} {}", self.protocol, self.capture, self.mode())
    }

    pub(crate) fn path(&self, shared: &Path) -> PathBuf {
        shared.join("captures").join(&self.protocol).join(&self.capture)
    }

    const fn mode(&self) -> &'static str {
        if self.is_dnat { "dnat" } else { "nat" }
    }

    fn file(&self, shared: &Path, what: &str) -> PathBuf {
        shared.join("oracle/nat").join(format!("{}.{}.{}.{what}", self.protocol, self.capture, self.mode()))
    }

    pub(crate) fn recording(&self, shared: &Path) -> Recording {
        let mut left: BTreeMap<u64, Vec<Vec<u8>>> = BTreeMap::new();
        for datagram in support::frames(&self.file(shared, "nat.pcap")) {
            // The recorder writes the frame's number in place of the time.
            left.entry(datagram.time.seconds()).or_default().push(datagram.bytes);
        }
        let states = rows(&self.file(shared, "state.tsv"))
            .map(|row| {
                let [frame, _, state, direction, _, status, _, _, _, note] = row;
                StateRow { frame: frame.parse().unwrap(), state, direction, status, note }
            })
            .collect();
        let expectations = rows(&self.file(shared, "expect.tsv"))
            .filter(|row| row[1] == "NEW")
            .map(|row| {
                let [frame, _, helper, _, _, _, _, tuple, _, master] = row;
                ExpectationRow { frame: frame.parse().unwrap(), helper, tuple, master }
            })
            .collect();
        Recording { states, expectations, left }
    }
}

fn rows(path: &Path) -> impl Iterator<Item = [String; 10]> {
    let text = std::fs::read_to_string(path).unwrap();
    let row = |line: &str| {
        let mut columns = line.split('\t').map(str::to_owned);
        std::array::from_fn(|_| columns.next().unwrap_or_default())
    };
    text.lines().skip(1).map(row).collect::<Vec<_>>().into_iter()
}
