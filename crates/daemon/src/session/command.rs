//! One command of a session.

use std::sync::Arc;

use http::StatusCode;
use pitlane_wire::toolbox::SessionCommand;
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::Sender;
use tokio::sync::{Mutex, watch};

use super::log::{Log, Stream};
use super::spool::Spool;
use crate::http::Refusal;

/// How far a command has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stage {
    /// Others are before it.
    Waiting,
    /// Its shell has begun with it.
    Running,
    /// It has ended, and everything that it said before is in its log.
    Ended(i32),
    /// How it ended is not known: it never began, or its session was deleted.
    Lost(Refusal),
}

/// What a caller wants to have run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) text: String,
    pub(super) has_input: bool,
    pub(super) echoes_input: bool,
}

/// A command.
#[derive(Debug)]
pub(super) struct Command {
    id: String,
    order: Order,
    pub(super) log: Arc<Log>,
    stage: watch::Sender<Stage>,
    input: Mutex<Option<Sender>>,
}

impl Command {
    pub(super) fn new(id: String, order: Order, spool: Spool) -> Arc<Self> {
        Arc::new(Self {
            id,
            order,
            log: Arc::new(Log::new(spool)),
            stage: watch::Sender::new(Stage::Waiting),
            input: Mutex::default(),
        })
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    pub(super) const fn order(&self) -> &Order {
        &self.order
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// Whether nothing becomes of it any more.
    pub(super) fn is_over(&self) -> bool {
        matches!(*self.stage.borrow(), Stage::Ended(_) | Stage::Lost(_))
    }

    /// As it travels; a command of which it is not known how it ended has no exit code.
    pub(super) fn shown(&self) -> SessionCommand {
        let exit_code = match *self.stage.borrow() {
            Stage::Ended(code) => Some(code),
            Stage::Waiting | Stage::Running | Stage::Lost(_) => None,
        };
        SessionCommand { id: self.id.clone(), command: self.order.text.clone(), exit_code }
    }

    /// Says that it runs and where its input is.
    pub(super) async fn begin(&self, input: Option<Sender>) {
        *self.input.lock().await = input;
        self.stage.send_replace(Stage::Running);
    }

    /// Says that it is over.
    pub(super) fn finish(&self, stage: Stage) {
        if let Stage::Lost(refusal) = &stage {
            let note = format!("[pitlane: {}]\n", refusal.message());
            self.log.push(Stream::Stderr, note.into_bytes().into());
        }
        self.log.end();
        self.stage.send_replace(stage);
        // Whoever is writing notices that it is over and lets go.
        if let Ok(mut input) = self.input.try_lock() {
            *input = None;
        }
    }

    /// Waits until it is over.
    pub(super) async fn outcome(&self) -> Result<i32, Refusal> {
        let mut stages = self.stage.subscribe();
        let over = stages.wait_for(|stage| matches!(stage, Stage::Ended(_) | Stage::Lost(_))).await;
        match over.as_deref() {
            Ok(Stage::Ended(code)) => Ok(*code),
            Ok(Stage::Lost(refusal)) => Err(refusal.clone()),
            _ => Err(Refusal::internal("the command's outcome was lost")),
        }
    }

    /// Gives its input a line, and waits until there was room for it.
    pub(super) async fn send(&self, mut data: String) -> Result<(), Refusal> {
        if !self.order.has_input {
            let message = "the command has no input: run it with runAsync";
            return Err(Refusal::bad_request(message));
        }
        if !data.ends_with('\n') {
            data.push('\n');
        }
        let mut stages = self.stage.subscribe();
        let begun = {
            let begun = stages.wait_for(|stage| !matches!(stage, Stage::Waiting)).await;
            begun.as_deref().ok().cloned()
        };
        match begun {
            Some(Stage::Running) => {}
            Some(Stage::Lost(refusal)) => return Err(refusal),
            _ => return Err(completed()),
        }
        let over = stages.wait_for(|stage| !matches!(stage, Stage::Running));
        tokio::select! {
            // What was not taken until the end never will be.
            biased;
            written = self.write(&data) => return written,
            _ = over => {}
        }
        *self.input.lock().await = None;
        Err(completed())
    }

    async fn write(&self, data: &str) -> Result<(), Refusal> {
        let mut input = self.input.lock().await;
        let Some(sender) = &mut *input else { return Err(completed()) };
        if self.is_over() {
            *input = None;
            return Err(completed());
        }
        if self.order.echoes_input {
            // Before anything that the command says about it.
            self.log.push(Stream::Stdout, data.as_bytes().to_vec().into());
            self.log.in_order().await;
        }
        sender.write_all(data.as_bytes()).await.map_err(|error| {
            let message = format!("the command does not read its input any more: {error}");
            Refusal::new(StatusCode::GONE, "GONE", message)
        })
    }
}

fn completed() -> Refusal {
    let message = "the command has ended: it takes no input any more";
    Refusal::new(StatusCode::GONE, "COMMAND_ALREADY_COMPLETED", message)
}
