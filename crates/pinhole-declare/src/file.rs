//! What the keys of a file mean.

mod check;

use crate::declaration::{
    AddressOf, Declaration, Expected, List, Message, PortOf, Sides, Source, Then, UNPRIVILEGED, When,
};
use crate::document::{Table, Text, choice};
use crate::framing::{Framing, Length};
use crate::problem::{Problem, Problems};
use crate::template::Template;
use pinhole_helper::{Lifetime, Name, PortMatch};
use pinhole_wire::Protocol;
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::DeTable;

/// Longest name of a helper.
const LONGEST_NAME: usize = Name::LONGEST;
/// Most names besides.
const MOST_ALIASES: usize = 8;
/// Most conventional ports.
const MOST_PORTS: usize = 16;
/// Most kinds of expected conns (NF_CT_MAX_EXPECT_CLASSES).
const MOST_EXPECTED: usize = 4;
/// Most messages.
const MOST_MESSAGES: usize = 32;
/// Most forms of a message.
const MOST_FORMS: usize = 8;
/// Longest message that can be waited for, in bytes.
const LONGEST_MESSAGE: u32 = 16 * 1024;
/// Longest message, if the file does not say.
const USUAL_MESSAGE: u32 = 512;
/// Longest datagram.
const LONGEST_DATAGRAM: u32 = 65_507;
/// Seconds of a day: nothing announced lives longer.
const LONGEST_TIMEOUT: u32 = 86_400;
/// Most ports that one announcement opens.
const MOST_CONSECUTIVE: u32 = 8;

const PROTOCOLS: [(&str, Protocol); 2] = [("tcp", Protocol::TCP), ("udp", Protocol::UDP)];
const SIDES: [(&str, Sides); 3] =
    [("client", Sides::Client), ("server", Sides::Server), ("either", Sides::Either)];

/// The name of a message or an expectation, and where the file says it.
type Named = (String, Range<usize>);

/// Understands a parsed file.
pub(crate) fn read(source: &str, document: &Spanned<DeTable<'_>>) -> Result<Declaration, Vec<Problem>> {
    let mut problems = Problems::default();
    // A key that is missing from the file itself is told at its beginning.
    let root = Table::new(source, "the file", 0..0, document.get_ref());
    let declaration = declaration(root, &mut problems);
    match declaration {
        Some(declaration) if problems.is_empty() => Ok(declaration),
        _ => Err(problems.into_vec()),
    }
}

fn declaration(mut root: Table<'_>, problems: &mut Problems) -> Option<Declaration> {
    let name = root.text("name", problems);
    if name.is_none() {
        root.missing("name", "as in name = \"relay\"", problems);
    }
    let name = name.and_then(|name| helper_name(&name, problems));
    let aliases = root.texts("aliases", problems);
    at_most(MOST_ALIASES, aliases.len(), "aliases", &root, problems);
    let aliases = aliases.iter().filter_map(|alias| alias_name(alias, problems)).collect();
    let summary = root.line("summary", problems);
    if summary.is_none() {
        root.missing("summary", "one line for `pinhole helpers`: what is it, and what is opened?", problems);
    }
    let version = root.line("version", problems);
    let license = root.line("license", problems);
    let references = root.lines("references", problems);
    let protocol = root.choice("protocol", &PROTOCOLS, problems);
    if protocol.is_none() {
        root.missing("protocol", "of the control connection: \"tcp\" or \"udp\"", problems);
    }
    let ports = root.numbers("ports", &(1..=u32::from(u16::MAX)), problems);
    at_most(MOST_PORTS, ports.len(), "ports", &root, problems);
    let ports = ports.into_iter().filter_map(|port| u16::try_from(port).ok()).collect();
    let protocol_or_tcp = protocol.unwrap_or(Protocol::TCP);
    let framing = root.table("framing", "[framing]", problems);
    let (framing, limit, skips_longer) = framing_of(framing, protocol_or_tcp, problems);

    let mut names: Vec<Named> = Vec::new();
    let mut all_expected = Vec::new();
    for (name, table) in root.named_tables("expect", problems) {
        identifier(&name, problems);
        names.push((name.value.to_owned(), name.span.clone()));
        all_expected.push(expected(name.value, table, protocol_or_tcp, problems));
    }
    at_most(MOST_EXPECTED, all_expected.len(), "[expect.…] tables", &root, problems);
    let tables = root.tables("message", problems);
    at_most(MOST_MESSAGES, tables.len(), "[[message]] tables", &root, problems);
    let messages = messages(tables, &names, problems);
    let span = root.span.clone();
    root.finish(problems);

    let declaration = Declaration {
        name: name?,
        aliases,
        summary: summary?,
        license,
        references,
        protocol: protocol?,
        ports,
        version,
        framing,
        limit,
        skips_longer,
        expected: all_expected,
        messages: messages.iter().map(|(message, _)| message.clone()).collect(),
    };
    let places: Vec<Range<usize>> = messages.into_iter().map(|(_, place)| place).collect();
    check::check(&declaration, &names, &places, span, problems);
    Some(declaration)
}

