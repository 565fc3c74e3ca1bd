//! The ports in use of one pool.

use super::bitmap::Bitmap;
use super::{Exhausted, Order, Parity, PortRange, Request};

/// Most ports of the short form: the bitmap is worth its 8 KiB from here on.
const SHORT: usize = 64;

/// The ports in use on one address, for one protocol and perhaps one destination.
#[derive(Clone, Debug, Default)]
pub struct PortPool {
    used: Used,
}

#[derive(Clone, Debug)]
enum Used {
    /// In ascending order, at most [`SHORT`].
    Few(Vec<u16>),
    Many {
        parities: Box<[Bitmap; 2]>,
        count: u32,
    },
}

impl Default for Used {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl PortPool {
    /// How many ports are in use.
    pub fn len(&self) -> u32 {
        match &self.used {
            Used::Few(ports) => ports.len() as u32,
            Used::Many { count, .. } => *count,
        }
    }

    /// Whether no port is in use.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes a port as the request wants it.
    ///
    /// # Errors
    /// [`Exhausted`] when every port of the range (and parity) is in use, or the range is empty.
    pub fn take(&mut self, request: &Request) -> Result<u16, Exhausted> {
        let port = self.find(request).ok_or(Exhausted)?;
        self.reserve(port);
        Ok(port)
    }

    /// Takes this very port; `false` if it is in use.
    pub fn reserve(&mut self, port: u16) -> bool {
        if let Used::Few(ports) = &mut self.used {
            match ports.binary_search(&port) {
                Ok(_) => return false,
                Err(place) if ports.len() < SHORT => {
                    ports.insert(place, port);
                    return true;
                }
                Err(_) => {}
            }
            let mut parities = Box::<[Bitmap; 2]>::default();
            for port in &*ports {
                parities[usize::from(port & 1)].insert(port >> 1);
            }
            self.used = Used::Many { parities, count: SHORT as u32 };
        }
        let Used::Many { parities, count } = &mut self.used else { return false };
        let inserted = parities[usize::from(port & 1)].insert(port >> 1);
        *count += u32::from(inserted);
        inserted
    }

    /// Gives a port back; `false` if it was not in use.
    pub fn release(&mut self, port: u16) -> bool {
        match &mut self.used {
            Used::Few(ports) => {
                let place = ports.binary_search(&port);
                if let Ok(place) = place {
                    ports.remove(place);
                }
                place.is_ok()
            }
            Used::Many { parities, count } => {
                let removed = parities[usize::from(port & 1)].remove(port >> 1);
                *count -= u32::from(removed);
                if *count == 0 {
                    self.used = Used::default();
                }
                removed
            }
        }
    }

    fn find(&self, request: &Request) -> Option<u16> {
        let Request { wish, range, parity, order, start } = *request;
        if range.first > range.last {
            return None;
        }
        let wished = order == Order::Preserve && (range.first..=range.last).contains(&wish);
        if wished && self.next_free(PortRange { first: wish, last: wish }, None).is_some() {
            return Some(wish);
        }
        let parity = match parity {
            Parity::Any => None,
            Parity::Same => Some(wish & 1),
        };
        let size = u32::from(range.last - range.first) + 1;
        let first = range.first + (u32::from(start) % size) as u16;
        let upper = self.next_free(PortRange { first, last: range.last }, parity);
        upper.or_else(|| match first.checked_sub(1) {
            Some(last) if last >= range.first => {
                self.next_free(PortRange { first: range.first, last }, parity)
            }
            _ => None,
        })
    }

    /// The least free port of a range, of the given parity if there is one.
    fn next_free(&self, range: PortRange, parity: Option<u16>) -> Option<u16> {
        let free = match &self.used {
            Used::Few(ports) => next_free_of_few(ports, range.first, parity),
            Used::Many { parities, .. } => {
                let of = |parity: u16| {
                    // The first number of this parity whose port is not below the range.
                    let number = (u32::from(range.first) + u32::from(1 - parity)) >> 1;
                    let number = u16::try_from(number).ok()?;
                    let found = parities[usize::from(parity)].next_free(number)?;
                    Some(found << 1 | parity)
                };
                match parity {
                    Some(parity) => of(parity),
                    None => [of(0), of(1)].into_iter().flatten().min(),
                }
            }
        };
        free.filter(|port| *port <= range.last)
    }
}

/// As many steps as there are ports in use, at most.
fn next_free_of_few(used: &[u16], first: u16, parity: Option<u16>) -> Option<u16> {
    let (mut port, step) = match parity {
        Some(parity) if first & 1 != parity => (first.checked_add(1)?, 2),
        Some(_) => (first, 2),
        None => (first, 1),
    };
    let place = used.partition_point(|used| *used < port);
    for used in used.get(place..).unwrap_or_default() {
        if *used > port {
            break;
        }
        if *used == port {
            port = port.checked_add(step)?;
        }
    }
    Some(port)
}
