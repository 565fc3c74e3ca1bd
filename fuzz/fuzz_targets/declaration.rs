//! Any text as a declaration, and any conversation read by it. What is refused is refused at a place of the text; what is accepted keeps the
//! security rules, however the stream is cut.
//!
//! An input is the text, a line of two equals signs, and then a conversation as for any helper.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pinhole_declare::{Declaration, Declared};
use pinhole_fuzz::conversation::converse;
use pinhole_helper::Helper;
use std::hint::black_box;

const END: &[u8] = b"\n==\n";

fuzz_target!(|input: &[u8]| {
    let end = input.windows(END.len()).position(|window| window == END);
    let (text, conversation) =
        end.map_or((input, &[][..]), |end| (&input[..end + 1], &input[end + END.len()..]));
    let Ok(text) = str::from_utf8(text) else { return };
    match Declaration::read(text) {
        Ok(declaration) => {
            black_box(declaration.needs().count());
            let helper = Declared::new(declaration);
            black_box(helper.spec());
            converse(&helper, conversation);
        }
        Err(problems) => {
            assert!(!problems.is_empty() && problems.len() <= 20);
            for problem in problems {
                let span = problem.span;
                assert!(span.start <= span.end && span.end <= text.len(), "{span:?}");
                assert!(!problem.message.is_empty());
            }
        }
    }
});
