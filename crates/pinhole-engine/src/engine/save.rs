//! Saving: an engine's state as bytes, all at once or in slices between packets.

use super::Engine;
use crate::state::{ConnRecord, End, FRAME, Head, Record, frame};
use pinhole_track::{ExpectationId, SavedConn};
use pinhole_wire::Time;
use serde::Serialize;

/// State that is being written. What changes between two slices is written as it is when its turn comes: each conn is whole in itself,
/// and one that came too late is missing.
pub struct Saving {
    bytes: Vec<u8>,
    checksum: crc32fast::Hasher,
    /// Bytes that it counts, and those of the frame.
    checked: usize,
    stage: Stage,
}

enum Stage {
    /// Conns from this slot on.
    Conns(u32),
    /// These origins from this place on.
    Origins(Vec<ExpectationId>, usize),
    Done,
}

impl Engine {
    /// The state as bytes, for [`State::read`](crate::State::read) and [`Engine::restore`]. This engine must not handle another packet: TCP
    /// windows are taken for what they are.
    pub fn save(&self, now: Time) -> Vec<u8> {
        let mut saving = self.begin(now, true);
        while !saving.proceed(self, u32::MAX) {}
        saving.finish()
    }

    /// Begins to save while packets pass; [`Saving::proceed`] does it. TCP windows are learned anew after this.
    pub fn begin_save(&self, now: Time) -> Saving {
        self.begin(now, false)
    }

    fn begin(&self, now: Time, is_last: bool) -> Saving {
        let mut saving = Saving {
            bytes: vec![0; FRAME],
            checksum: crc32fast::Hasher::new(),
            checked: FRAME,
            stage: Stage::Conns(0),
        };
        saving.write(&Head {
            saved: now,
            is_last,
            secret: self.secret,
            draws: self.nat.drawn(),
            helpers: self.host.helper_names().collect(),
            policies: self.tracker.timeout_policies().to_vec(),
        });
        saving
    }

    fn conn_record(&self, conn: SavedConn) -> ConnRecord {
        let session = self.tracker.session(conn.id);
        let translation = self.tracker.translation(conn.id);
        ConnRecord {
            session: session.and_then(|session| self.host.save_session(session, self.ruleset())),
            translation: translation
                .and_then(|kept| self.nat.save(kept, &conn.original, &self.tracker.reply(conn.id)?)),
            conn,
        }
    }
}

impl Saving {
    /// Writes what about `most` slots of the table, or expectations, hold. Returns whether all is written.
    pub fn proceed(&mut self, engine: &Engine, most: u32) -> bool {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Conns(mut slot) => {
                let conns = engine.tracker.save_conns(&mut slot, most);
                self.stage = match conns {
                    Some(conns) => {
                        for conn in conns {
                            self.write(&Record::Conn(Box::new(engine.conn_record(conn))));
                        }
                        Stage::Conns(slot)
                    }
                    None => Stage::Origins(engine.host.origin_ids(), 0),
                };
            }
            Stage::Origins(ids, first) => {
                let last = first.saturating_add(most as usize).min(ids.len());
                for id in ids.get(first..last).unwrap_or_default() {
                    if let Some(origin) = engine.host.save_origin(&engine.tracker, *id, engine.ruleset()) {
                        self.write(&Record::Origin(Box::new(origin)));
                    }
                }
                if last < ids.len() {
                    self.stage = Stage::Origins(ids, last);
                } else {
                    for call in engine.tracker.save_calls() {
                        self.write(&Record::Call(call));
                    }
                    self.write(&Record::End(End { next_expectation: engine.tracker.next_expectation() }));
                }
            }
            Stage::Done => {}
        }
        self.checksum.update(self.bytes.get(self.checked..).unwrap_or_default());
        self.checked = self.bytes.len();
        matches!(self.stage, Stage::Done)
    }

    /// The bytes, when all is written.
    pub fn finish(mut self) -> Vec<u8> {
        let length = self.bytes.len().saturating_sub(FRAME) as u64;
        let frame = frame(length, self.checksum.finalize());
        self.bytes.iter_mut().zip(frame).for_each(|(place, byte)| *place = byte);
        self.bytes
    }

    fn write(&mut self, record: &impl Serialize) {
        let bytes = std::mem::take(&mut self.bytes);
        // Plain data in memory: nothing of it can fail to be written.
        self.bytes = postcard::to_extend(record, bytes).unwrap_or_default();
    }
}
