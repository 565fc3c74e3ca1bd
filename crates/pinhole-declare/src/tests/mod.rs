//! Whole files: what they come to in conversations, and what is wrong with others.

mod attacks;
mod dialogues;
mod mistakes;
mod shipped;
/// The harness of the built-in helpers: the same conversations, cut in the same ways.
#[path = "../../../pinhole-helpers/src/transcript.rs"]
#[allow(dead_code, reason = "not everything in it is used here")]
mod transcript;

use super::*;

/// The helper of a file that is right.
fn helper(text: &str) -> Declared {
    match Declaration::read(text) {
        Ok(declaration) => Declared::new(declaration),
        Err(problems) => panic!("{problems:#?}"),
    }
}
