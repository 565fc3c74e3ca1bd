//! The words that select something of a packet: `ct state`, `ip saddr`, `iifname`.

use super::Parser;
use crate::ast::{Expr, ExprKind};
use crate::diagnostic::{Checked, problem, unsupported};
use crate::lexer::Kind;
use crate::ruleset::Family;
use crate::selector::{self, CtDirection, Found};
use crate::source::Span;
use std::rc::Rc;

impl Parser<'_> {
    /// A selector, if the current word begins one.
    pub(super) fn selector(&mut self) -> Checked<Option<Rc<Expr>>> {
        let token = self.peek(0);
        if token.kind == Kind::At && self.peek(2).kind == Kind::Comma {
            return Err(unsupported(token.span, "matching raw payload", "match a named field instead"));
        }
        if token.kind != Kind::Name {
            return Ok(None);
        }
        let word = self.text(token).to_owned();
        match word.as_str() {
            "ct" => self.ct_selector().map(Some),
            "meta" => self.meta_selector().map(Some),
            "exthdr" => self.extension().map(Some),
            "tcp" if self.is_word_at(1, "option") => self.tcp_option().map(Some),
            "fib" => Err(unsupported(
                token.span,
                "`fib`",
                "the rules know no routes; list the addresses in a set, or match interface names",
            )),
            "socket" | "osf" | "ipsec" | "xfrm" | "tunnel" => {
                Err(unsupported(token.span, format!("`{word}`"), "match addresses and ports instead"))
            }
            "numgen" | "jhash" | "symhash" => Err(unsupported(
                token.span,
                format!("`{word}`"),
                "choose by address or port with a map instead",
            )),
            header if selector::HEADERS.contains(&header) => self.header_selector(header).map(Some),
            key => match selector::meta(key, false) {
                Found::Unknown => Ok(None),
                found => {
                    self.bump();
                    self.found(found, token.span, key).map(Some)
                }
            },
        }
    }

    fn found(&self, found: Found, span: Span, text: &str) -> Checked<Rc<Expr>> {
        match found {
            Found::Selector(s) => Ok(Rc::new(Expr { kind: ExprKind::Selector(s), span })),
            Found::Unsupported(hint) => Err(unsupported(span, format!("`{text}`"), hint)),
            Found::Unknown => Err(problem(span, format!("nft has no `{text}`"))),
        }
    }

    fn meta_selector(&mut self) -> Checked<Rc<Expr>> {
        let start = self.bump().span;
        let key = self.name("a key of `meta`, such as iifname or l4proto")?;
        self.found(selector::meta(&key.text, true), start.to(key.span), &format!("meta {}", key.text))
    }

    fn header_selector(&mut self, header: &str) -> Checked<Rc<Expr>> {
        let start = self.bump().span;
        let key = self.name(&format!("a field of `{header}`"))?;
        self.found(selector::header(header, &key.text), start.to(key.span), &format!("{header} {}", key.text))
    }

    fn tcp_option(&mut self) -> Checked<Rc<Expr>> {
        let start = self.bump().span;
        self.bump();
        let option = self.name("a TCP option, such as maxseg")?;
        let span = start.to(option.span);
        if self.kind() != Kind::Name {
            return Err(unsupported(
                span,
                "this",
                "of the TCP options only `maxseg size` is visible to rules",
            ));
        }
        let field = self.name("a field of the option")?;
        let text = format!("tcp option {} {}", option.text, field.text);
        self.found(selector::tcp_option(&option.text, &field.text), start.to(field.span), &text)
    }

    fn extension(&mut self) -> Checked<Rc<Expr>> {
        let start = self.bump().span;
        let header = self.name("an extension header, such as hbh or frag")?;
        let text = format!("exthdr {}", header.text);
        self.found(selector::extension(&header.text), start.to(header.span), &text)
    }

    fn ct_selector(&mut self) -> Checked<Rc<Expr>> {
        let start = self.bump().span;
        let direction = match () {
            () if self.take_word("original") => CtDirection::Original,
            () if self.take_word("reply") => CtDirection::Reply,
            () => CtDirection::Both,
        };
        let family = match () {
            () if direction == CtDirection::Both => None,
            () if self.take_word("ip") => Some(Family::Ip),
            () if self.take_word("ip6") => Some(Family::Ip6),
            () => None,
        };
        let key = self.name("a key of `ct`, such as state or mark")?;
        let span = start.to(key.span);
        if direction != CtDirection::Both
            && family.is_none()
            && matches!(key.text.as_str(), "saddr" | "daddr")
        {
            return Ok(Rc::new(Expr { kind: ExprKind::CtAddress { key: key.text, direction }, span }));
        }
        let found = selector::ct(&key.text, direction, family);
        let needs_direction = matches!(key.text.as_str(), "saddr" | "daddr" | "proto-src" | "proto-dst");
        if found == Found::Unknown && needs_direction {
            return Err(problem(span, format!("`ct {}` needs a direction", key.text))
                .hint(format!("write `ct original {0}` or `ct reply {0}`", key.text)));
        }
        self.found(found, span, &format!("ct {}", key.text))
    }
}
