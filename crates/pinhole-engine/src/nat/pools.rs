//! The ports in use by conns whose source is translated: a pool for each outer address, protocol and remote end.
//!
//! A port serves one conn for each remote end, as in netfilter; those of endpoint-independent mappings are of one pool for all remote ends
//! ([`PoolKey::of_all`]). A pool exists as long as one of its ports is in use. The tracker has
//! the last word on which tuples are taken: conns that are not translated, or that keep a tuple of one that has just ended, stand in no
//! pool.

use pinhole_nat::ports::{Exhausted, PortPool, Request};
use pinhole_track::hash::{Secret, WordHasher};
use pinhole_wire::{Address, IpVersion, Protocol};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};

/// Which pool a port is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PoolKey {
    pub(crate) outer: Address,
    pub(crate) remote: Address,
    pub(crate) remote_port: u16,
    pub(crate) protocol: Protocol,
    pub(crate) version: IpVersion,
    pub(crate) zone: u16,
}

/// By words: a keyed hash of two, or five, costs less than one of six fields.
impl Hash for PoolKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [a, b] = self.outer.words();
        let [c, d] = self.remote.words();
        // All IPv4 addresses differ in the upper half of their last word only; that no two keys are alike is seen to by who compares them.
        if self.version == IpVersion::V4 {
            let packed = packed(self.remote_port, self.protocol, self.version, self.zone);
            return hash_words([b >> 32 | d & !0xffff_ffff, packed], state);
        }
        hash_words([a, b, c, d, packed(self.remote_port, self.protocol, self.version, self.zone)], state);
    }
}

/// What stands beside the addresses of an end, in one word.
pub(super) fn packed(port: u16, protocol: Protocol, version: IpVersion, zone: u16) -> u64 {
    u64::from(port) | u64::from(zone) << 16 | u64::from(protocol.0) << 32 | (version as u64) << 40
}

/// Hashes words.
pub(super) fn hash_words<const N: usize>(words: [u64; N], state: &mut impl Hasher) {
    words.into_iter().for_each(|word| state.write_u64(word));
}

/// A port in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Port {
    pub(crate) key: PoolKey,
    pub(crate) port: u16,
}

/// Keyed, because whoever sends packets chooses remote ends.
#[derive(Clone, Copy)]
pub(crate) struct Keyed(pub(crate) Secret);

impl BuildHasher for Keyed {
    type Hasher = WordHasher;

    #[inline]
    fn build_hasher(&self) -> WordHasher {
        self.0.hasher()
    }
}

/// Numbers that outsiders cannot foresee, the same for the same secret.
pub(crate) struct Draws {
    secret: [u64; 2],
    count: u64,
}

impl Draws {
    pub(crate) const fn new(secret: [u64; 2]) -> Self {
        Self { secret, count: 0 }
    }

    /// As they go on after so many.
    pub(crate) const fn after(secret: [u64; 2], count: u64) -> Self {
        Self { secret, count }
    }

    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.count = self.count.wrapping_add(1);
        self.fixed(self.count)
    }

    /// The same number for the same things.
    pub(crate) fn fixed(&self, of: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.secret.hash(&mut hasher);
        of.hash(&mut hasher);
        hasher.finish()
    }
}

impl PoolKey {
    /// The pool whose ports serve all remote ends.
    pub(crate) fn of_all(self) -> Self {
        Self { remote: Address::default(), remote_port: 0, ..self }
    }
}

pub(crate) struct Pools {
    pools: HashMap<PoolKey, PortPool, Keyed>,
}

impl Pools {
    pub(crate) fn new(keyed: Keyed) -> Self {
        Self { pools: HashMap::with_hasher(keyed) }
    }

    /// Takes a port as the request wants it.
    pub(crate) fn take(&mut self, key: PoolKey, request: &Request) -> Result<Port, Exhausted> {
        let pool = self.pools.entry(key).or_default();
        let taken = pool.take(request);
        if taken.is_err() && pool.is_empty() {
            self.pools.remove(&key);
        }
        taken.map(|port| Port { key, port })
    }

    /// Takes this very port; `None` if another conn has it.
    pub(crate) fn reserve(&mut self, key: PoolKey, port: u16) -> Option<Port> {
        self.pools.entry(key).or_default().reserve(port).then_some(Port { key, port })
    }

    pub(crate) fn release(&mut self, Port { key, port }: Port) {
        if let Some(pool) = self.pools.get_mut(&key) {
            pool.release(port);
            if pool.is_empty() {
                self.pools.remove(&key);
            }
        }
    }

    /// Ports in use.
    pub(crate) fn len(&self) -> u64 {
        self.pools.values().map(|pool| u64::from(pool.len())).sum()
    }
}
