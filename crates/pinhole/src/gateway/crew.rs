//! All shards of a gateway, as those who ask see them: one in this thread, or several in threads of their own.
//!
//! What is asked is asked of all, and they answer between two batches. What changes something changes it in all or in none: a ruleset is prepared by
//! all before one adopts it; a helper is loaded by one after the other, and whoever may refuse is asked first.

use super::shard::{Clock, Gateway, describe, load};
use super::spread::Spreading;
use super::worker::{Outbox, Trouble, Worker};
use crate::commands::Failure;
use crate::load::Grant;
use pinhole_gateway::Datapath;
use pinhole_gateway::router::Resolve;
use pinhole_gateway::shards::{Bell, Exchange};
use pinhole_io::live::Port;
use pinhole_io::live::rtnetlink::Snapshot;
use pinhole_io::live::rtnetlink::read::Neighbour;
use pinhole_wire::Time;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// How long a shard has for an answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long shards have to end.
const LAST_PATIENCE: Duration = Duration::from_millis(800);

/// How often shards are looked at though nobody said anything, in nanoseconds.
const ROUND: u64 = 1_000_000_000;

/// Why a ruleset with quotas is not for several shards.
const QUOTAS: &str = "its quotas count what all connections use together, and several shards do not: `shards = 1`, or no quota";

/// The shards.
pub(super) enum Crew {
    Alone(Box<Gateway>),
    Several(Box<Several>),
}

/// Shards with threads of their own.
pub(super) struct Several {
    workers: Vec<Worker>,
    spreading: Spreading,
    rules: PathBuf,
    clock: Clock,
    bell: Arc<Bell>,
    collected: Outbox,
    watched: bool,
}

