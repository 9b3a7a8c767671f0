//! What commands said, kept for whoever lost the connection: `GET /process/kept` and `GET /process/kept/{request}`.
//!
//! A server that dies takes its connections along and no command. Every command of a named request is recorded as
//! frames while it runs, and the record stays for [`KEPT_FOR`] after its end, among the last [`MOST_ENDED`]. A record
//! holds the last [`MOST_BYTES`], less when many commands say much at once; what is missing is told, never skipped.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use hyper::body::Incoming;
use pitlane_wire::toolbox::frames::{Frame, MEDIA_TYPE};
use serde::Serialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::supervise::{Kind, Sink};
use crate::http::{Answer, Query, Refusal, json, pipe, with_body};
use crate::toolbox::Toolbox;

/// How long a record stays after its command's end.
const KEPT_FOR: Duration = Duration::from_secs(600);
/// How many records of commands that have ended stay.
const MOST_ENDED: usize = 256;
/// How much a record holds, in bytes of frames.
const MOST_BYTES: usize = 1 << 20;
/// How much it holds while all records together hold more than [`PLENTY`].
const FEW_BYTES: usize = 64 << 10;
const PLENTY: usize = 32 << 20;
/// How much of a command is told in the list.
const COMMAND_CHARACTERS: usize = 200;

/// The records there are.
#[derive(Debug, Default)]
pub(crate) struct Recordings(Arc<Mutex<Shelf>>);

#[derive(Debug, Default)]
struct Shelf {
    by_name: HashMap<String, Arc<Recording>>,
    /// Those whose commands have ended, the oldest first.
    ended: VecDeque<(Instant, Arc<Recording>)>,
    /// Of all of them.
    bytes: usize,
}

#[derive(Debug)]
struct Recording {
    name: String,
    command: String,
    frames: Mutex<Frames>,
    changed: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct Frames {
    /// How many bytes came before what is held.
    first: u64,
    held: VecDeque<Bytes>,
    bytes: usize,
    exit_code: Option<i32>,
    is_over: bool,
}

/// Writes one record; its end is the record's.
#[derive(Debug)]
pub(super) struct Recorder {
    shelf: Arc<Mutex<Shelf>>,
    recording: Option<Arc<Recording>>,
}

/// A sink whose output is recorded on the way.
#[derive(Debug)]
pub(super) struct Recorded<'a, S> {
    pub(super) recorder: &'a mut Recorder,
    pub(super) sink: S,
}

/// A record in the list.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Kept {
    request: String,
    command: String,
    /// Absent while it runs, and when it did not run to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    is_over: bool,
}

/// What there is to be read of a record.
enum Next {
    Piece(Bytes),
    Wait,
    End,
    /// It is no longer held; this many bytes came before what is.
    Gone(u64),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recordings {
    /// Begins a record for a request that has a name.
    pub(super) fn begin(&self, name: Option<&str>, command: &str) -> Recorder {
        let recording = name.map(|name| {
            let recording = Arc::new(Recording {
                name: name.to_owned(),
                command: command.chars().take(COMMAND_CHARACTERS).collect(),
                frames: Mutex::default(),
                changed: watch::Sender::new(()),
            });
            let mut shelf = lock(&self.0);
            shelf.forget_old();
            if let Some(other) = shelf.by_name.insert(name.to_owned(), Arc::clone(&recording)) {
                shelf.ended.retain(|(_, ended)| !Arc::ptr_eq(ended, &other));
                shelf.bytes = shelf.bytes.saturating_sub(lock(&other.frames).bytes);
            }
            recording
        });
        Recorder { shelf: Arc::clone(&self.0), recording }
    }

    fn find(&self, name: &str) -> Option<Arc<Recording>> {
        let mut shelf = lock(&self.0);
        shelf.forget_old();
        shelf.by_name.get(name).cloned()
    }

    fn list(&self) -> Vec<Kept> {
        let mut shelf = lock(&self.0);
        shelf.forget_old();
        let kept = shelf.by_name.values().map(|recording| {
            let frames = lock(&recording.frames);
            Kept {
                request: recording.name.clone(),
                command: recording.command.clone(),
                exit_code: frames.exit_code,
                is_over: frames.is_over,
            }
        });
        kept.collect()
    }
}

impl Shelf {
    fn forget_old(&mut self) {
        while let Some((at, _)) = self.ended.front()
            && (self.ended.len() > MOST_ENDED || at.elapsed() > KEPT_FOR)
        {
            let Some((_, old)) = self.ended.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(lock(&old.frames).bytes);
            self.by_name.remove(&old.name);
        }
    }
}

impl Recorder {
    /// Adds a frame.
    pub(super) fn record(&self, frame: &Frame) {
        let Some(recording) = &self.recording else { return };
        let mut bytes = Vec::new();
        frame.encode(&mut bytes);
        let mut shelf = lock(&self.shelf);
        let most = if shelf.bytes > PLENTY { FEW_BYTES } else { MOST_BYTES };
        let mut frames = lock(&recording.frames);
        if frames.is_over {
            return;
        }
        let before = frames.bytes;
        frames.push(bytes.into(), most);
        shelf.bytes = shelf.bytes.saturating_sub(before).saturating_add(frames.bytes);
        if let Frame::Exit(code) = frame {
            frames.exit_code = Some(*code);
        }
        if frame.is_last() {
            frames.is_over = true;
            shelf.ended.push_back((Instant::now(), Arc::clone(recording)));
        }
        drop(frames);
        drop(shelf);
        recording.changed.send_replace(());
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        // Does nothing after another end.
        self.record(&Frame::Failure(String::from("it did not run to its end")));
    }
}

impl<S: Sink> Sink for Recorded<'_, S> {
    async fn take(&mut self, kind: Kind, bytes: &[u8]) {
        self.recorder.record(&match kind {
            Kind::Stdout => Frame::Stdout(bytes.to_vec()),
            Kind::Stderr => Frame::Stderr(bytes.to_vec()),
        });
        self.sink.take(kind, bytes).await;
    }
}

