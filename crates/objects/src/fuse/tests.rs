//! Whatever is asked for is answered once and in the kernel's form, and the files stay where they belong.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_oneof};
use proptest::proptest;
use proptest::sample::select;
use tokio::net::UnixDatagram;
use tokio::task::LocalSet;

use crate::bucket::Bucket;
use crate::files::{Files, Staging};
use crate::key::{KeyFolder, VolumePath};
use crate::served::Storage;

/// A request: what is to be done, with which node, and what it says.
#[derive(Debug, Clone)]
struct Asked {
    operation: u32,
    node: u64,
    said: Vec<u8>,
}

const FORGET: u32 = 2;
const INTERRUPT: u32 = 36;
const DESTROY: u32 = 38;
const BATCH_FORGET: u32 = 42;
/// Requests on their way at the same time.
const AT_ONCE: usize = 4;

fn number() -> impl Strategy<Value = u64> {
    let special = select(vec![u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 16 << 30, 1 << 32]);
    prop_oneof![8 => 0u64..10, 2 => special, 1 => any::<u64>()]
}

fn small() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0u32..5000, 1 => Just(u32::MAX), 1 => any::<u32>()]
}

fn node() -> impl Strategy<Value = u64> {
    prop_oneof![9 => 0u64..8, 1 => any::<u64>()]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let usual = select(vec!["a", "b", "c", "f", "g"]).prop_map(|name| name.as_bytes().to_vec());
    let odd = select(vec![
        b"..".to_vec(),
        b".".to_vec(),
        b"".to_vec(),
        b"a/b".to_vec(),
        b"\xff".to_vec(),
        vec![b'x'; 256],
    ]);
    prop_oneof![8 => usual, 1 => odd, 1 => vec(any::<u8>(), 0..20)].prop_map(|mut name| {
        name.push(0);
        name
    })
}

/// With a place in a file or a list.
fn placed(operation: u32) -> impl Strategy<Value = (u32, Vec<u8>)> {
    (number(), number(), small()).prop_map(move |(handle, offset, length)| {
        let mut said = handle.to_le_bytes().to_vec();
        said.extend(offset.to_le_bytes());
        said.extend(length.to_le_bytes());
        said.resize(40, 0);
        (operation, said)
    })
}

fn written() -> impl Strategy<Value = (u32, Vec<u8>)> {
    (placed(16), vec(any::<u8>(), 0..200)).prop_map(|((operation, mut said), data)| {
        let length = u32::try_from(data.len()).unwrap();
        said[16..20].copy_from_slice(&length.to_le_bytes());
        (operation, [said, data].concat())
    })
}

/// Another size or time.
fn changed() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let numbers = (small(), number(), number(), small());
    numbers.prop_map(|(valid, size, seconds, nanoseconds)| {
        let mut said = valid.to_le_bytes().to_vec();
        said.resize(16, 0);
        said.extend(size.to_le_bytes());
        said.resize(40, 0);
        said.extend(seconds.to_le_bytes());
        said.resize(60, 0);
        said.extend(nanoseconds.to_le_bytes());
        said.resize(88, 0);
        (4, said)
    })
}

fn renamed() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let flags = proptest::option::of(0u32..3);
    (node(), name(), name(), flags).prop_map(|(folder, from, to, flags)| {
        let mut said = folder.to_le_bytes().to_vec();
        if let Some(flags) = flags {
            said.extend(flags.to_le_bytes());
            said.extend([0; 4]);
        }
        (if flags.is_some() { 45 } else { 12 }, [said, from, to].concat())
    })
}

/// What requests of each kind say, as the kernel does: numbers of four bytes and of eight, and then names or bytes.
fn said() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let of = |operation: u32, fours: usize| {
        let fours = vec(small(), fours)
            .prop_map(|fours| fours.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>());
        (Just(operation), fours)
    };
    let named = move |operation: u32, fours: usize| {
        (of(operation, fours), name())
            .prop_map(|((operation, fours), name)| (operation, [fours, name].concat()))
    };
    // Looked up, made, removed; opened, closed, synced.
    let names = select(vec![(1u32, 0usize), (8, 4), (9, 2), (10, 0), (11, 0), (35, 4)]);
    let names = names.prop_flat_map(move |(operation, fours)| named(operation, fours));
    let plain = select(vec![
        (3u32, 4usize),
        (14, 2),
        (17, 0),
        (18, 6),
        (20, 4),
        (25, 6),
        (26, 4),
        (27, 2),
        (29, 6),
        (43, 8),
    ]);
    let plain = plain.prop_flat_map(move |(operation, fours)| of(operation, fours));
    let places = select(vec![15u32, 28, 44]).prop_flat_map(placed);
    let forgotten = (select(vec![FORGET, BATCH_FORGET]), vec(number(), 0..5)).prop_map(
        |(operation, numbers)| {
            (operation, numbers.into_iter().flat_map(u64::to_le_bytes).collect::<Vec<u8>>())
        },
    );
    let anything = (any::<u32>(), vec(any::<u8>(), 0..100));
    prop_oneof![
        8 => names, 4 => plain, 4 => places, 4 => written(), 2 => changed(), 2 => renamed(), 1 => forgotten, 1 => anything
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    let cut = prop_oneof![9 => Just(usize::MAX), 1 => 0usize..40];
    (said(), node(), cut).prop_map(|((operation, mut said), node, cut)| {
        said.truncate(cut);
        // One would be waited for, the other ends it all.
        let operation = if matches!(operation, INTERRUPT | DESTROY) { 1 } else { operation };
        Asked { operation, node, said }
    })
}

