//! The numbers of reasons.

use pinhole_helper::{BlindReason, Refusal};

const BLIND: [(u32, BlindReason); 4] = [
    (1, BlindReason::NotThisProtocol),
    (2, BlindReason::Encrypted),
    (6, BlindReason::MessageTooLong),
    (8, BlindReason::TooManyErrors),
];

const REFUSALS: [Refusal; 14] = [
    Refusal::ForeignAddress,
    Refusal::PrivilegedPort,
    Refusal::PortZero,
    Refusal::BadNumber,
    Refusal::Malformed,
    Refusal::AddressFamily,
    Refusal::Unsolicited,
    Refusal::OutOfSequence,
    Refusal::ReverseOffer,
    Refusal::Limit,
    Refusal::Clash,
    Refusal::Policy,
    Refusal::Unsupported,
    Refusal::Unanswered,
];

/// The reason of a number. Only reasons that a session can have: what else makes one blind is its host's to know.
pub fn blind(number: u32) -> Option<BlindReason> {
    BLIND.iter().find(|(known, _)| *known == number).map(|&(_, reason)| reason)
}

/// The number of a reason; 8 for one that a session cannot have.
pub fn of_blind(reason: BlindReason) -> u32 {
    BLIND.iter().find(|(_, known)| *known == reason).map_or(8, |&(number, _)| number)
}

/// The refusal of a number.
pub fn refusal(number: u32) -> Option<Refusal> {
    REFUSALS.get(usize::try_from(number.checked_sub(1)?).ok()?).copied()
}

/// The number of a refusal; that of [`Refusal::Unsupported`] for one that the interface does not have.
pub fn of_refusal(refusal: Refusal) -> u32 {
    let place = REFUSALS.iter().position(|known| *known == refusal).unwrap_or(12);
    // There are fourteen.
    place as u32 + 1
}