fn at_most(most: usize, count: usize, what: &str, table: &Table<'_>, problems: &mut Problems) {
    if count > most {
        problems.add(table.span.clone(), format!("{count} {what}: at most {most}"));
    }
}

fn helper_name(text: &Text<'_>, problems: &mut Problems) -> Option<String> {
    if text.value.len() > LONGEST_NAME {
        problems.add(text.span.clone(), format!("a helper's name has at most {LONGEST_NAME} characters"));
        return None;
    }
    alias_name(text, problems)
}

fn alias_name(text: &Text<'_>, problems: &mut Problems) -> Option<String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.value.is_empty() || text.value.len() > Name::LONGEST || !text.value.bytes().all(good) {
        problems
            .add(text.span.clone(), format!("{:?} cannot be a helper's name", text.value))
            .hint("letters, digits, `-`, `_` and `.`");
        return None;
    }
    Some(text.value.to_owned())
}

/// The name of an expectation or a message.
fn identifier(text: &Text<'_>, problems: &mut Problems) {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b' ' | b'.');
    if text.value.is_empty() || text.value.len() > Name::LONGEST || !text.value.bytes().all(good) {
        problems
            .add(text.span.clone(), format!("{:?} cannot be a name here", text.value))
            .hint("up to 31 letters, digits, blanks, `-`, `_` and `.`");
    }
}

/// `[framing]`: how messages end, how long they may be, and whether longer ones are skipped.
fn framing_of(
    table: Option<Table<'_>>,
    protocol: Protocol,
    problems: &mut Problems,
) -> (Framing, usize, bool) {
    let is_stream = protocol == Protocol::TCP;
    let usual =
        if is_stream { (Framing::Line, USUAL_MESSAGE) } else { (Framing::Datagram, LONGEST_DATAGRAM) };
    let Some(mut table) = table else { return (usual.0, usual.1 as usize, false) };
    let kinds: &[(&str, Kind)] = if is_stream {
        &[("line", Kind::Line), ("byte", Kind::Byte), ("length", Kind::Length)]
    } else {
        &[("datagram", Kind::Datagram)]
    };
    let kind = table.choice("by", kinds, problems);
    let limit =
        table.number("limit", 1..=if is_stream { LONGEST_MESSAGE } else { LONGEST_DATAGRAM }, problems);
    let skips = table.choice("longer", &[("blind", false), ("skip", true)], problems);
    let framing = match kind {
        None | Some(Kind::Datagram) => usual.0,
        Some(Kind::Line) => Framing::Line,
        Some(Kind::Byte) => {
            let end = table.number("end", 0..=255, problems);
            if end.is_none() {
                table.missing("end", "the byte that ends a message, as in end = 0", problems);
            }
            Framing::Byte(u8::try_from(end.unwrap_or(0)).unwrap_or(0))
        }
        Some(Kind::Length) => Framing::Length(length(&mut table, problems)),
    };
    table.finish(problems);
    (framing, limit.unwrap_or(usual.1) as usize, skips.unwrap_or(false))
}

#[derive(Clone, Copy)]
enum Kind {
    Line,
    Byte,
    Length,
    Datagram,
}

fn length(table: &mut Table<'_>, problems: &mut Problems) -> Length {
    let header = table.number("header", 1..=64, problems);
    if header.is_none() {
        table.missing("header", "how many bytes the header of a message has", problems);
    }
    let at = table.number("at", 0..=63, problems).unwrap_or(0);
    let size = table.number("size", 1..=4, problems);
    if size.is_none() {
        table.missing("size", "how many bytes the length has", problems);
    }
    let (header, size) = (header.unwrap_or(4), size.unwrap_or(2));
    if at + size > header {
        problems.add(
            table.span.clone(),
            format!("the length ends after byte {}, the header after byte {header}", at + size),
        );
    }
    let is_big = table.choice("order", &[("big", true), ("little", false)], problems).unwrap_or(true);
    let counts_header = table.choice("counts", &[("rest", false), ("all", true)], problems).unwrap_or(false);
    Length { header: header as usize, at: at as usize, size: size as usize, is_big, counts_header }
}