fn framed(unique: u64, asked: &Asked) -> Vec<u8> {
    let length = u32::try_from(40 + asked.said.len()).unwrap();
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend(asked.operation.to_le_bytes());
    bytes.extend(unique.to_le_bytes());
    bytes.extend(asked.node.to_le_bytes());
    bytes.extend([1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]);
    [bytes, asked.said.clone()].concat()
}

/// Checks one answer's form, and answers which request it is for.
fn checked(answer: &[u8]) -> u64 {
    let number = |at: usize| u32::from_le_bytes(answer[at..at + 4].try_into().unwrap());
    assert_eq!(usize::try_from(number(0)), Ok(answer.len()));
    let error = number(4).cast_signed();
    assert!((-4095..=0).contains(&error), "{error}");
    assert!(error == 0 || answer.len() == 16, "a failure says nothing else");
    u64::from_le_bytes(answer[8..16].try_into().unwrap())
}

async fn converse(requests: Vec<Asked>) {
    let storage = Storage::start().await;
    for key in ["v/", "v/a", "v/f/b", "v/..", "v//x", "v/f/\n", "w/other"] {
        storage.put(key, b"contents");
    }
    let before = storage.keys();
    let folder = tempfile::tempdir().unwrap();
    let staging = Staging::new(std::fs::File::open(folder.path()).unwrap().into(), 64 << 10);
    let bucket = Bucket::open(storage.access("")).unwrap();
    let files = Files::new(bucket, KeyFolder::new("", "v"), staging, |_line| {});
    let (device, kernel) = std::os::unix::net::UnixDatagram::pair().unwrap();
    device.set_nonblocking(true).unwrap();
    kernel.set_nonblocking(true).unwrap();
    let kernel = UnixDatagram::from_std(kernel).unwrap();
    let ask = async {
        let mut unique = 0;
        for some in requests.chunks(AT_ONCE) {
            let mut waiting = BTreeSet::new();
            for asked in some {
                unique += 1;
                kernel.send(&framed(unique, asked)).await.unwrap();
                if !matches!(asked.operation, FORGET | BATCH_FORGET) {
                    waiting.insert(unique);
                }
            }
            let mut answer = vec![0; 1 << 20];
            while !waiting.is_empty() {
                let heard = tokio::time::timeout(Duration::from_secs(20), kernel.recv(&mut answer));
                let length =
                    heard.await.unwrap_or_else(|_late| panic!("no answer: {some:?}")).unwrap();
                let unique = checked(&answer[..length]);
                assert!(waiting.remove(&unique), "nobody asked, or it was answered: {unique}");
            }
        }
        let end = Asked { operation: DESTROY, node: 0, said: Vec::new() };
        kernel.send(&framed(u64::MAX, &end)).await.unwrap();
    };
    let (served, ()) = tokio::join!(super::serve(device.into(), files), ask);
    assert_eq!(served, Ok(()));
    // What is new has a path; what had none is still there.
    for key in storage.keys().iter().filter(|key| !before.contains(key)) {
        let path = key.strip_prefix("v/").unwrap_or_else(|| panic!("{key:?} is not the volume's"));
        let mut parts = path.trim_end_matches('/').split('/');
        let walked =
            parts.try_fold(VolumePath::default(), |folder, name| folder.child(name.as_bytes()));
        assert!(walked.is_ok(), "{key:?}");
    }
    for key in ["v/..", "v//x", "v/f/\n", "w/other"] {
        assert_eq!(storage.get(key).as_deref(), Some(b"contents".as_slice()), "{key:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_answered_once_and_files_stay_in_their_volume(requests in vec(asked(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, converse(requests));
    }
}
