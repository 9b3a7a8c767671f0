//! Where every question goes: policy, then the cache, then upstream.
//!
//! One sandbox has a share of the questions under way, not all of them, and a smaller one the fewer places are free: a
//! few whose names nobody answers leave room for all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use hickory_proto::op::ResponseCode;

use super::answer::Answer;
use super::cache::Cache;
use super::question::{Question, Verdict};
use super::upstream::Upstream;
use crate::egress::Egress;

/// Questions under way upstream, of all sandboxes; each holds a descriptor.
const MAX_UNDER_WAY: usize = 256;
/// Questions under way upstream, of one sandbox, as long as twice as many places are free.
const MAX_OF_ONE: usize = 32;

/// Answers questions.
#[derive(Debug)]
pub(super) struct Desk {
    egress: Egress,
    upstream: Option<Upstream>,
    cache: Cache,
    under_way: Arc<Mutex<UnderWay>>,
}

/// What becomes of a message.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is no question, or one too many.
    Ignored,
    /// The answer is known.
    Answered(Question, Answer),
    /// Someone else has to be asked.
    Asked(Question, Turn),
}

/// The right to ask upstream, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    client: IpAddr,
    under_way: Arc<Mutex<UnderWay>>,
}

#[derive(Debug, Default)]
struct UnderWay {
    total: usize,
    of_client: HashMap<IpAddr, usize>,
}

impl Desk {
    pub(super) fn new(egress: Egress, upstream: Option<Upstream>) -> Self {
        Self { egress, upstream, cache: Cache::default(), under_way: Arc::default() }
    }

    /// Takes a message in.
    pub(super) fn take(&self, client: IpAddr, bytes: &[u8]) -> Outcome {
        let Some(question) = Question::read(bytes) else { return Outcome::Ignored };
        let code = match question.verdict(&self.egress) {
            Verdict::Forward if self.upstream.is_none() => ResponseCode::ServFail,
            Verdict::Forward => return self.look_up(client, question),
            Verdict::Empty => ResponseCode::NoError,
            Verdict::Refuse(code) => code,
        };
        Outcome::Answered(question, Answer::bare(code))
    }

    /// Asks upstream. A failure is an answer, too.
    pub(super) async fn ask(&self, question: &Question) -> Answer {
        let Some(upstream) = &self.upstream else { return Answer::bare(ResponseCode::ServFail) };
        match upstream.ask(&question.query).await {
            Ok(message) => {
                let answer = Answer::admit(message, &self.egress);
                self.cache.put(&question.query, &answer, Instant::now());
                answer
            }
            Err(error) => {
                tracing::debug!(name = %question.query.name(), %error, "a name was not resolved");
                Answer::bare(ResponseCode::ServFail)
            }
        }
    }

    fn look_up(&self, client: IpAddr, question: Question) -> Outcome {
        if let Some(answer) = self.cache.get(&question.query, Instant::now()) {
            return Outcome::Answered(question, answer);
        }
        match Turn::take(&self.under_way, client) {
            Some(turn) => Outcome::Asked(question, turn),
            // Its asker tries again, when there is room.
            None => Outcome::Ignored,
        }
    }
}

impl Turn {
    fn take(under_way: &Arc<Mutex<UnderWay>>, client: IpAddr) -> Option<Self> {
        let mut counts = lock(under_way);
        let free = MAX_UNDER_WAY.saturating_sub(counts.total);
        // Whoever has none gets one while there is any.
        let share = (free / 2).clamp(1, MAX_OF_ONE);
        let held = counts.of_client.get(&client).copied().unwrap_or(0);
        if free == 0 || held >= share {
            return None;
        }
        counts.of_client.insert(client, held + 1);
        counts.total += 1;
        Some(Self { client, under_way: Arc::clone(under_way) })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut counts = lock(&self.under_way);
        counts.total = counts.total.saturating_sub(1);
        if let Some(of_client) = counts.of_client.get_mut(&self.client) {
            *of_client = of_client.saturating_sub(1);
            if *of_client == 0 {
                counts.of_client.remove(&self.client);
            }
        }
    }
}

fn lock(under_way: &Mutex<UnderWay>) -> MutexGuard<'_, UnderWay> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
