//! What a sandbox is answered.

use std::time::Duration;

use hickory_proto::op::{Edns, Message, Query, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};

use super::question::Question;
use crate::egress::Egress;

/// The longest that an answer is kept, whatever its owner says.
const MAX_TTL: u32 = 3600;
/// The longest that the absence of a name is kept.
const MAX_NEGATIVE_TTL: u32 = 60;

/// An answer, without the question it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: ResponseCode,
    pub(super) records: Vec<Record>,
    /// The start of authority that tells a client how long nothing is nothing.
    pub(super) authorities: Vec<Record>,
}

impl Answer {
    /// An answer without records.
    pub(super) fn bare(code: ResponseCode) -> Self {
        Self { code, records: Vec::new(), authorities: Vec::new() }
    }

    /// Takes what a sandbox may know of an upstream's answer.
    ///
    /// Addresses that are closed are left out. If none is left the name does not exist: an empty answer makes some
    /// clients try elsewhere.
    pub(super) fn admit(message: Message, egress: &Egress) -> Self {
        let code = message.metadata.response_code;
        let mut has_closed = false;
        let mut has_address = false;
        let mut records = message.answers;
        records.retain(|record| match &record.data {
            RData::A(address) => {
                let is_open = egress.is_open(address.0);
                has_address |= is_open;
                has_closed |= !is_open;
                is_open
            }
            RData::AAAA(_) | RData::HTTPS(_) | RData::SVCB(_) => false,
            // An answer cannot bear these; they would be written with another meaning.
            RData::Update0(_) | RData::OPT(_) | RData::TSIG(_) => false,
            _every_other_type => true,
        });
        if has_closed && !has_address {
            return Self::bare(ResponseCode::NXDomain);
        }
        let mut authorities = message.authorities;
        authorities.retain(|record| record.record_type() == RecordType::SOA && records.is_empty());
        Self { code, records, authorities }
    }

    /// How long the answer may be kept; not at all if it says nothing about the name.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        let seconds = match self.code {
            ResponseCode::NoError if !self.records.is_empty() => {
                self.records.iter().map(|record| record.ttl).min()?.min(MAX_TTL)
            }
            ResponseCode::NoError | ResponseCode::NXDomain => {
                self.authorities.iter().map(negative_ttl).min()?.min(MAX_NEGATIVE_TTL)
            }
            _failure => return None,
        };
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }

    /// The same answer after it was kept for a while.
    pub(super) fn aged(mut self, age: Duration) -> Self {
        let seconds = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        for record in self.records.iter_mut().chain(&mut self.authorities) {
            record.ttl = record.ttl.saturating_sub(seconds);
        }
        self
    }

    /// The message for the asker, of at most `limit` bytes: what does not fit is left out and marked so.
    pub(super) fn encode(&self, question: &Question, limit: usize) -> Option<Vec<u8>> {
        let mut message = Message::response(question.id, question.op_code);
        message.metadata.recursion_desired = question.recursion_desired;
        message.metadata.recursion_available = true;
        message.metadata.response_code = self.code;
        message.add_query(question.query.clone());
        message.answers.clone_from(&self.records);
        message.authorities.clone_from(&self.authorities);
        if question.has_edns {
            let mut edns = Edns::new();
            edns.set_max_payload(1232);
            message.set_edns(edns);
        }
        let whole = message.to_vec().ok();
        match whole {
            Some(bytes) if bytes.len() <= limit => Some(bytes),
            _too_long => message.truncate().to_vec().ok().filter(|bytes| bytes.len() <= limit),
        }
    }
}

/// Whether a message is the answer to a query.
pub(super) fn answers(message: &Message, query: &Query) -> bool {
    matches!(message.queries.as_slice(), [asked]
        if asked.name() == query.name()
            && asked.query_type() == query.query_type()
            && asked.query_class() == query.query_class())
}

fn negative_ttl(record: &Record) -> u32 {
    match &record.data {
        RData::SOA(soa) => soa.minimum.min(record.ttl),
        _other => record.ttl,
    }
}
