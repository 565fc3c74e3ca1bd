//! Decimal numbers as protocols write them: digits only, never a sign, never wrapped.

/// A decimal number of one to ten digits that fits 32 bits. `None` for anything else, the empty string and signs included.
pub(crate) fn decimal(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    let value = digits.iter().try_fold(0u64, |value, &digit| {
        digit.is_ascii_digit().then(|| value * 10 + u64::from(digit - b'0'))
    })?;
    u32::try_from(value).ok()
}

/// A decimal port of one to five digits; zero passes.
pub(crate) fn port(digits: &[u8]) -> Option<u16> {
    if digits.len() > 5 {
        return None;
    }
    u16::try_from(decimal(digits)?).ok()
}
