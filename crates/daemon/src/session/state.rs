//! What is known of a session: its commands, and whether it is over.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;
use pitlane_wire::toolbox::Session as Shown;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::command::{Command, Order, Stage};
use super::spool::Spool;
use crate::http::Refusal;

/// Commands that a session remembers; then the oldest that are over are forgotten.
const MOST_COMMANDS: usize = 1000;
/// Commands that may wait for the one before them.
const MOST_WAITING: usize = 256;
/// The texts of all commands of all sessions, in bytes; then a session forgets its oldest that are over, and lets no more
/// wait.
const MOST_TEXT: usize = 16 << 20;

/// What they may be in any case: beyond it, only short ones are taken.
const MOST_TEXT_EVER: usize = 80 << 20;
/// What counts as short.
const SHORT_TEXT: usize = 64 << 10;

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    id: String,
    state: Mutex<State>,
    text: Arc<AtomicUsize>,
    arrived: Notify,
    /// Cancelled when its processes are to end.
    pub(super) deletion: CancellationToken,
    /// Cancelled when they have.
    pub(super) gone: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    commands: VecDeque<Arc<Command>>,
    waiting: VecDeque<Arc<Command>>,
    /// Why it takes no commands any more.
    ended: Option<Refusal>,
}

impl Session {
    /// A session whose commands' texts are counted with those of others.
    pub(super) fn new(id: String, text: Arc<AtomicUsize>) -> Arc<Self> {
        Arc::new(Self {
            id,
            state: Mutex::default(),
            text,
            arrived: Notify::new(),
            deletion: CancellationToken::new(),
            gone: CancellationToken::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As it travels.
    pub(super) fn shown(&self) -> Shown {
        let commands = self.lock().commands.iter().map(|command| command.shown()).collect();
        Shown { session_id: self.id.clone(), commands }
    }

    /// A command by its id.
    pub(super) fn find(&self, id: &str) -> Result<Arc<Command>, Refusal> {
        let state = self.lock();
        let found = state.commands.iter().rfind(|command| command.id() == id).cloned();
        found.ok_or_else(|| {
            let message = format!("session {} has no command {id}", self.id);
            Refusal::new(StatusCode::NOT_FOUND, "NOT_FOUND", message)
        })
    }

    /// Adds a command after all others.
    pub(super) fn add(
        &self,
        id: String,
        order: Order,
        spool: Spool,
    ) -> Result<Arc<Command>, Refusal> {
        let mut state = self.lock();
        if let Some(reason) = &state.ended {
            return Err(reason.clone());
        }
        if state.waiting.len() >= MOST_WAITING {
            let message = format!("{MOST_WAITING} commands of the session are waiting already");
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_COMMANDS", message));
        }
        let is_too_much =
            |more: usize| self.text.load(Ordering::Relaxed).saturating_add(more) > MOST_TEXT;
        while state.commands.len() >= MOST_COMMANDS || is_too_much(order.text.len()) {
            // Those before it are over before it is.
            let Some(oldest) = state.commands.front().filter(|oldest| oldest.is_over()) else {
                break;
            };
            self.text.fetch_sub(oldest.order().text.len(), Ordering::Relaxed);
            state.commands.pop_front();
        }
        // One that does not have to wait is taken, but not one from each session when they are long.
        let length = order.text.len();
        let text = self.text.load(Ordering::Relaxed);
        let is_beyond = length > SHORT_TEXT && text.saturating_add(length) > MOST_TEXT_EVER;
        if is_beyond || !state.waiting.is_empty() && is_too_much(length) {
            let message = "the commands of the sandbox's sessions are too long together";
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "TOO_MANY_COMMANDS", message));
        }
        self.text.fetch_add(order.text.len(), Ordering::Relaxed);
        let command = Command::new(id, order, spool);
        state.commands.push_back(Arc::clone(&command));
        state.waiting.push_back(Arc::clone(&command));
        drop(state);
        self.arrived.notify_one();
        Ok(command)
    }

    /// Adds a command that somebody else runs.
    pub(super) fn adopt(&self, command: Arc<Command>) {
        self.text.fetch_add(command.order().text.len(), Ordering::Relaxed);
        self.lock().commands.push_back(command);
    }

    /// Waits for the next command.
    pub(super) async fn next(&self) -> Arc<Command> {
        loop {
            if let Some(command) = self.lock().waiting.pop_front() {
                return command;
            }
            self.arrived.notified().await;
        }
    }

    /// Takes no commands any more, and runs none of those that wait.
    pub(super) fn end(&self, reason: &Refusal) {
        let waiting = {
            let mut state = self.lock();
            state.ended = Some(reason.clone());
            std::mem::take(&mut state.waiting)
        };
        for command in waiting {
            command.finish(Stage::Lost(reason.clone()));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let texts = self.lock().commands.iter().map(|command| command.order().text.len()).sum();
        self.text.fetch_sub(texts, Ordering::Relaxed);
    }
}
