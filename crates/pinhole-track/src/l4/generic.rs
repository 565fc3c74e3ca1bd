//! Protocols without a state machine: two addresses that exchange packets.

use super::Step;
use crate::Timeouts;
use crate::timeouts::Timeout;

pub(super) fn update(timeouts: &Timeouts) -> Step {
    Step::Accept { timeout: timeouts[Timeout::Generic], assure: false, changed: false }
}