/// `[expect.NAME]`.
fn expected(name: &str, mut table: Table<'_>, control: Protocol, problems: &mut Problems) -> Expected {
    let protocol = table.choice("protocol", &PROTOCOLS, problems).unwrap_or(control);
    let source = table.choice("source", &[("peer", Source::Peer), ("anyone", Source::Anyone)], problems);
    let source_port = match table.number_or_text("source-ports", problems) {
        None => PortMatch::Any,
        Some(value) => match ports(value, "source-ports", &table, problems) {
            Some(range) if range.start() == range.end() => PortMatch::Exact(*range.start()),
            Some(range) => PortMatch::Range(*range.start(), *range.end()),
            None => PortMatch::Any,
        },
    };
    let addresses = [("sender", AddressOf::Sender), ("any", AddressOf::ThirdParty)];
    let address = table.choice("address", &addresses, problems).unwrap_or(AddressOf::Sender);
    let port = match table.number_or_text("port", problems) {
        None => None,
        Some(Ok(number)) => match u16::try_from(number) {
            Ok(number) if number > 0 => Some(PortOf::Number(number)),
            _ => {
                problems.add(table.span.clone(), format!("`port` {number} is none: 1 to 65535"));
                None
            }
        },
        Some(Err(text)) => choice(&text, "port", &[("sender", PortOf::Sender)], problems),
    };
    let allowed = match table.number_or_text("ports", problems) {
        None => UNPRIVILEGED,
        Some(value) => ports(value, "ports", &table, problems).unwrap_or(UNPRIVILEGED),
    };
    let count = table.number("count", 1..=MOST_CONSECUTIVE, problems).unwrap_or(1);
    let lifetimes = [("once", Lifetime::OneShot), ("permanent", Lifetime::Permanent)];
    let lifetime = table.choice("lifetime", &lifetimes, problems).unwrap_or(Lifetime::OneShot);
    let timeout = table.number("timeout", 1..=LONGEST_TIMEOUT, problems).unwrap_or(300);
    let max = table.number("max", 1..=255, problems).unwrap_or(1);
    let span = table.span.clone();
    table.finish(problems);
    if address == AddressOf::ThirdParty && source == Some(Source::Anyone) {
        problems
            .add(span, format!("[expect.{name}] lets anyone connect to anyone"))
            .hint("with address = \"any\" the source is \"peer\"");
    }
    Expected {
        name: name.to_owned(),
        protocol,
        source: source.unwrap_or(Source::Peer),
        source_port,
        address,
        port,
        allowed,
        count: u16::try_from(count).unwrap_or(1),
        lifetime,
        timeout,
        max: u8::try_from(max).unwrap_or(1),
    }
}

/// `514` or `"512-1023"`.
fn ports(
    value: Result<u32, Text<'_>>,
    key: &str,
    table: &Table<'_>,
    problems: &mut Problems,
) -> Option<RangeInclusive<u16>> {
    let (range, span) = match value {
        Ok(number) => (u16::try_from(number).ok().map(|port| port..=port), table.span.clone()),
        Err(text) => {
            let (first, last) = text.value.split_once('-').unwrap_or((text.value, text.value));
            let range = first.parse().ok().zip(last.parse().ok());
            (range.map(|(first, last): (u16, u16)| first..=last), text.span)
        }
    };
    let range = range.filter(|range| *range.start() > 0 && range.start() <= range.end());
    if range.is_none() {
        problems
            .add(span, format!("`{key}` is a port or a range of ports"))
            .hint("as in 514 or \"512-1023\"");
    }
    range
}