impl Frames {
    fn push(&mut self, frame: Bytes, most: usize) {
        self.bytes = self.bytes.saturating_add(frame.len());
        self.held.push_back(frame);
        // The last one stays however long it is.
        while self.bytes > most && self.held.len() > 1 {
            let Some(old) = self.held.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(old.len());
            self.first = self.first.saturating_add(length(&old));
        }
    }

    fn next(&self, offset: u64) -> Next {
        let Some(mut skip) = offset.checked_sub(self.first) else { return Next::Gone(self.first) };
        for frame in &self.held {
            match skip.checked_sub(length(frame)) {
                Some(left) => skip = left,
                None => {
                    let skip = usize::try_from(skip).unwrap_or(usize::MAX).min(frame.len());
                    return Next::Piece(frame.slice(skip..));
                }
            }
        }
        if self.is_over { Next::End } else { Next::Wait }
    }
}

/// `GET /process/kept`: the commands that are recorded.
pub(crate) fn list_kept(toolbox: &Toolbox) -> Answer {
    json(StatusCode::OK, &toolbox.recordings().list())
}

/// `GET /process/kept/{request}?offset=…`: the frames of a command from a byte on, and those to come.
pub(crate) fn read_kept(toolbox: &Toolbox, name: &str, request: &Request<Incoming>) -> Answer {
    let query = Query::of(request.uri());
    let offset = query.optional("offset").unwrap_or("0").parse();
    let mut offset: u64 =
        offset.map_err(|_not_a_number| Refusal::bad_request("offset must be a number of bytes"))?;
    let Some(recording) = toolbox.recordings().find(name) else {
        let message = format!("nothing is kept of a request {name}");
        return Err(Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", message));
    };
    if let Next::Gone(first) = lock(&recording.frames).next(offset) {
        let message = format!("the first {first} bytes are no longer kept");
        return Err(Refusal::new(StatusCode::GONE, "GONE", message));
    }
    let (pipe, body) = pipe();
    let mut changed = recording.changed.subscribe();
    toolbox.tasks().spawn(async move {
        loop {
            let next = lock(&recording.frames).next(offset);
            match next {
                Next::Piece(piece) => {
                    offset = offset.saturating_add(length(&piece));
                    if !pipe.write(piece).await {
                        return;
                    }
                }
                Next::Wait => {
                    if changed.changed().await.is_err() {
                        return;
                    }
                }
                Next::End => return,
                Next::Gone(_) => {
                    let cause = "the command says more than its reader takes";
                    return pipe.fail(std::io::Error::other(cause)).await;
                }
            }
        }
    });
    Ok(with_body(StatusCode::OK, MEDIA_TYPE, body))
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
