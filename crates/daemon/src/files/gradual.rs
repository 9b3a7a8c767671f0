//! Answers that are found bit by bit: lists of any length, with little memory, and only as long as somebody waits.
//!
//! The work is done in short turns, so that a search through a large tree takes no thread from others for long. What is
//! found soon is one answer with a length; after that it is sent as it is found, and a failure cuts the answer off.

use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::OwnedSemaphorePermit;

use super::asked::Asked;
use super::pool::Files;
use super::walk::{Limits, Walk, WalkError};
use crate::http::{Answer, Body, Pipe, Refusal, pipe, with_body};
use crate::toolbox::Toolbox;

/// How much is collected before it is sent.
pub(super) const PIECE: usize = 64 << 10;
/// How long one turn takes.
const TURN: Duration = Duration::from_millis(20);
const JSON: &str = "application/json; charset=utf-8";

/// Something that is found bit by bit.
pub(super) trait Finder: Send + 'static {
    /// Adds what it finds as items of JSON, until there is nothing more, which is `true`, or `turn` is over.
    fn find(&mut self, items: &mut Items, turn: Turn) -> Result<bool, WalkError>;

    /// Lets a walk hold as many names as anybody may.
    fn allow_many(&mut self);
}

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn(Instant);

impl Turn {
    fn begin() -> Self {
        let now = Instant::now();
        Self(now.checked_add(TURN).unwrap_or(now))
    }

    /// Whether enough was found or done for now.
    pub(super) fn is_over(self, items: &Items) -> bool {
        items.text.len() >= PIECE || Instant::now() >= self.0
    }
}

/// Items of a list in JSON.
#[derive(Debug, Default)]
pub(super) struct Items {
    text: Vec<u8>,
    has_some: bool,
}

impl Items {
    /// Adds one.
    pub(super) fn push(&mut self, item: &impl serde::Serialize) {
        if self.has_some {
            self.text.push(b',');
        }
        self.has_some = true;
        // Nothing that is put here can fail to be written.
        serde_json::to_writer(&mut self.text, item).ok();
    }
}

/// What stands around the items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) before: &'static str,
    pub(super) after: &'static str,
}

/// A list of its own.
pub(super) const LIST: Frame = Frame { before: "[", after: "]" };

/// Begins a walk; where names are many, not more than a few such walks are under way.
pub(super) async fn walk(
    files: &Files,
    asked: &Asked,
    limits: Limits,
) -> Result<Result<(Walk, Option<OwnedSemaphorePermit>), WalkError>, Refusal> {
    let path = asked.path.clone();
    match files.run(move || Walk::begin(&path, limits, false)).await? {
        Err(WalkError::Large) => {}
        other => return Ok(other.map(|walk| (walk, None))),
    }
    let permit = files.allow_many().await?;
    let path = asked.path.clone();
    let walk = files.run(move || Walk::begin(&path, limits, true)).await?;
    Ok(walk.map(|walk| (walk, Some(permit))))
}

/// A finder and what it needs.
pub(super) struct Gradual<F> {
    pub(super) files: Files,
    pub(super) finder: F,
    pub(super) permit: Option<OwnedSemaphorePermit>,
    pub(super) asked: Asked,
    pub(super) frame: Frame,
}

impl<F: Finder> Gradual<F> {
    /// Answers with everything that is found.
    pub(super) async fn answer(mut self, toolbox: &Toolbox) -> Answer {
        let mut items = Items { text: self.frame.before.into(), has_some: false };
        while items.text.len() < PIECE {
            let (rest, found, is_done) = self.turn(items).await?;
            (self, items) = (rest, found);
            if is_done {
                items.text.extend_from_slice(self.frame.after.as_bytes());
                return Ok(with_body(StatusCode::OK, JSON, Body::from(items.text)));
            }
        }
        let (pipe, body) = pipe();
        toolbox.tasks().spawn(self.send(items, pipe));
        Ok(with_body(StatusCode::OK, JSON, body))
    }

    async fn send(mut self, mut items: Items, pipe: Pipe) {
        loop {
            if !items.text.is_empty() {
                let text = std::mem::take(&mut items.text);
                if !pipe.write(text).await {
                    return;
                }
            }
            let is_done = match self.turn(items).await {
                Ok((rest, found, is_done)) => {
                    (self, items) = (rest, found);
                    is_done
                }
                Err(refusal) => {
                    return pipe.fail(std::io::Error::other(refusal.message().to_owned())).await;
                }
            };
            if is_done {
                items.text.extend_from_slice(self.frame.after.as_bytes());
                pipe.write(std::mem::take(&mut items.text)).await;
                return;
            }
            if pipe.is_closed() {
                return;
            }
        }
    }

    /// One turn; whether there is nothing more.
    async fn turn(self, mut items: Items) -> Result<(Self, Items, bool), Refusal> {
        let files = self.files.clone();
        let work = move || {
            let mut gradual = self;
            let result = gradual.finder.find(&mut items, Turn::begin());
            (gradual, items, result)
        };
        let (mut gradual, items, result) = files.run(work).await?;
        match result {
            Ok(is_done) => Ok((gradual, items, is_done)),
            Err(WalkError::Large) if gradual.permit.is_none() => {
                gradual.permit = Some(gradual.files.allow_many().await?);
                gradual.finder.allow_many();
                Ok((gradual, items, false))
            }
            Err(error) => Err(refusal(&gradual.asked, error)),
        }
    }
}

/// Why a walk failed, for its caller.
pub(super) fn refusal(asked: &Asked, error: WalkError) -> Refusal {
    match error {
        WalkError::Kernel(errno) => asked.refusal(errno),
        WalkError::Large | WalkError::TooLarge => {
            Refusal::bad_request(format!("{}: {error}", asked.text))
        }
    }
}
