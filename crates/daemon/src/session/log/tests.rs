use bytes::Bytes;
use proptest::prelude::*;

use super::{Log, Next, Piece, Runs, Stream};
use crate::files::Files;
use crate::session::spool::{MOST_IN_HAND, Spool};

fn empty() -> Log {
    Log::new(Spool::new(Files::new(None)))
}

/// All of both outputs from a place on, and whether the log has ended.
async fn read(log: &Log, mut offset: u64) -> ([Vec<u8>; 2], bool) {
    let mut outputs = [Vec::new(), Vec::new()];
    loop {
        match log.read(offset, MOST_IN_HAND).await.unwrap() {
            Next::Pieces(pieces) => {
                for Piece { stream, bytes } in pieces {
                    offset += bytes.len() as u64;
                    outputs[usize::from(stream == Stream::Stderr)].extend_from_slice(&bytes);
                }
            }
            Next::Wait => return (outputs, false),
            Next::End => return (outputs, true),
        }
    }
}

#[tokio::test]
async fn a_log_is_the_same_wherever_it_is_kept() {
    let log = empty();
    let mut wanted = [Vec::new(), Vec::new()];
    for (number, size) in [1, 40_000, 3, 70_000, 0, 5, 32_768, 9].into_iter().enumerate() {
        let bytes = vec![u8::try_from(number).unwrap(); size];
        let stream = if number % 3 == 0 { Stream::Stderr } else { Stream::Stdout };
        wanted[usize::from(stream == Stream::Stderr)].extend_from_slice(&bytes);
        log.push(stream, bytes.into());
        if number % 3 == 1 {
            log.store().await;
        }
        assert_eq!(read(&log, 0).await, (wanted.clone(), false));
    }
    log.store().await;
    log.end();
    assert_eq!(read(&log, 0).await, (wanted, true));
    let (rest, _) = read(&log, log.length() - 3).await;
    assert_eq!(rest.concat(), [7; 3]);
}

#[tokio::test]
async fn what_is_stored_takes_no_memory() {
    let log = empty();
    log.push(Stream::Stdout, vec![1; 600 << 10].into());
    assert!(log.spool.in_memory() > 600 << 10);
    log.store().await;
    assert_eq!(log.spool.in_memory(), 0);
    log.push(Stream::Stderr, vec![2; 10].into());
    let spool = log.spool.clone();
    drop(log);
    assert_eq!(spool.in_memory(), 0);
}

#[tokio::test]
async fn what_is_stored_stays_in_memory_for_those_who_follow_until_the_end() {
    let log = empty();
    let follower = log.changes();
    let mut wanted = Vec::new();
    for number in 0..8 {
        let bytes = vec![number; 600 << 10];
        wanted.extend_from_slice(&bytes);
        log.push(Stream::Stdout, bytes.into());
        log.store().await;
    }
    let in_memory = log.spool.in_memory();
    assert!((1 << 20..=2 << 20).contains(&in_memory), "{in_memory}");
    assert_eq!(read(&log, 0).await, ([wanted, Vec::new()], false));
    log.end();
    assert_eq!(log.spool.in_memory(), 0);
    drop(follower);
}

#[tokio::test]
async fn storing_from_two_sides_at_once_loses_nothing() {
    let log = empty();
    log.push(Stream::Stdout, vec![1; 600 << 10].into());
    tokio::join!(log.store(), log.store());
    log.push(Stream::Stdout, vec![2; 10].into());
    log.store().await;
    let wanted = [vec![1; 600 << 10], vec![2; 10]].concat();
    assert_eq!(read(&log, 0).await, ([wanted, Vec::new()], false));
    assert_eq!(log.spool.in_memory(), 0);
}

#[tokio::test]
async fn the_more_read_the_less_each_has_in_its_hand() {
    let log = empty();
    let mut wanted = [Vec::new(), Vec::new()];
    for number in 0..40 {
        let bytes = vec![number; 100 << 10];
        let stream = if number % 3 == 0 { Stream::Stderr } else { Stream::Stdout };
        wanted[usize::from(stream == Stream::Stderr)].extend_from_slice(&bytes);
        log.push(stream, bytes.into());
        if number % 10 == 9 && number < 30 {
            log.store().await;
        }
    }
    for (count, most) in [(1, 512 << 10), (64, 128 << 10), (512, 16 << 10), (5000, 16 << 10)] {
        let readers: Vec<_> = (0..count).map(|_| log.reader()).collect();
        for offset in [0, 150 << 10, 3500 << 10] {
            let Next::Pieces(pieces) = log.read(offset, readers[0].share()).await.unwrap() else {
                panic!("{count}")
            };
            let read: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
            assert!((1..=most).contains(&read), "{count} at {offset}: {read}");
        }
        assert_eq!(read(&log, 0).await, (wanted.clone(), false), "{count}");
        drop(readers);
    }
}

#[tokio::test]
async fn logs_that_the_disk_does_not_take_fill_no_memory_together() {
    let spool = Spool::new(Files::new(None));
    spool.set_refusal(Some(String::from("full")));
    let logs: Vec<_> = (0..1000).map(|_| Log::new(spool.clone())).collect();
    for log in &logs {
        log.push(Stream::Stdout, vec![b'x'; 64 << 10].into());
        log.end();
    }
    let most = super::PLENTY + (128 << 10) + 1000 * 1000;
    assert!(spool.in_memory() < most, "{}", spool.in_memory());
    let note = b"\n[pitlane: 65536 bytes of output were dropped: full]\n".to_vec();
    assert_eq!(read(&logs[999], 0).await, ([Vec::new(), note], true));
    // A disk that has room again takes what comes.
    drop(logs);
    spool.set_refusal(None);
    let log = Log::new(spool);
    log.push(Stream::Stdout, vec![b'x'; 3].into());
    assert_eq!(read(&log, 0).await, ([b"xxx".to_vec(), Vec::new()], false));
}

#[tokio::test]
async fn many_short_pieces_are_one() {
    let log = empty();
    for _ in 0..1000 {
        log.push(Stream::Stdout, Bytes::from_static(b"x"));
    }
    assert_eq!(log.whole().unwrap().len(), 1);
}

proptest! {
    #[test]
    fn pieces_survive_their_way_through_a_block(
        lengths in proptest::collection::vec((any::<bool>(), 1usize..50), 1..20),
        skip in 0usize..200,
        most in 1usize..400,
    ) {
        let pieces: Vec<Piece> = lengths.iter().enumerate().map(|(number, (is_error, length))| Piece {
            stream: if *is_error { Stream::Stderr } else { Stream::Stdout },
            bytes: vec![u8::try_from(number).unwrap(); *length].into(),
        }).collect();
        let (runs, contents) = Runs::lay_out(&pieces);
        let block = contents.concat();
        let length: usize = pieces.iter().map(|piece| piece.bytes.len()).sum();
        let skip = skip.min(length);
        let end = length.min(skip + most);
        let text = Bytes::copy_from_slice(&block[skip..end]);
        let cut = runs.cut(&block[length..], &text, skip as u64);
        let labelled = |pieces: &[Piece]| -> Vec<(Stream, u8)> {
            pieces.iter().flat_map(|piece| piece.bytes.iter().map(|byte| (piece.stream, *byte))).collect()
        };
        let all = labelled(&pieces);
        prop_assert_eq!(labelled(&cut), all[skip..end].to_vec());
    }
}
