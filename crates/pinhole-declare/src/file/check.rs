//! What only the whole file tells: rules for helpers that a declaration would break, and words that contradict each other.

use super::Named;
use crate::declaration::{AddressOf, Declaration, Message, Sides, When};
use crate::problem::Problems;
use crate::template::Template;
use pinhole_wire::Direction;
use std::ops::Range;

/// Checks a declaration; `places` are those of its messages.
pub(super) fn check(
    declaration: &Declaration,
    expected: &[Named],
    places: &[Range<usize>],
    root: Range<usize>,
    problems: &mut Problems,
) {
    let place = |index: usize| places.get(index).cloned().unwrap_or(0..0);
    if declaration.messages.iter().all(|message| message.expects.is_none()) {
        problems
            .add(root, "no message announces anything")
            .hint("a [[message]] with `expects` and an [expect.NAME] say what is opened");
    }
    for (index, (name, span)) in (0u8..).zip(expected) {
        if declaration.messages.iter().all(|message| message.expects != Some(index)) {
            problems.add(span.clone(), format!("no message expects `{name}`"));
        }
    }
    for (index, message) in declaration.messages.iter().enumerate() {
        let mut names = declaration.messages.iter().take(index).map(|earlier| &earlier.name);
        if names.any(|earlier| *earlier == message.name) {
            problems.add(place(index), format!("a second message is called `{}`", message.name));
        }
        opening(declaration, message, place(index), problems);
        announcement(declaration, message, place(index), problems);
        list(message, place(index), problems);
        for (key, other, sides) in [
            ("answers", message.answers, message.from.opposite()),
            ("activates", message.activates, message.from.opposite()),
            ("cancels", message.cancels, message.from.opposite()),
            ("recalls", message.recalls, message.from),
        ] {
            let Some(other) = other.and_then(|other| declaration.messages.get(usize::from(other))) else {
                continue;
            };
            reference(message, key, other, sides, place(index), problems);
        }
    }
}

/// Whoever announces must have shown that it speaks the protocol.
fn opening(declaration: &Declaration, message: &Message, place: Range<usize>, problems: &mut Problems) {
    let opens = |from| !message.from.has(from) || declaration.has_opening(from);
    if message.expects.is_some() && ![Direction::Original, Direction::Reply].into_iter().all(opens) {
        problems
            .add(place.clone(), format!("`{}` counts without its sender having opened with the protocol", message.name))
            .hint("give a message of that side when = \"first\" or \"always\": a connection that begins otherwise is never read");
    }
    let anything = |form: &Template| form.beginning().is_empty() && form.takes_anything();
    if message.when != When::Later && message.forms.iter().any(anything) {
        problems
            .add(place, format!("`{}` opens a connection, and any bytes fit it", message.name))
            .hint("the first message is to tell the protocol from others: give it some text of its own");
    }
}

/// Where the endpoint of what is announced comes from.
fn announcement(declaration: &Declaration, message: &Message, place: Range<usize>, problems: &mut Problems) {
    let expected = message.expects.and_then(|index| declaration.expected.get(usize::from(index)));
    let announcing = message.announcing();
    let Some(expected) = expected else {
        if announcing.iter().any(|form| form.has_port() || form.has_address()) {
            problems
                .add(place, format!("`{}` holds an address or a port, and expects nothing", message.name))
                .hint("say what is opened with `expects`, or write {_:number} or {_:word}");
        }
        return;
    };
    for form in announcing {
        let source = form.source();
        match (form.has_port(), expected.port) {
            (false, None) => {
                problems
                    .add(place.clone(), format!("'{source}' announces no port"))
                    .hint("write {port} where it stands, or say `port` in the [expect.…] table");
            }
            (true, Some(_)) => {
                problems.add(
                    place.clone(),
                    format!("'{source}' announces a port, and [expect.{}] says another", expected.name),
                );
            }
            _ => {}
        }
        if expected.address == AddressOf::ThirdParty && !form.has_address() {
            problems.add(place.clone(), format!("'{source}' announces no address, and `address` is \"any\""));
        }
    }
}

fn list(message: &Message, place: Range<usize>, problems: &mut Problems) {
    let has_items = message.forms.iter().any(Template::has_items);
    match &message.list {
        None if has_items => {
            problems
                .add(place, format!("`{}` holds {{items}}, and there is no `item`", message.name))
                .hint("item = '…' says what an item of the list looks like");
        }
        Some(_) if !message.forms.iter().all(Template::has_items) => {
            problems.add(place, format!("`{}` has an `item`, and a form without {{items}}", message.name));
        }
        Some(list) if list.items.iter().any(|item| item.has_items() || item.has_key()) => {
            problems.add(place, "an item of a list holds neither {items} nor {key}");
        }
        Some(list) if list.items.iter().any(Template::may_be_empty) => {
            problems.add(place, "an item of a list may be empty: there would be no end of them");
        }
        _ => {}
    }
}

/// What a message says of another one.
fn reference(
    message: &Message,
    key: &str,
    other: &Message,
    sides: Sides,
    place: Range<usize>,
    problems: &mut Problems,
) {
    if !other.from.meets(sides) {
        let hint = if key == "recalls" {
            "a side recalls what it said itself; `cancels` ends what the other side said"
        } else {
            "it is a message of the other side that is answered, activated or cancelled"
        };
        problems
            .add(
                place.clone(),
                format!("`{}` never meets `{}`: the wrong side says it", message.name, other.name),
            )
            .hint(hint);
    }
    if key == "activates" && other.expects.is_none() {
        problems.add(place.clone(), format!("`{}` announces nothing that could be activated", other.name));
    }
    let keyed = |message: &Message| message.forms.iter().all(Template::has_key);
    if message.forms.iter().any(Template::has_key) && !keyed(other) {
        problems
            .add(place, format!("`{}` has a {{key}}, `{}` has none", message.name, other.name))
            .hint("both are to hold what they have in common");
    }
}
