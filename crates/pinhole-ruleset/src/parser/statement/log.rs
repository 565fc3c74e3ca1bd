//! `log`.

use super::Parser;
use crate::ast::{LogWords, StatementKind};
use crate::diagnostic::{Checked, problem, unsupported};
use crate::lexer::Kind;

const FLAGS: &[&str] = &["all", "ether", "skuid"];
const TCP_FLAGS: &[&str] = &["sequence", "options"];

impl Parser<'_> {
    pub(super) fn log_statement(&mut self) -> Checked<StatementKind> {
        self.bump();
        let mut log = LogWords::default();
        loop {
            match () {
                () if self.take_word("prefix") => {
                    log.prefix = Some(self.log_prefix()?);
                }
                () if self.take_word("level") => log.level = Some(self.name("a log level")?),
                () if self.take_word("flags") => self.log_flags(&mut log)?,
                () if self.take_word("group") => log.group = Some(self.number("a log group (0 to 65535)")?),
                () if self.take_word("snaplen") => log.snaplen = Some(self.number("a length in bytes")?),
                () if self.take_word("queue-threshold") => {
                    log.queue_threshold = Some(self.number("a threshold")?);
                }
                () => return Ok(StatementKind::Log(log)),
            }
        }
    }

    fn log_prefix(&mut self) -> Checked<String> {
        let prefix = self.constant_word("a quoted prefix")?;
        if prefix.text.contains('$') {
            return Err(unsupported(prefix.span, "a variable inside a log prefix", "write the text out"));
        }
        Ok(prefix.text)
    }

    fn log_flags(&mut self, log: &mut LogWords) -> Checked<()> {
        let flag = self.name("a log flag: tcp, ip, skuid, ether or all")?;
        match flag.text.as_str() {
            "tcp" => loop {
                let part = self.name("`sequence` or `options`")?;
                if !TCP_FLAGS.contains(&part.text.as_str()) {
                    return Err(problem(part.span, "the TCP log flags are `sequence` and `options`"));
                }
                log.flags.push(format!("tcp {}", part.text));
                if !self.take(Kind::Comma) {
                    return Ok(());
                }
            },
            "ip" => {
                self.expect_word("options")?;
                log.flags.push("ip options".into());
            }
            other if FLAGS.contains(&other) => log.flags.push(other.into()),
            _ => return Err(problem(flag.span, "the log flags are tcp, ip, skuid, ether and all")),
        }
        Ok(())
    }
}