impl Crew {
    /// Starts the threads, if there are several shards.
    pub(super) fn start(
        mut gateways: Vec<Gateway>,
        several: Option<(Spreading, Arc<Exchange>)>,
        rules: PathBuf,
    ) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::Gateway(format!("shards: {error}"));
        let Some((spreading, exchange)) = several else {
            let only = gateways.pop().ok_or_else(|| Failure::Gateway("no shard".to_owned()))?;
            return Ok(Self::Alone(Box::new(only)));
        };
        let bell = Arc::new(Bell::new().map_err(failed)?);
        let clock = gateways.first().map_or_else(Clock::new, Gateway::clock);
        let start = |(index, gateway)| Worker::start(index, gateway, exchange.clone(), bell.clone());
        let workers =
            gateways.into_iter().enumerate().map(start).collect::<Result<_, _>>().map_err(failed)?;
        let collected = Outbox::default();
        Ok(Self::Several(Box::new(Several {
            workers,
            spreading,
            rules,
            clock,
            bell,
            collected,
            watched: false,
        })))
    }

    pub(super) fn clock(&self) -> Clock {
        match self {
            Self::Alone(gateway) => gateway.clock(),
            Self::Several(several) => several.clock,
        }
    }

    pub(super) fn now(&self) -> Time {
        self.clock().now()
    }

    /// Has each shard do something; what came of it, in their order.
    ///
    /// # Errors
    /// One of them does not answer. The others have done it, and it will when it can.
    pub(super) fn ask<T: Send + 'static>(
        &mut self,
        job: impl Fn(&mut Gateway) -> T + Send + Sync + 'static,
    ) -> Result<Vec<T>, String> {
        match self {
            Self::Alone(gateway) => Ok(vec![job(gateway)]),
            Self::Several(several) => several.ask(job),
        }
    }

    /// One turn, if the shard is this thread's; else what others have to tell is collected. Returns whether there is more to do at once.
    pub(super) fn turn(&mut self, complain: &mut dyn FnMut(&str)) -> bool {
        match self {
            Self::Alone(gateway) => gateway.turn(complain),
            Self::Several(several) => {
                several.bell.silence();
                several.workers.iter().for_each(|worker| worker.collect(&mut several.collected));
                several.collected.troubles.drain(..).for_each(|trouble| complain(&trouble));
                false
            }
        }
    }

    /// What is wrong with shards.
    pub(super) fn troubles(&self) -> impl Iterator<Item = Trouble> {
        let now = self.now();
        let workers = match self {
            Self::Alone(_) => &[][..],
            Self::Several(several) => &several.workers,
        };
        workers.iter().filter_map(move |worker| worker.trouble(now))
    }

    /// The thread is about to wait. Returns whether it need not.
    pub(super) fn listen(&mut self) -> bool {
        match self {
            Self::Alone(_) => false,
            Self::Several(several) => {
                several.bell.listen();
                several.workers.iter().for_each(|worker| worker.collect(&mut several.collected));
                let Outbox { news, news_lost, questions, troubles } = &several.collected;
                !news.is_empty() || *news_lost > 0 || !questions.is_empty() || !troubles.is_empty()
            }
        }
    }

    /// To be waited on.
    pub(super) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            Self::Alone(gateway) => gateway.datapath.ports().iter().filter_map(Port::descriptor).collect(),
            Self::Several(several) => vec![several.bell.descriptor()],
        }
    }

    /// Nanoseconds until something is due, here or for others.
    pub(super) fn patience(&self, others: impl Iterator<Item = Time>) -> u64 {
        match self {
            Self::Alone(gateway) => gateway.patience(others),
            Self::Several(several) => {
                let due = others.min().map(|deadline| deadline.since(several.clock.now()));
                due.map_or(ROUND, |nanos| nanos.clamp(1_000_000, ROUND))
            }
        }
    }

    /// What routers want to know of neighbours.
    pub(super) fn take_questions(&mut self) -> Vec<Resolve> {
        match self {
            Self::Alone(gateway) => match &mut gateway.datapath {
                Datapath::Router(router) => router.take_questions(),
                Datapath::Bridge(_) => Vec::new(),
            },
            Self::Several(several) => std::mem::take(&mut several.collected.questions),
        }
    }

    /// Lines for those who watch, since the last call, and how many there was no room for.
    pub(super) fn take_news(&mut self) -> (Vec<u8>, u64) {
        match self {
            Self::Alone(gateway) => gateway.journal.take_news(),
            Self::Several(several) => {
                let collected = &mut several.collected;
                (std::mem::take(&mut collected.news), std::mem::take(&mut collected.news_lost))
            }
        }
    }

    /// Whether anybody watches.
    pub(super) fn watch(&mut self, watched: bool) {
        match self {
            Self::Alone(gateway) => gateway.journal.watched = watched,
            Self::Several(several) if several.watched != watched => {
                several.watched = watched;
                several.order(move |gateway| gateway.journal.watched = watched);
            }
            Self::Several(_) => {}
        }
    }

    /// Tells routers of neighbours.
    pub(super) fn update(&mut self, now: Time, neighbours: Vec<Neighbour>) {
        let update = move |gateway: &mut Gateway| {
            if let Datapath::Router(router) = &mut gateway.datapath {
                neighbours.iter().for_each(|neighbour| router.update(now, neighbour));
            }
        };
        match self {
            Self::Alone(gateway) => update(gateway),
            Self::Several(several) => several.order(update),
        }
    }

    /// Tells routers of interfaces, addresses and routes.
    pub(super) fn configure(&mut self, now: Time, snapshot: Snapshot) -> std::io::Result<()> {
        let configure = move |gateway: &mut Gateway, snapshot: &Snapshot| {
            if let Datapath::Router(router) = &mut gateway.datapath {
                router.configure(now, snapshot);
            }
        };
        match self {
            Self::Alone(gateway) => {
                configure(gateway, &snapshot);
                Ok(())
            }
            Self::Several(several) => {
                let changes = several.spreading.note_network(&snapshot);
                let steering = several.spreading.steering().clone();
                several.order(move |gateway| {
                    configure(gateway, &snapshot);
                    if changes {
                        gateway.datapath.steer_by(steering.clone());
                    }
                });
                if changes { several.spreading.tell_kernel() } else { Ok(()) }
            }
        }
    }

    /// Reads the ruleset again and puts it into force; if anything is wrong with it, nothing changes.
    pub(super) fn reload(&mut self) -> Result<(), String> {
        match self {
            Self::Alone(gateway) => gateway.reload(),
            Self::Several(several) => {
                several.reload().map_err(|why| format!("the ruleset stays as it was\n{why}"))
            }
        }
    }

    /// Ends all conns; returns how many.
    pub(super) fn flush(&mut self) -> Result<usize, String> {
        Ok(self.ask(Gateway::flush)?.into_iter().sum())
    }

    /// Loads helpers; what was done, a line each.
    pub(super) fn load(&mut self, names: &[String], allow: &[Grant]) -> Result<String, String> {
        let (names, allow) = (names.to_owned(), allow.to_owned());
        self.in_turn(|_| 0, move |gateway| gateway.load(&names, &allow))
    }

    /// Unloads helpers.
    pub(super) fn unload(&mut self, names: &[String], force: bool) -> Result<String, String> {
        let (names, wanted) = (names.to_owned(), names.to_owned());
        let uses = move |gateway: &mut Gateway| gateway.modules.uses(gateway.datapath.engine(), &wanted);
        self.in_turn(uses, move |gateway| gateway.unload(&names, force))
    }

    /// Lets a helper read again, or no more.
    pub(super) fn switch(&mut self, name: &str, enabled: bool, nat: bool) -> Result<String, String> {
        let name = name.to_owned();
        self.in_turn(|_| 0, move |gateway| gateway.switch(&name, enabled, nat))
    }

    /// Reads helpers again from their files.
    pub(super) fn reload_modules(&mut self, names: &[String]) -> Result<String, String> {
        let names = names.to_owned();
        self.in_turn(|_| 0, move |gateway| gateway.reload_modules(&names))
    }

    /// Has one shard after the other do what any of them may refuse, beginning with the likeliest to refuse. What the first refuses is not done.
    fn in_turn(
        &mut self,
        likelihood: impl Fn(&mut Gateway) -> usize + Send + Sync + 'static,
        job: impl Fn(&mut Gateway) -> Result<String, String> + Send + Sync + 'static,
    ) -> Result<String, String> {
        let several = match self {
            Self::Alone(gateway) => return job(gateway),
            Self::Several(several) => several,
        };
        let mut order: Vec<(usize, usize)> = several.ask(likelihood)?.into_iter().zip(0..).collect();
        order.sort_by_key(|&(likelihood, index)| (std::cmp::Reverse(likelihood), index));
        let job = Arc::new(job);
        let mut told: Vec<(usize, String)> = Vec::new();
        for (_, index) in order {
            let job = job.clone();
            let done = several.ask_one(index, move |gateway| job(gateway)).and_then(|done| done);
            match done {
                Ok(text) => told.push((index, text)),
                Err(why) if told.is_empty() => return Err(why),
                Err(why) => {
                    let changed: Vec<String> = told.iter().map(|(index, _)| index.to_string()).collect();
                    let changed = changed.join(", ");
                    return Err(format!("shard {index}: {why}; it is done in shard {changed}"));
                }
            }
        }
        told.sort_unstable();
        match told.split_first() {
            Some(((_, first), rest)) if rest.iter().all(|(_, text)| text == first) => Ok(first.clone()),
            _ => Ok(told.iter().map(|(index, text)| format!("shard {index}: {text}")).collect()),
        }
    }

    /// Ends the threads; the shards, as they are then.
    ///
    /// # Errors
    /// One of them does not end.
    pub(super) fn stop(self) -> Result<Vec<Gateway>, Failure> {
        match self {
            Self::Alone(gateway) => Ok(vec![*gateway]),
            Self::Several(several) => {
                several.workers.iter().for_each(Worker::stop);
                let until = Instant::now() + LAST_PATIENCE;
                let ended = several.workers.into_iter().map(|worker| worker.wait(until));
                ended.collect::<Result<_, _>>().map_err(Failure::Gateway)
            }
        }
    }
}

