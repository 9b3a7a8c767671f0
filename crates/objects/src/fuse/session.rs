//! The conversation with the kernel, from its first word until nobody has the volume mounted any more.

mod operations;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd as _, OwnedFd};
use std::rc::Rc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::task::JoinSet;

use super::answers::Answer;
use super::requests::Request;
use crate::files::{Entry, Files};

/// The most that is written with one request.
pub(super) const LARGEST_WRITE: u32 = 128 << 10;
/// What a request takes that writes the most.
const LONGEST_REQUEST: usize = (128 << 10) + (8 << 10);
/// How many requests are worked on at the same time; then the others wait in the kernel.
const MOST_REQUESTS: usize = 512;
/// How long a program that was sent a signal goes on waiting for its answer. Most come sooner, and the program never
/// knows of the signal; one that is killed waits no longer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long uploads may go on when nobody has the volume mounted any more.
const LINGER: Duration = Duration::from_secs(60);

/// A device whose mounts are gone is an error and has nothing to read.
const AWAITED: Interest = Interest::READABLE.add(Interest::ERROR);

/// `FUSE_INTERRUPT`, `FUSE_FORGET`, `FUSE_BATCH_FORGET`, `FUSE_DESTROY`.
const INTERRUPT: u32 = 36;
const FORGET: u32 = 2;
const BATCH_FORGET: u32 = 42;
const DESTROY: u32 = 38;

/// What all requests share.
#[derive(Debug)]
pub(super) struct Session {
    device: AsyncFd<OwnedFd>,
    pub(super) files: Files,
    /// Requests without an answer so far.
    waiting: RefCell<HashSet<u64>>,
    /// Lists of open folders.
    pub(super) lists: RefCell<HashMap<u64, Rc<[Entry]>>>,
    pub(super) next_list: RefCell<u64>,
}

/// Serves a volume's files to the kernel until nobody has it mounted any more and what was written is uploaded.
///
/// # Errors
///
/// The device cannot be read.
pub(crate) async fn serve(device: OwnedFd, files: Files) -> Result<(), Errno> {
    #[expect(
        deprecated,
        reason = "what replaces it is unsafe; this descriptor is owned by what is watched"
    )]
    let device = AsyncFd::with_interest(device, AWAITED)
        .map_err(|cause| Errno::from_io_error(&cause).unwrap_or(Errno::IO))?;
    let session = Rc::new(Session {
        device,
        files,
        waiting: RefCell::default(),
        lists: RefCell::default(),
        next_list: RefCell::new(1),
    });
    let mut tasks = JoinSet::new();
    let ended = converse(&session, &mut tasks).await;
    // Programs have gone; what they closed is on its way, and what they did not close is theirs as well.
    let finish = async {
        while tasks.join_next().await.is_some() {}
        session.files.sync_all().await;
    };
    drop(tokio::time::timeout(LINGER, finish).await);
    ended
}

async fn converse(session: &Rc<Session>, tasks: &mut JoinSet<()>) -> Result<(), Errno> {
    let mut buffer = vec![0u8; LONGEST_REQUEST];
    loop {
        while tasks.try_join_next().is_some() {}
        while tasks.len() >= MOST_REQUESTS {
            tasks.join_next().await;
        }
        let length = match session.receive(&mut buffer).await {
            // Nobody has it mounted, or somebody has broken the connection.
            Err(Errno::NODEV | Errno::CONNABORTED | Errno::PERM) => return Ok(()),
            length => length?,
        };
        let Some(bytes) = buffer.get(..length) else { return Err(Errno::IO) };
        let Some(request) = Request::read(bytes) else { continue };
        match request.operation {
            FORGET | BATCH_FORGET => session.forget(request),
            INTERRUPT => session.interrupt(request, tasks),
            DESTROY => return Ok(()),
            _ => session.begin(request, bytes, tasks),
        }
    }
}

impl Session {
    async fn receive(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        loop {
            let ready = self.device.ready(AWAITED).await;
            let mut ready =
                ready.map_err(|cause| Errno::from_io_error(&cause).unwrap_or(Errno::IO))?;
            match rustix::io::read(self.device.get_ref().as_fd(), &mut *buffer) {
                Err(Errno::AGAIN) => ready.clear_ready(),
                // A request was taken back while it was read.
                Err(Errno::INTR | Errno::NOENT) => {}
                read => return read,
            }
        }
    }

    /// Works on a request in a task of its own. It goes on when nobody waits for it any more: what a program had begun
    /// is done or fails, and is never half done.
    fn begin(self: &Rc<Self>, request: Request<'_>, bytes: &[u8], tasks: &mut JoinSet<()>) {
        let unique = request.unique;
        self.waiting.borrow_mut().insert(unique);
        let (session, bytes) = (Rc::clone(self), bytes.to_vec());
        tasks.spawn_local(async move {
            let Some(request) = Request::read(&bytes) else { return };
            let answer = session.answer(request).await;
            let is_wanted = session.waiting.borrow_mut().remove(&unique);
            let is_told = is_wanted && session.reply(unique, answer.as_ref());
            if let (Ok(answer), false) = (answer, is_told) {
                // Nobody will close and forget what nobody knows of.
                if let Some(id) = answer.opened {
                    session.files.release(id).await;
                }
                for id in answer.looked_up {
                    session.files.forget(id, 1);
                }
            }
        });
    }

    fn reply(&self, unique: u64, answer: Result<&Answer, &Errno>) -> bool {
        let answer = answer.map(|answer| answer.bytes.as_slice()).map_err(|errno| *errno);
        let framed = Answer::framed(unique, answer);
        // The kernel takes an answer at once, or has no use for it.
        rustix::io::write(self.device.get_ref(), &framed).is_ok()
    }

    /// Somebody who waits for an answer was sent a signal.
    fn interrupt(self: &Rc<Self>, mut request: Request<'_>, tasks: &mut JoinSet<()>) {
        let Ok(unique) = request.said.u64() else { return };
        let session = Rc::clone(self);
        tasks.spawn_local(async move {
            tokio::time::sleep(PATIENCE).await;
            if session.waiting.borrow_mut().remove(&unique) {
                session.reply(unique, Err(&Errno::INTR));
            }
        });
    }

    fn forget(&self, mut request: Request<'_>) {
        if request.operation == FORGET {
            if let Ok(count) = request.said.u64() {
                self.files.forget(request.node, count);
            }
            return;
        }
        let Ok(count) = request.said.u32() else { return };
        if request.said.skip(4).is_err() {
            return;
        }
        for _ in 0..count {
            let (Ok(id), Ok(count)) = (request.said.u64(), request.said.u64()) else { return };
            self.files.forget(id, count);
        }
    }
}