/// All `[[message]]`, and where they stand.
fn messages(
    tables: Vec<Table<'_>>,
    expected: &[Named],
    problems: &mut Problems,
) -> Vec<(Message, Range<usize>)> {
    let mut found: Vec<(Message, Range<usize>, References<'_>)> = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let span = table.span.clone();
        let (message, references) = message(index, table, expected, problems);
        found.push((message, span, references));
    }
    let names: Vec<String> = found.iter().map(|(message, ..)| message.name.clone()).collect();
    let position = |text: &Option<Text<'_>>, key: &str, problems: &mut Problems| {
        let text = text.as_ref()?;
        let position = names.iter().position(|name| name == text.value);
        if position.is_none() {
            problems
                .add(text.span.clone(), format!("`{key}` names no message"))
                .hint(format!("there are: {}", names.join(", ")));
        }
        position.and_then(|position| u8::try_from(position).ok())
    };
    for (message, _, references) in &mut found {
        message.answers = position(&references.answers, "answers", problems);
        message.activates = position(&references.activates, "activates", problems);
        message.cancels = position(&references.cancels, "cancels", problems);
        message.recalls = position(&references.recalls, "recalls", problems);
    }
    let of = |pick: fn(&Message) -> Option<u8>| -> Vec<u8> {
        found.iter().filter_map(|(message, ..)| pick(message)).collect()
    };
    let pending = of(|message| message.activates);
    let remembered = [of(|m| m.answers), of(|m| m.activates), of(|m| m.cancels), of(|m| m.recalls)].concat();
    for (index, (message, ..)) in (0u8..).zip(&mut found) {
        message.is_pending = pending.contains(&index);
        message.is_remembered = remembered.contains(&index);
    }
    found.into_iter().map(|(message, span, _)| (message, span)).collect()
}

/// Names of other messages in a message.
struct References<'d> {
    answers: Option<Text<'d>>,
    activates: Option<Text<'d>>,
    cancels: Option<Text<'d>>,
    recalls: Option<Text<'d>>,
}

/// `[[message]]`.
fn message<'d>(
    index: usize,
    mut table: Table<'d>,
    expected: &[Named],
    problems: &mut Problems,
) -> (Message, References<'d>) {
    let name = table.text("name", problems);
    if let Some(name) = &name {
        identifier(name, problems);
    }
    let from = table.choice("from", &SIDES, problems);
    if from.is_none() {
        table.missing("from", "who says it: \"client\", \"server\" or \"either\"", problems);
    }
    let whens = [("first", When::First), ("later", When::Later), ("always", When::Always)];
    let when = table.choice("when", &whens, problems).unwrap_or(When::Later);
    let ignores_case = table.flag("ignore-case", problems).unwrap_or(false);
    let texts = table.texts("match", problems);
    if texts.is_empty() {
        table.missing("match", "what it looks like, as in match = 'PORT {port}'", problems);
    }
    at_most(MOST_FORMS, texts.len(), "forms of a message", &table, problems);
    let forms: Vec<Template> =
        texts.iter().filter_map(|text| template(text, ignores_case, problems)).collect();
    let items = table.texts("item", problems);
    at_most(MOST_FORMS, items.len(), "forms of an item", &table, problems);
    let items: Vec<Template> =
        items.iter().filter_map(|text| template(text, ignores_case, problems)).collect();
    let until = table.text("until", problems).and_then(|text| template(&text, ignores_case, problems));
    let expects = table.text("expects", problems).and_then(|text| {
        let position = expected.iter().position(|(name, _)| name == text.value);
        if position.is_none() {
            problems
                .add(text.span.clone(), format!("there is no [expect.{}]", text.value))
                .hint("`expects` names the table that says what is opened");
        }
        position.and_then(|position| u8::try_from(position).ok())
    });
    let references = References {
        answers: table.text("answers", problems),
        activates: table.text("activates", problems),
        cancels: table.text("cancels", problems),
        recalls: table.text("recalls", problems),
    };
    let answered = table.number("answered", 1..=255, problems).unwrap_or(1);
    let prolongs = table.number("prolongs", 1..=LONGEST_TIMEOUT, problems);
    let thens = [("go-on", Then::GoOn), ("done", Then::Done), ("encrypted", Then::Encrypted)];
    let then = table.choice("then", &thens, problems).unwrap_or(Then::GoOn);
    table.finish(problems);
    let message = Message {
        name: name.map_or_else(|| format!("message {}", index + 1), |name| name.value.to_owned()),
        from: from.unwrap_or(Sides::Either),
        when,
        forms,
        list: (!items.is_empty()).then_some(List { items, until }),
        expects,
        answers: None,
        answered: u8::try_from(answered).unwrap_or(1),
        activates: None,
        cancels: None,
        recalls: None,
        is_pending: false,
        is_remembered: false,
        prolongs,
        then,
    };
    (message, references)
}

fn template(text: &Text<'_>, ignores_case: bool, problems: &mut Problems) -> Option<Template> {
    match Template::parse(text.value, ignores_case) {
        Ok(template) => Some(template),
        Err(mistake) => {
            let problem = problems.add(text.part(&mistake.range), mistake.message);
            if let Some(hint) = mistake.hint {
                problem.hint(hint);
            }
            None
        }
    }
}
