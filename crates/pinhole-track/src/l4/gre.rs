//! GRE: answered or not. The tuple tells PPTP's calls apart; nothing inside is judged.

use super::{Step, step_replied, update_replied};
use crate::timeouts::Timeout;
use crate::{Status, Timeouts};

/// Seconds that an expected conn, a call of PPTP, lives unanswered: more than other GRE, as in netfilter.
pub(crate) const CALL_UNREPLIED: u32 = 10 * 60;
/// Seconds that it lives when answered: a call may be silent for hours.
const CALL_REPLIED: u32 = 5 * 60 * 60;

pub(super) fn update(status: Status, timeouts: &Timeouts) -> Step {
    if status.contains(Status::EXPECTED) {
        return step_replied(CALL_UNREPLIED, CALL_REPLIED, status);
    }
    update_replied(Timeout::GreUnreplied, Timeout::GreReplied, status, timeouts)
}
