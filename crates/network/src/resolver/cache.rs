//! Answers kept for as long as they are good for, up to a number.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hickory_proto::op::Query;
use hickory_proto::rr::{Name, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable as _;

use super::answer::Answer;

/// How many answers are kept; the oldest goes first.
const CAPACITY: usize = 8192;
/// The largest answer that is kept: whoever owns a name decides how much it holds, and many are kept.
const MAX_RECORDS: usize = 32;
/// The same in bytes, without compression.
const MAX_BYTES: usize = 4096;

type Key = (Name, RecordType);

/// A bounded cache.
#[derive(Debug, Default)]
pub(super) struct Cache {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    answers: HashMap<Key, Entry>,
    /// Keys in the order in which they came. A key that was replaced is in it once per time.
    order: VecDeque<(Key, Instant)>,
}

#[derive(Debug)]
struct Entry {
    answer: Answer,
    since: Instant,
    until: Instant,
}

impl Cache {
    pub(super) fn get(&self, query: &Query, now: Instant) -> Option<Answer> {
        let kept = self.lock();
        let entry = kept.answers.get(&key(query))?;
        (now < entry.until).then(|| entry.answer.clone().aged(now - entry.since))
    }

    /// Keeps an answer, if it is one that may be kept.
    pub(super) fn put(&self, query: &Query, answer: &Answer, now: Instant) {
        let Some(lifetime) = answer.lifetime().filter(|_| is_small(answer)) else { return };
        let key = key(query);
        let entry = Entry { answer: answer.clone(), since: now, until: now + lifetime };
        let mut kept = self.lock();
        kept.answers.insert(key.clone(), entry);
        kept.order.push_back((key, now));
        while kept.order.len() > CAPACITY {
            let Some((oldest, since)) = kept.order.pop_front() else { return };
            if kept.answers.get(&oldest).is_some_and(|entry| entry.since == since) {
                kept.answers.remove(&oldest);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_small(answer: &Answer) -> bool {
    let bytes = |record: &Record| record.to_bytes().map_or(MAX_BYTES, |bytes| bytes.len());
    let mut records = answer.records.iter().chain(&answer.authorities);
    records.clone().count() <= MAX_RECORDS && records.by_ref().map(bytes).sum::<usize>() < MAX_BYTES
}

fn key(query: &Query) -> Key {
    (query.name().to_lowercase(), query.query_type())
}
