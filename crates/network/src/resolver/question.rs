//! What a sandbox asks, read from bytes that nobody vouches for.

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, RecordType};
use ipnet::IpNet;

use crate::egress::Egress;

/// What every client takes over UDP.
const PLAIN_PAYLOAD: usize = 512;
/// What fits into a packet on any path; clients that announce more get this.
const MAX_PAYLOAD: usize = 1232;
/// The largest message that is looked at. A question has no use for more.
pub(super) const MAX_QUESTION: usize = 1024;

/// A question, and how its asker wants the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) id: u16,
    pub(super) query: Query,
    pub(super) op_code: OpCode,
    pub(super) recursion_desired: bool,
    pub(super) has_edns: bool,
    /// The largest answer that may be sent over UDP, in bytes.
    pub(super) payload: usize,
}

/// What becomes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Someone else knows.
    Forward,
    /// There is such a name, without records of that type.
    Empty,
    /// It ends here.
    Refuse(ResponseCode),
}

impl Question {
    /// Reads a message. `None` for what is no question: answering could start a loop or help a flood.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_QUESTION || !has_one_question(bytes) {
            return None;
        }
        let message = Message::from_vec(bytes).ok()?;
        if message.metadata.message_type != MessageType::Query {
            return None;
        }
        let [query] = message.queries.as_slice() else { return None };
        let announced = message.edns.as_ref().map(|edns| usize::from(edns.max_payload()));
        Some(Self {
            id: message.metadata.id,
            query: query.clone(),
            op_code: message.metadata.op_code,
            recursion_desired: message.metadata.recursion_desired,
            has_edns: announced.is_some(),
            payload: announced.unwrap_or(PLAIN_PAYLOAD).clamp(PLAIN_PAYLOAD, MAX_PAYLOAD),
        })
    }

    /// Decides what becomes of it.
    pub(super) fn verdict(&self, egress: &Egress) -> Verdict {
        if self.op_code != OpCode::Query {
            return Verdict::Refuse(ResponseCode::NotImp);
        }
        if self.query.query_class() != DNSClass::IN {
            return Verdict::Refuse(ResponseCode::Refused);
        }
        match self.query.query_type() {
            RecordType::ANY | RecordType::AXFR | RecordType::IXFR => {
                Verdict::Refuse(ResponseCode::Refused)
            }
            // There is no IPv6 path, and the others carry addresses that would have to be looked into.
            RecordType::AAAA | RecordType::HTTPS | RecordType::SVCB => Verdict::Empty,
            // The name of an address that cannot be reached is the business of whoever can.
            RecordType::PTR => match self.query.name().parse_arpa_name() {
                Ok(IpNet::V4(network)) if !egress.is_open(network.network()) => {
                    Verdict::Refuse(ResponseCode::NXDomain)
                }
                Ok(IpNet::V6(_)) => Verdict::Refuse(ResponseCode::NXDomain),
                Ok(IpNet::V4(_)) | Err(_) => Verdict::Forward,
            },
            _every_other_type => Verdict::Forward,
        }
    }
}

/// Whether the header announces one question and little else; before room is made for what a header announces.
pub(super) fn has_one_question(bytes: &[u8]) -> bool {
    let Some(
        &[
            questions_high,
            questions_low,
            answers_high,
            answers_low,
            authorities_high,
            authorities_low,
            additionals_high,
            additionals_low,
        ],
    ) = bytes.get(4..12).and_then(|counts| counts.first_chunk::<8>())
    else {
        return false;
    };
    [questions_high, questions_low] == [0, 1]
        && [answers_high, answers_low, authorities_high, authorities_low] == [0; 4]
        && additionals_high == 0
        && additionals_low <= 2
}
