//! GRE: answered or not. The tuple tells PPTP's calls apart; nothing inside is judged.

use super::{Step, update_replied};
use crate::timeouts::Timeout;
use crate::{Status, Timeouts};

pub(super) fn update(status: Status, timeouts: &Timeouts) -> Step {
    update_replied(Timeout::GreUnreplied, Timeout::GreReplied, status, timeouts)
}
