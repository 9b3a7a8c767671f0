use std::net::Ipv4Addr;
use std::str::FromStr as _;
use std::time::Duration;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::rdata::{A, CNAME, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use proptest::prelude::*;

use super::*;
use crate::subnet::Subnet;

fn egress(allowed: &[&str]) -> Egress {
    let allowed: Vec<_> = allowed.iter().map(|network| network.parse().unwrap()).collect();
    Egress::new(Subnet::standard(), &allowed)
}

fn question(name: &str, kind: RecordType) -> Vec<u8> {
    let mut message = Message::query();
    message.add_query(Query::query(Name::from_str(name).unwrap(), kind));
    message.to_vec().unwrap()
}

fn client() -> IpAddr {
    Ipv4Addr::new(10, 213, 0, 4).into()
}

fn code_without_uplink(name: &str, kind: RecordType) -> ResponseCode {
    match Desk::new(egress(&[]), None).take(client(), &question(name, kind)) {
        Outcome::Answered(_, answer) => answer.code,
        other => panic!("{other:?}"),
    }
}

fn upstream_answer(records: &[RData]) -> Message {
    let name = Name::from_str("example.org.").unwrap();
    let mut message = Message::response(1, hickory_proto::op::OpCode::Query);
    message.add_query(Query::query(name.clone(), RecordType::A));
    for data in records {
        message.add_answer(Record::from_rdata(name.clone(), 300, data.clone()));
    }
    message
}

fn address(text: &str) -> RData {
    RData::A(A(text.parse().unwrap()))
}

#[test]
fn questions_that_nobody_need_be_asked_are_answered_at_once() {
    let codes = [
        code_without_uplink("example.org.", RecordType::A),
        code_without_uplink("example.org.", RecordType::AAAA),
        code_without_uplink("example.org.", RecordType::HTTPS),
        code_without_uplink("example.org.", RecordType::ANY),
        code_without_uplink("example.org.", RecordType::AXFR),
        code_without_uplink("1.0.0.10.in-addr.arpa.", RecordType::PTR),
        code_without_uplink("1.1.1.1.in-addr.arpa.", RecordType::PTR),
    ];
    assert_eq!(
        codes,
        [
            ResponseCode::ServFail,
            ResponseCode::NoError,
            ResponseCode::NoError,
            ResponseCode::Refused,
            ResponseCode::Refused,
            ResponseCode::NXDomain,
            ResponseCode::ServFail,
        ]
    );
}

#[test]
fn closed_addresses_are_left_out_of_an_answer() {
    let alias = RData::CNAME(CNAME(Name::from_str("other.example.org.").unwrap()));
    let message = upstream_answer(&[alias.clone(), address("10.0.0.1"), address("1.2.3.4")]);
    let answer = Answer::admit(message, &egress(&[]));
    let data: Vec<RData> = answer.records.into_iter().map(|record| record.data).collect();
    assert_eq!((answer.code, data), (ResponseCode::NoError, vec![alias, address("1.2.3.4")]));
}

#[test]
fn a_name_with_closed_addresses_alone_does_not_exist() {
    for closed in ["127.0.0.1", "169.254.169.254", "10.213.0.4", "192.168.1.1", "0.0.0.0"] {
        let answer = Answer::admit(upstream_answer(&[address(closed)]), &egress(&[]));
        assert_eq!(answer, Answer::bare(ResponseCode::NXDomain), "{closed}");
    }
}

#[test]
fn an_address_that_the_operator_allows_is_answered() {
    let message = upstream_answer(&[address("192.168.1.1"), address("192.168.2.1")]);
    let answer = Answer::admit(message, &egress(&["192.168.1.0/24"]));
    let data: Vec<RData> = answer.records.into_iter().map(|record| record.data).collect();
    assert_eq!(data, vec![address("192.168.1.1")]);
}

#[test]
fn an_answer_is_kept_until_its_time_is_over() {
    let query = Query::query(Name::from_str("Example.org.").unwrap(), RecordType::A);
    let answer = Answer::admit(upstream_answer(&[address("1.2.3.4")]), &egress(&[]));
    let (cache, start) = (Cache::default(), Instant::now());
    cache.put(&query, &answer, start);
    let asked = Query::query(Name::from_str("example.ORG.").unwrap(), RecordType::A);
    let ttls = [0, 100, 299, 300].map(|seconds| {
        let answer = cache.get(&asked, start + Duration::from_secs(seconds))?;
        Some(answer.records.first()?.ttl)
    });
    assert_eq!(ttls, [Some(300), Some(200), Some(1), None]);
}

#[test]
fn an_answer_that_holds_much_is_not_kept() {
    let query = Query::query(Name::from_str("example.org.").unwrap(), RecordType::A);
    let text = |length: usize| RData::TXT(TXT::new(vec!["x".repeat(250); length]));
    let kept = [
        vec![address("1.2.3.4"); 32],
        vec![address("1.2.3.4"); 33],
        vec![text(15)],
        vec![text(17)],
    ]
    .map(|records| {
        let (cache, now) = (Cache::default(), Instant::now());
        cache.put(&query, &Answer::admit(upstream_answer(&records), &egress(&[])), now);
        cache.get(&query, now).is_some()
    });
    assert_eq!(kept, [true, false, true, false]);
}

#[test]
fn one_client_has_a_share_of_the_questions_under_way() {
    let under_way = Arc::default();
    let other = Ipv4Addr::new(10, 213, 0, 5).into();
    let mut turns: Vec<Turn> =
        (0..MAX_OF_ONE).filter_map(|_| Turn::take(&under_way, client())).collect();
    assert_eq!(turns.len(), MAX_OF_ONE);
    assert!(Turn::take(&under_way, client()).is_none());
    assert!(Turn::take(&under_way, other).is_some());
    turns.clear();
    assert!(Turn::take(&under_way, client()).is_some());
    assert_eq!(lock(&under_way).of_client.len(), 0);
}

#[test]
fn a_few_clients_whose_questions_stay_unanswered_leave_room_for_others() {
    let under_way = Arc::default();
    let address = |number: u8| IpAddr::from(Ipv4Addr::new(10, 213, 1, number));
    let take_all = |number: u8| {
        let taken = std::iter::from_fn(|| Turn::take(&under_way, address(number)));
        taken.take(MAX_UNDER_WAY).collect::<Vec<Turn>>()
    };
    let slow: Vec<Vec<Turn>> = (0..8).map(take_all).collect();
    let held: usize = slow.iter().map(Vec::len).sum();
    assert!(MAX_UNDER_WAY - held >= 24, "{held}");
    let newcomer = take_all(8);
    assert!(newcomer.len() >= 8, "{}", newcomer.len());
    let others: Vec<Vec<Turn>> = (9..=255).map(take_all).collect();
    let served = others.iter().filter(|turns| !turns.is_empty()).count();
    assert!(served >= 8, "{served}");
    assert_eq!(lock(&under_way).total, MAX_UNDER_WAY);
    drop((slow, newcomer, others));
    assert_eq!(take_all(0).len(), MAX_OF_ONE);
}

#[test]
fn an_answer_that_is_too_long_is_marked_and_emptied() {
    let addresses: Vec<RData> = (1..=100).map(|low| RData::A(A::new(1, 2, 3, low))).collect();
    let answer = Answer::admit(upstream_answer(&addresses), &egress(&[]));
    let question = Question::read(&question("example.org.", RecordType::A)).unwrap();
    let short = Message::from_vec(&answer.encode(&question, question.payload).unwrap()).unwrap();
    let long = Message::from_vec(&answer.encode(&question, 65_535).unwrap()).unwrap();
    assert_eq!((short.metadata.truncation, short.answers.len()), (true, 0));
    assert_eq!((long.metadata.truncation, long.answers.len()), (false, 100));
}

/// Messages that are nearly questions, which arbitrary bytes hardly ever are.
fn near_questions() -> impl Strategy<Value = Vec<u8>> {
    let name = "[a-z]{1,20}(\\.[a-z]{1,20}){0,4}\\.";
    (name, any::<u16>(), prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4))
        .prop_map(|(name, kind, changes)| {
            let mut bytes = question(&name, RecordType::from(kind));
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            bytes
        })
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_ignored_or_answered_briefly(
        bytes in prop_oneof![prop::collection::vec(any::<u8>(), 0..2000), near_questions()],
    ) {
        match Desk::new(egress(&[]), None).take(client(), &bytes) {
            Outcome::Ignored => {}
            Outcome::Answered(question, answer) => {
                // A name may have come in shorter than it goes out, by a compression that points into the header.
                let sent = answer.encode(&question, question.payload).unwrap_or_default();
                prop_assert!(sent.len() <= bytes.len() + 255 && sent.len() <= question.payload);
            }
            Outcome::Asked(..) => prop_assert!(false, "there is nobody to ask"),
        }
    }

    #[test]
    fn an_answer_never_asks_a_question_again(mut bytes in near_questions()) {
        bytes[2] |= 0x80;
        prop_assert!(matches!(Desk::new(egress(&[]), None).take(client(), &bytes), Outcome::Ignored));
    }
}
