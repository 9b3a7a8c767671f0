use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use tokio::net::unix::pipe::Receiver;

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

/// A pipe with so many bytes in it, and its end behind them.
fn filled(byte: u8, size: usize) -> Arc<Receiver> {
    let (reader, writer) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).unwrap();
    fcntl_setpipe_size(&writer, 1 << 20).unwrap();
    File::from(writer).write_all(&vec![byte; size]).unwrap();
    Arc::new(Receiver::from_owned_fd(reader).unwrap())
}

#[tokio::test]
async fn what_is_poured_has_its_place_among_what_is_pushed_and_stored() {
    let spool = Spool::new(Files::new(None));
    let logs = [(); 2].map(|()| Arc::new(Log::new(spool.clone())));
    let mut wanted = [(); 2].map(|()| [Vec::new(), Vec::new()]);
    let sizes = [70_000, 5000, 1, 300_000, 4096, 1 << 20, 3, 8192, 99_999, 12, 4095, 600_000];
    for (number, size) in sizes.into_iter().cycle().take(60).enumerate() {
        let byte = u8::try_from(number).unwrap();
        // Now and then the other log's bytes come between those of one.
        let log = usize::from(number % 7 > 3);
        let stream = if number % 5 == 0 { Stream::Stderr } else { Stream::Stdout };
        wanted[log][usize::from(stream == Stream::Stderr)].extend(vec![byte; size]);
        match number % 4 {
            0 => logs[log].push(stream, vec![byte; size].into()),
            1 => {
                logs[log].push(stream, vec![byte; size].into());
                logs[log].store().await;
            }
            _ => assert_eq!(logs[log].pour(stream, filled(byte, size)).await, size as u64),
        }
    }
    for (log, wanted) in logs.iter().zip(&wanted) {
        assert_eq!(&read(log, 0).await, &(wanted.clone(), false));
        assert_eq!(log.length(), wanted.concat().len() as u64);
    }
    // What goes with a log is nobody else's.
    let [first, second] = logs;
    let before = spool.blocks();
    drop(first);
    while spool.blocks() >= before {
        tokio::task::yield_now().await;
    }
    assert_eq!(read(&second, 0).await, (wanted[1].clone(), false));
}

#[tokio::test]
async fn what_is_pushed_while_something_is_poured_comes_after_it() {
    let log = Arc::new(empty());
    let mut wanted = Vec::new();
    for number in 0..100 {
        // Then it begins at once.
        log.store().await;
        let pushes = async {
            log.push(Stream::Stderr, vec![number; 5].into());
            read(&log, 0).await
        };
        let pour = log.pour(Stream::Stdout, filled(number, 50_000));
        let (poured, seen) = tokio::join!(pour, pushes);
        assert_eq!(poured, 50_000);
        assert!(seen.0[0].len() >= wanted.len(), "{number}");
        wanted.extend(vec![number; 50_000]);
    }
    log.end();
    let said: Vec<u8> = (0..100).flat_map(|number| [number; 5]).collect();
    assert_eq!(read(&log, 0).await, ([wanted, said], true));
    assert_eq!(log.length(), 50_005 * 100);
}

#[tokio::test]
async fn what_is_poured_after_the_end_keeps_nobody_from_it() {
    let log = Arc::new(empty());
    log.end();
    for number in 0..100 {
        let end = async { log.read(log.length(), MOST_IN_HAND).await.unwrap() };
        let (_, next) = tokio::join!(log.pour(Stream::Stdout, filled(number, 50_000)), end);
        assert_ne!(next, Next::Wait);
    }
}

#[tokio::test]
async fn what_is_too_little_for_a_block_of_its_own_stays_in_memory() {
    let log = Arc::new(empty());
    assert_eq!(log.pour(Stream::Stdout, filled(1, 1000)).await, 1000);
    assert!(log.extent(0, 1).is_none());
    assert_eq!(log.pour(Stream::Stdout, filled(2, 20_000)).await, 20_000);
    assert_eq!(log.spool.in_memory(), 0);
    assert_eq!(read(&log, 0).await.0[0], [vec![1; 1000], vec![2; 20_000]].concat());
}

#[tokio::test]
async fn a_disk_that_takes_nothing_ends_a_log_and_lets_the_command_go_on() {
    let log = Arc::new(empty());
    log.pour(Stream::Stdout, filled(1, 20_000)).await;
    // A file that nobody may write.
    log.spool.set_file(File::open("/dev/null").unwrap());
    assert_eq!(log.pour(Stream::Stdout, filled(2, 300_000)).await, 256 << 10);
    assert_eq!(log.pour(Stream::Stdout, filled(3, 300_000)).await, 0);
    log.push(Stream::Stdout, vec![4; 10].into());
    log.end();
    let Next::Pieces(said) = log.read(20_000, MOST_IN_HAND).await.unwrap() else { panic!() };
    let said = String::from_utf8_lossy(&said[0].bytes).into_owned();
    assert!(said.starts_with("\n[pitlane: 262154 bytes of output were dropped: "), "{said}");
}

#[tokio::test]
async fn an_empty_pipe_and_one_at_its_end_give_nothing() {
    let log = Arc::new(empty());
    log.push(Stream::Stdout, vec![1; 10].into());
    assert_eq!(log.pour(Stream::Stdout, filled(0, 0)).await, 0);
    let (reader, _writer) = pipe_with(PipeFlags::NONBLOCK).unwrap();
    let empty = Arc::new(Receiver::from_owned_fd(reader).unwrap());
    assert_eq!(log.pour(Stream::Stdout, empty).await, 0);
    assert_eq!(read(&log, 0).await, ([vec![1; 10], Vec::new()], false));
}

#[tokio::test]
async fn what_is_on_the_disk_goes_into_a_socket_from_any_place() {
    let log = Arc::new(empty());
    let mut wanted = Vec::new();
    // More than what counts as written lately.
    for number in 0..45 {
        wanted.extend(vec![number; 1 << 20]);
        log.pour(Stream::Stdout, filled(number, 1 << 20)).await;
    }
    let (near, mut far) = UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    let near = Arc::new(OwnedFd::from(near));
    for (offset, most) in [(0_usize, 10), (5000, 1 << 20), ((44 << 20) + 7, 2 << 20)] {
        let extent = log.extent(offset as u64, most).unwrap();
        assert_eq!(extent.stream, Stream::Stdout);
        let end = (offset + most).min(wanted.len());
        assert_eq!(extent.length, end - offset);
        let mut sent = 0;
        while sent < extent.length {
            let more = log.send(&extent, sent, Arc::clone(&near)).await.unwrap();
            let mut bytes = vec![0; more];
            far.read_exact(&mut bytes).unwrap();
            let at = offset + sent;
            assert!(bytes == wanted[at..at + more], "{offset} and {sent}");
            sent += more;
        }
    }
    assert!(log.extent(log.length(), 1).is_none());
    let extent = log.extent(0, 1).unwrap();
    drop(far);
    log.send(&extent, 0, near).await.unwrap_err();
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