impl Several {
    fn ask<T: Send + 'static>(
        &self,
        job: impl Fn(&mut Gateway) -> T + Send + Sync + 'static,
    ) -> Result<Vec<T>, String> {
        let job = Arc::new(job);
        let waiting: Vec<_> = self
            .workers
            .iter()
            .map(|worker| {
                let (job, (tell, told)) = (job.clone(), mpsc::channel());
                // Who does not wait any more need not be told.
                worker.order(Box::new(move |gateway| drop(tell.send(job(gateway)))))?;
                Ok(told)
            })
            .collect::<Vec<Result<_, String>>>();
        let until = Instant::now() + PATIENCE;
        let answers = waiting.into_iter().enumerate().map(|(index, told)| answer(index, &told?, until));
        answers.collect()
    }

    fn ask_one<T: Send + 'static>(
        &self,
        index: usize,
        job: impl FnOnce(&mut Gateway) -> T + Send + 'static,
    ) -> Result<T, String> {
        let worker = self.workers.get(index).ok_or_else(|| format!("there is no shard {index}"))?;
        let (tell, told) = mpsc::channel();
        worker.order(Box::new(move |gateway| drop(tell.send(job(gateway)))))?;
        answer(index, &told, Instant::now() + PATIENCE)
    }

    /// Has all do something, and does not wait for it. One that hangs is noticed by its beat.
    fn order(&self, job: impl Fn(&mut Gateway) + Send + Sync + 'static) {
        let job = Arc::new(job);
        for worker in &self.workers {
            let job = job.clone();
            let _ = worker.order(Box::new(move |gateway| job(gateway)));
        }
    }

    fn reload(&mut self) -> Result<(), String> {
        let ruleset = load(&self.rules).map_err(|failure| describe(&failure))?;
        if ruleset.has_quotas() {
            return Err(QUOTAS.to_owned());
        }
        let shared = ruleset.clone();
        let prepared = self.ask(move |gateway| gateway.prepare_part(&shared));
        if let Err(why) = prepared.and_then(|answers| answers.into_iter().collect::<Result<Vec<()>, _>>()) {
            self.order(Gateway::withdraw);
            return Err(why);
        }
        let changes = self.spreading.note_ruleset(&ruleset);
        let steering = self.spreading.steering().clone();
        self.ask(move |gateway| gateway.adopt(steering.clone()))?;
        if changes {
            self.spreading.tell_kernel().map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn answer<T>(index: usize, told: &mpsc::Receiver<T>, until: Instant) -> Result<T, String> {
    let patience = until.saturating_duration_since(Instant::now());
    told.recv_timeout(patience).map_err(|_| format!("shard {index} does not answer"))
}

/// Whether a ruleset is for so many shards.
pub(super) fn check(ruleset: &pinhole_ruleset::Ruleset, shards: usize) -> Result<(), Failure> {
    if shards > 1 && ruleset.has_quotas() { Err(Failure::Gateway(QUOTAS.to_owned())) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
