//! A shard's thread: its ports, and between batches what it is told to do.
//!
//! Life cycle: started when everything is open and the process confined, so that it is as confined; turns until it is told to stop; gives its gateway
//! back. Whoever wants something sends a job and rings its bell. What it has to tell without being asked (news for those who watch, questions to the kernel,
//! troubles) it leaves in its outbox, and rings the bell of the one who collects.
//!
//! It beats each turn, that is at least each second. One that has not beaten for [`HUNG`] does not go round any more.

use super::shard::Gateway;
use pinhole_gateway::Datapath;
use pinhole_gateway::router::Resolve;
use pinhole_gateway::shards::{Bell, Exchange};
use pinhole_io::live::{Interest, Port, wait};
use pinhole_wire::Time;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nanoseconds after which a shard that has not beaten is taken to hang.
pub(super) const HUNG: u64 = 3_000_000_000;

/// Batches after which jobs are looked at, however busy the ports are.
const BATCHES_PER_JOB_TURN: u32 = 16;

/// Jobs that wait.
const MOST_JOBS: usize = 256;

/// Bytes of news, questions and troubles that wait to be collected.
const MOST_NEWS: usize = 1 << 20;
const MOST_QUESTIONS: usize = 1_024;
const MOST_TROUBLES: usize = 16;

/// Something that a shard is to do.
pub(super) type Job = Box<dyn FnOnce(&mut Gateway) + Send>;

/// What a shard has to tell.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) news: Vec<u8>,
    pub(super) news_lost: u64,
    pub(super) questions: Vec<Resolve>,
    pub(super) troubles: Vec<String>,
}

/// What a thread shares with the one that started it.
struct Shared {
    beat: AtomicU64,
    is_to_stop: AtomicBool,
    outbox: Mutex<Outbox>,
    /// Of the one who collects.
    bell: Arc<Bell>,
}

/// A shard's thread, from outside.
pub(super) struct Worker {
    index: usize,
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
    exchange: Arc<Exchange>,
    thread: JoinHandle<Gateway>,
}

impl Worker {
    /// Starts the thread of a shard. `bell` is rung when there is something in its outbox.
    pub(super) fn start(
        index: usize,
        gateway: Gateway,
        exchange: Arc<Exchange>,
        bell: Arc<Bell>,
    ) -> io::Result<Self> {
        let (jobs, receiver) = mpsc::sync_channel(MOST_JOBS);
        let shared = Arc::new(Shared {
            beat: AtomicU64::new(gateway.now().0),
            is_to_stop: AtomicBool::new(false),
            outbox: Mutex::default(),
            bell,
        });
        let turning = Turning { index, jobs: receiver, shared: shared.clone(), exchange: exchange.clone() };
        let builder = std::thread::Builder::new().name(format!("shard {index}"));
        let thread = builder.spawn(move || turning.work(gateway))?;
        Ok(Self { index, jobs, shared, exchange, thread })
    }

    /// Hands it a job.
    ///
    /// # Errors
    /// It has ended, or does not get to what it was told before.
    pub(super) fn order(&self, job: Job) -> Result<(), String> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => format!("shard {} does not answer", self.index),
            TrySendError::Disconnected(_) => format!("shard {} has ended", self.index),
        })?;
        self.ring();
        Ok(())
    }

    fn ring(&self) {
        if let Some(bell) = self.exchange.bell(self.index) {
            bell.ring();
        }
    }

    /// What is wrong with it, if something is.
    pub(super) fn trouble(&self, now: Time) -> Option<Trouble> {
        if self.thread.is_finished() {
            return Some(Trouble::Ended(self.index));
        }
        let beat = Time(self.shared.beat.load(Ordering::Relaxed));
        (now.since(beat) > HUNG).then_some(Trouble::Hangs(self.index))
    }

    /// Empties its outbox into another.
    pub(super) fn collect(&self, all: &mut Outbox) {
        let mut outbox = self.shared.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        all.news.append(&mut outbox.news);
        all.news_lost += std::mem::take(&mut outbox.news_lost);
        all.questions.append(&mut outbox.questions);
        all.troubles.append(&mut outbox.troubles);
    }

    /// Tells it to stop.
    pub(super) fn stop(&self) {
        self.shared.is_to_stop.store(true, Ordering::SeqCst);
        self.ring();
    }

    /// Waits for it to end; its gateway.
    ///
    /// # Errors
    /// It hangs, or has ended by a fault.
    pub(super) fn wait(self, until: Instant) -> Result<Gateway, String> {
        while !self.thread.is_finished() {
            if Instant::now() >= until {
                return Err(Trouble::Hangs(self.index).to_string());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.thread.join().map_err(|_| Trouble::Ended(self.index).to_string())
    }
}

/// What can be wrong with a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("shard {0} has ended by a fault")]
    Ended(usize),
    #[error("shard {0} hangs: it does nothing any more")]
    Hangs(usize),
}

