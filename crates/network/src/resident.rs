//! Threads that live in a network namespace.
//!
//! A thread's namespace decides where its sockets are made, and a thread that lost its way would make them in the
//! wrong place. So nothing but these threads ever changes namespace: they take work from a bounded queue, go home
//! after each piece, and end if they cannot.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use pitlane_sys::{SyscallError, enter_network, new_network_namespace};
use tokio::sync::{mpsc, oneshot};

use crate::netlink::{Netlink, NetlinkError};
use crate::sysctl::Views;

/// How many pieces of work wait at most; who brings more waits for room.
const QUEUE: usize = 64;

type Work = Box<dyn FnOnce(&mut Resident) + Send>;

/// A group of threads in one namespace, with one queue.
#[derive(Debug)]
pub(crate) struct Residents {
    queue: mpsc::Sender<Work>,
    threads: Vec<JoinHandle<()>>,
}

/// What a piece of work finds on its thread.
#[derive(Debug)]
pub(crate) struct Resident {
    /// A socket of the thread's namespace.
    pub(crate) netlink: Netlink,
    /// The settings of the namespaces that the thread goes through.
    pub(crate) settings: Views,
}

/// Why no thread could be settled in a namespace.
#[derive(Debug, thiserror::Error)]
pub enum ResidentError {
    /// No thread could be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    /// The kernel refuses the namespace.
    #[error("cannot enter the network namespace")]
    Namespace(#[source] SyscallError),
    /// The namespace has no netlink socket for us.
    #[error("cannot speak to the network namespace")]
    Netlink(#[source] NetlinkError),
    /// The thread ended before it had answered.
    #[error(transparent)]
    Gone(#[from] ResidentGone),
}

/// The threads have ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the threads of the network namespace have ended")]
pub struct ResidentGone;

impl Residents {
    /// Settles `count` threads in a namespace.
    pub(crate) async fn settle(
        name: &str,
        namespace: &Arc<OwnedFd>,
        count: usize,
    ) -> Result<Self, ResidentError> {
        let (queue, work) = mpsc::channel(QUEUE);
        let work = Arc::new(Mutex::new(work));
        let mut threads = Vec::with_capacity(count);
        for _ in 0..count {
            let (settled, outcome) = oneshot::channel();
            let (namespace, work) = (Arc::clone(namespace), Arc::clone(&work));
            let thread = thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || live(&namespace, &work, settled))
                .map_err(ResidentError::Thread)?;
            threads.push(thread);
            outcome.await.map_err(|_gone| ResidentGone)??;
        }
        Ok(Self { queue, threads })
    }

    /// Has a piece of work done. If the future is dropped the work is done all the same.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Resident) -> T + Send + 'static,
    ) -> Result<T, ResidentGone> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |resident| {
            // Nobody waits any more: what was made is dropped, which frees it.
            drop(answer.send(work(resident)));
        });
        self.queue.send(work).await.map_err(|_closed| ResidentGone)?;
        answered.await.map_err(|_gone| ResidentGone)
    }

    /// Ends the threads and waits for them, and with that for their hold on the namespace.
    pub(crate) async fn end(self) {
        drop(self.queue);
        let threads = self.threads;
        let ended = tokio::task::spawn_blocking(move || {
            for thread in threads {
                if thread.join().is_err() {
                    tracing::error!("a thread of the network namespace panicked");
                }
            }
        });
        if ended.await.is_err() {
            tracing::error!("the threads of the network namespace were not awaited");
        }
    }
}

/// Makes a namespace on a thread of its own, does `work` in it, and answers its descriptor.
pub(crate) async fn new_namespace() -> Result<OwnedFd, ResidentError> {
    let (made, outcome) = oneshot::channel();
    let thread = thread::Builder::new()
        .name("pitlane-netns".to_owned())
        .spawn(move || drop(made.send(new_network_namespace())))
        .map_err(ResidentError::Thread)?;
    let namespace = outcome.await.map_err(|_gone| ResidentGone)?.map_err(ResidentError::Namespace);
    // It has nothing left to do, so this does not block.
    drop(thread.join());
    namespace
}

fn live(
    home: &OwnedFd,
    work: &Mutex<mpsc::Receiver<Work>>,
    settled: oneshot::Sender<Result<(), ResidentError>>,
) {
    let resident = enter_network(home.as_fd())
        .map_err(ResidentError::Namespace)
        .and_then(|()| Netlink::open().map_err(ResidentError::Netlink));
    let mut resident = match resident {
        Ok(netlink) => {
            drop(settled.send(Ok(())));
            Resident { netlink, settings: Views::default() }
        }
        Err(error) => {
            drop(settled.send(Err(error)));
            return;
        }
    };
    loop {
        // One thread waits for work with the lock held, the others for the lock.
        let next = work.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
        let Some(work) = next else { return };
        work(&mut resident);
        if let Err(error) = enter_network(home.as_fd()) {
            tracing::error!(%error, "a thread cannot go back to its network namespace and ends");
            return;
        }
    }
}
