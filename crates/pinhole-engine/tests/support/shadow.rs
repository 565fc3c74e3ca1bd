//! A second engine that is restarted again and again, from nothing but what it saved: whatever it is sent, it must decide, tell and
//! send as one that runs on.

use super::lab::told;
use pinhole_engine::{Engine, Frame, Outcome, Settings, State};
use pinhole_wire::Time;

/// The second engine.
pub(crate) struct Shadow {
    engine: Engine,
    settings: Settings,
    rules: Option<String>,
}

impl Shadow {
    pub(crate) fn new(settings: Settings, rules: Option<&str>) -> Self {
        let rules = rules.map(str::to_owned);
        let engine = start(settings.clone(), rules.as_deref());
        Self { engine, settings, rules }
    }

    /// Handles what the other engine has just handled, and compares.
    pub(crate) fn follow(
        &mut self,
        frame: &Frame<'_>,
        outcome: &Outcome,
        other: &Engine,
        events: &[String],
        restarts: bool,
    ) {
        let own = self.engine.handle(frame);
        let seen = |engine: &Engine, outcome: &Outcome| {
            let tuple = |conn: Option<_>| conn.map(|conn| engine.tracker().original(conn));
            let Outcome { verdict, state, direction, rule, reason, rewritten, .. } = *outcome;
            let (conn, about) = (tuple(outcome.conn), tuple(outcome.about));
            format!("{verdict:?} {state:?} {direction:?} {rule:?} {reason:?} {rewritten} {conn:?} {about:?}")
        };
        assert_eq!(seen(&self.engine, &own), seen(other, outcome), "frame {}", frame.number);
        self.compare(other, events, frame.time, frame.bytes);
        if restarts {
            self.restart(frame.time);
            self.compare_tables(other, frame.time);
        }
    }

    /// Lets the time pass that the other engine has let pass.
    pub(crate) fn pass(&mut self, now: Time, other: &Engine, events: &[String]) {
        while self.engine.advance(now, 1000) {}
        self.compare(other, events, now, &[]);
        self.restart(now);
        self.compare_tables(other, now);
    }

    fn compare(&mut self, other: &Engine, events: &[String], now: Time, frame: &[u8]) {
        let sent = |engine: &Engine| {
            engine.output().map(|it| (it.kind, it.link, it.packet(frame))).collect::<Vec<_>>()
        };
        assert_eq!(sent(&self.engine), sent(other), "{now:?}");
        let mut own = Vec::new();
        while let Some(event) = self.engine.next_event() {
            own.push(told(&self.engine, &event));
        }
        let mut events = events.to_vec();
        // Things that end in one tick of the clock end in any order, and what is over is not saved.
        for events in [&mut own, &mut events] {
            let is_over = |it: &str| it.contains("cause: Timeout") || it.contains("cause: MasterGone");
            events.retain(|event| !event.starts_with("destroy Timeout") && !is_over(event));
            events.sort_unstable();
        }
        assert_eq!(own, events, "{now:?}");
    }

    fn compare_tables(&self, other: &Engine, now: Time) {
        let living = |engine: &Engine| {
            let tracker = engine.tracker();
            let left = |conn| tracker.timeout_left(conn, now).filter(|left| *left > 0);
            let lives = tracker.conns().filter_map(|conn| Some((tracker.original(conn)?, left(conn)?)));
            let mut all: Vec<String> = lives.map(|it| format!("{it:?}")).collect();
            all.sort_unstable();
            all
        };
        assert_eq!(living(&self.engine), living(other));
        let waiting = |engine: &Engine| {
            let tracker = engine.tracker();
            let lives = |master| tracker.timeout_left(master, now).is_some_and(|left| left > 0);
            let all = tracker.expectations().filter(|it| it.deadline > now && lives(it.master));
            all.map(|it| it.id).collect::<Vec<_>>()
        };
        assert_eq!(waiting(&self.engine), waiting(other));
    }

    fn restart(&mut self, now: Time) {
        let saved = self.engine.save(now);
        let state = State::read(&saved).unwrap();
        // Even the secret of a new process is another one.
        let settings = Settings { secret: [1, 2], ..self.settings.clone() };
        self.engine = start(settings, self.rules.as_deref());
        let restored = self.engine.restore(state, now).unwrap();
        assert_eq!((restored.left_out, restored.blind), (0, 0), "{restored:?}");
    }
}

fn start(settings: Settings, rules: Option<&str>) -> Engine {
    let rules = rules.map(|text| pinhole_ruleset::compile_text("firewall.nft", text).unwrap());
    Engine::new(settings, pinhole_helpers::registry(), rules).unwrap()
}