/// The same, from inside.
struct Turning {
    index: usize,
    jobs: Receiver<Job>,
    shared: Arc<Shared>,
    exchange: Arc<Exchange>,
}

impl Turning {
    fn work(self, mut gateway: Gateway) -> Gateway {
        let mut turns = 0u32;
        let mut troubles = Vec::new();
        loop {
            turns = turns.wrapping_add(1);
            let busy = gateway.turn(|message| troubles.push(message.to_owned()));
            self.shared.beat.store(gateway.now().0, Ordering::Relaxed);
            self.tell(&mut gateway, &mut troubles);
            if busy && !turns.is_multiple_of(BATCHES_PER_JOB_TURN) {
                continue;
            }
            while let Ok(job) = self.jobs.try_recv() {
                job(&mut gateway);
            }
            if self.shared.is_to_stop.load(Ordering::SeqCst) {
                return gateway;
            }
            if !busy {
                self.wait(&mut gateway, &mut troubles);
            }
        }
    }

    /// Waits for frames, letters and jobs.
    fn wait(&self, gateway: &mut Gateway, troubles: &mut Vec<String>) {
        let Some(bell) = self.exchange.bell(self.index) else { return };
        bell.listen();
        if let Ok(job) = self.jobs.try_recv() {
            job(gateway);
        } else if !self.exchange.has_letters(self.index) && !self.shared.is_to_stop.load(Ordering::SeqCst) {
            let ports = gateway.datapath.ports().iter().filter_map(Port::descriptor);
            let waiting: Vec<Interest<'_>> =
                ports.chain([bell.descriptor()]).map(Interest::reading).collect();
            if let Err(error) = wait(&waiting, gateway.patience(std::iter::empty())) {
                troubles.push(error.to_string());
            }
        }
        bell.silence();
    }

    fn tell(&self, gateway: &mut Gateway, troubles: &mut Vec<String>) {
        let questions = match &mut gateway.datapath {
            Datapath::Router(router) => router.take_questions(),
            Datapath::Bridge(_) => Vec::new(),
        };
        let (news, news_lost) = gateway.journal.take_news();
        if news.is_empty() && news_lost == 0 && questions.is_empty() && troubles.is_empty() {
            return;
        }
        let mut outbox = self.shared.outbox.lock().unwrap_or_else(PoisonError::into_inner);
        outbox.news_lost += news_lost;
        if outbox.news.len() + news.len() > MOST_NEWS {
            outbox.news_lost += news.iter().filter(|byte| **byte == b'\n').count() as u64;
        } else {
            outbox.news.extend_from_slice(&news);
        }
        let room = MOST_QUESTIONS.saturating_sub(outbox.questions.len());
        outbox.questions.extend(questions.into_iter().take(room));
        let room = MOST_TROUBLES.saturating_sub(outbox.troubles.len());
        outbox.troubles.extend(troubles.drain(..).take(room));
        drop(outbox);
        self.shared.bell.ring();
    }
}
