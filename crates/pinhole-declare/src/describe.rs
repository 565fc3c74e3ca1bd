//! What `pinhole helpers NAME` says of a declared helper.

use crate::declaration::{
    AddressOf, Declaration, Expected, Message, Need, PortOf, Sides, Source, UNPRIVILEGED, When,
};
use crate::framing::Framing;
use crate::outstanding::MOST_OUTSTANDING;
use crate::template::Template;
use pinhole_helper::{Class, Lifetime, Name, PortMatch, Spec, Texts};
use pinhole_wire::Direction;
use std::borrow::Cow;

impl Declaration {
    pub(crate) fn describe(&self) -> Spec {
        let name = |text: &str| Name::try_from(text).unwrap_or(Name::new("declared"));
        let classes = self.expected.iter().map(|expected| Class {
            name: name(&expected.name.replace(' ', "-")),
            max: expected.max,
            timeout: expected.timeout,
        });
        let mut references = self.references.clone();
        references.extend(self.license.as_ref().map(|license| format!("licence: {license}")));
        references.extend(self.version.as_ref().map(|version| format!("version: {version}")));
        Spec {
            name: name(&self.name),
            aliases: Texts::Loaded(self.aliases.clone()),
            protocols: Cow::Owned(vec![self.protocol]),
            ports: Cow::Owned(self.ports.clone()),
            classes: Cow::Owned(classes.collect()),
            summary: Cow::Owned(self.summary.clone()),
            reads: Texts::Loaded(self.messages.iter().map(reads).collect()),
            creates: Texts::Loaded(
                self.messages.iter().filter_map(|message| self.creates(message)).collect(),
            ),
            refuses: Texts::Loaded(self.refuses()),
            limits: Texts::Loaded(self.limits()),
            nat: Cow::Borrowed(if self.messages.iter().any(|message| self.is_located(message)) {
                "writes translated addresses and ports in the notation they came in"
            } else {
                "translates nothing in the payload: it holds no endpoint of its sender's"
            }),
            ipv6: Cow::Borrowed(self.ipv6()),
            references: Texts::Loaded(references),
        }
    }

    /// What a message opens.
    fn creates(&self, message: &Message) -> Option<String> {
        let expected = self.expected.get(usize::from(message.expects?))?;
        let holds_address = message.announcing().iter().any(Template::has_address);
        let activated = self.messages.iter().filter(|other| {
            other.activates.is_some_and(|index| self.messages.get(usize::from(index)) == Some(message))
        });
        let activated: Vec<&str> = activated.map(|other| other.name.as_str()).collect();
        let once = if activated.is_empty() {
            String::new()
        } else {
            format!(", once {} was said", activated.join(" or "))
        };
        Some(format!("{}{once}: {}", message.name, opened(expected, holds_address)))
    }

    fn refuses(&self) -> Vec<String> {
        let mut refuses = Vec::new();
        if self.expected.iter().all(|expected| expected.address == AddressOf::Sender) {
            refuses.push("addresses that are not the sender's own".to_owned());
        }
        if self.needs().all(|need| need != Need::PrivilegedPorts) {
            refuses.push("ports below 1024, port 0, numbers out of range, junk".to_owned());
        } else {
            refuses.push("ports that it does not allow, port 0, numbers out of range, junk".to_owned());
        }
        for message in &self.messages {
            let other = message.answers.or(message.activates);
            if let Some(other) = other.and_then(|index| self.messages.get(usize::from(index))) {
                refuses.push(format!("{} without {}", message.name, other.name));
            }
        }
        let sides: Vec<&str> = [(Direction::Original, "the client's"), (Direction::Reply, "the server's")]
            .into_iter()
            .filter(|(from, _)| self.has_opening(*from))
            .map(|(_, side)| side)
            .collect();
        refuses.push(format!(
            "connections in which {} first message is another one, for ever",
            sides.join(" or ")
        ));
        refuses
    }

    fn limits(&self) -> Vec<String> {
        let unit = match self.framing {
            Framing::Line => "lines",
            Framing::Datagram => "datagrams",
            Framing::Byte(_) | Framing::Length(_) => "messages",
        };
        let longer = if self.skips_longer { "are skipped" } else { "end the reading" };
        let mut limits = vec![format!("{unit} of {} bytes; longer ones {longer}", self.limit)];
        if self.messages.iter().any(|message| message.is_remembered) {
            limits.push(format!("{MOST_OUTSTANDING} messages wait for what belongs to them"));
        }
        limits
    }

    fn ipv6(&self) -> &'static str {
        let mut announcing = self.messages.iter().filter(|message| message.expects.is_some());
        if announcing.any(|message| message.announcing().iter().any(Template::has_room_for_six)) {
            "the same as IPv4"
        } else {
            "none: the notation has no room for such addresses"
        }
    }
}

/// What a message looks like.
fn reads(message: &Message) -> String {
    let who = match message.from {
        Sides::Client => "client",
        Sides::Server => "server",
        Sides::Either => "either side",
    };
    let when = match message.when {
        When::First => ", first",
        When::Later | When::Always => "",
    };
    let quoted = |templates: &[Template]| {
        let texts: Vec<String> =
            templates.iter().map(|template| format!("'{}'", template.source())).collect();
        texts.join(" or ")
    };
    let items =
        message.list.as_ref().map_or(String::new(), |list| format!(", items {}", quoted(&list.items)));
    format!("{} ({who}{when}): {}{items}", message.name, quoted(&message.forms))
}

/// What may come.
fn opened(expected: &Expected, holds_address: bool) -> String {
    let source = match (expected.source, expected.source_port) {
        (Source::Peer, PortMatch::Any) => "the other end".to_owned(),
        (Source::Anyone, PortMatch::Any) => "anyone".to_owned(),
        (Source::Peer, ports) => format!("the other end, {}", ports_text(ports)),
        (Source::Anyone, ports) => format!("anyone, {}", ports_text(ports)),
    };
    let address = match (expected.address, holds_address) {
        (AddressOf::ThirdParty, _) => "the address named, whoever's it is",
        (AddressOf::Sender, true) => "the announcer's address",
        (AddressOf::Sender, false) => "the sender",
    };
    let port = match expected.port {
        None if expected.allowed == UNPRIVILEGED => "the announced port".to_owned(),
        None => format!("the announced port, {} to {}", expected.allowed.start(), expected.allowed.end()),
        Some(PortOf::Sender) => "the port that it sends from".to_owned(),
        Some(PortOf::Number(number)) => format!("port {number}"),
    };
    let more = match expected.count {
        1 => String::new(),
        count => format!(" and the {} after it", count - 1),
    };
    let many = match expected.lifetime {
        Lifetime::OneShot => "",
        Lifetime::Permanent => ", many connections",
    };
    let protocol = expected.protocol.to_string().to_uppercase();
    format!("{protocol} from {source} to {address}, {port}{more}{many}")
}

fn ports_text(ports: PortMatch) -> String {
    match ports {
        PortMatch::Exact(port) => format!("port {port}"),
        PortMatch::Range(first, last) => format!("ports {first} to {last}"),
        PortMatch::Any => "any port".to_owned(),
    }
}
