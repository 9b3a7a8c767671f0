//! One output of a context: a pipe whose bytes become messages of text.

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use crate::process::JsonText;

/// How much is read at once: as much as a pipe holds.
const PIECE: usize = 64 << 10;

/// Where output goes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Sink<'a> {
    /// Nowhere: no run is going on, or nobody listens to it any more.
    Nowhere,
    /// To the client of a run, as messages in JSON. One that does not read makes the run wait.
    Client(&'a mpsc::Sender<String>),
}

/// The reading end.
#[derive(Debug)]
pub(super) struct Output {
    /// `stdout` or `stderr`, as messages call it.
    name: &'static str,
    receiver: Option<Receiver>,
    text: JsonText,
}

impl Output {
    /// Makes a pipe: what reads it, and the end for the context.
    pub(super) fn new(name: &'static str) -> io::Result<(Self, OwnedFd)> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let receiver = Some(Receiver::from_owned_fd(reader)?);
        Ok((Self { name, receiver, text: JsonText::default() }, writer))
    }

    /// Waits until there is something to be read, or the end; for ever after it.
    pub(super) async fn ready(&self) {
        match &self.receiver {
            Some(receiver) => {
                // A pipe has no errors to wait for.
                receiver.readable().await.ok();
            }
            None => std::future::pending().await,
        }
    }

    /// Moves what can be read at once, which is a piece at most; answers how many bytes that were.
    pub(super) async fn step(&mut self, sink: Sink<'_>) -> usize {
        let Some(receiver) = &self.receiver else { return 0 };
        let mut piece = vec![0; PIECE];
        match receiver.try_read(&mut piece) {
            Ok(count) if count > 0 => {
                piece.truncate(count);
                self.pass(&piece, sink).await;
                count
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            // The end.
            _ => {
                self.receiver = None;
                0
            }
        }
    }

    /// Moves what is in the pipe now. What others still write is not waited for.
    pub(super) async fn drain(&mut self, sink: Sink<'_>) {
        let Some(receiver) = &self.receiver else { return };
        let waiting = rustix::io::ioctl_fionread(receiver.as_fd()).unwrap_or(0);
        let mut waiting = usize::try_from(waiting).unwrap_or(usize::MAX);
        while waiting > 0 && self.receiver.is_some() {
            // That something is there need not have come to the event loop's notice yet.
            self.ready().await;
            waiting = waiting.saturating_sub(self.step(sink).await);
        }
    }

    /// Ends the text of a run: half a character belongs to it, and to no other.
    pub(super) async fn finish(&mut self, sink: Sink<'_>) {
        let mut text = Vec::new();
        std::mem::take(&mut self.text).finish(&mut text);
        self.send(text, sink).await;
    }

    async fn pass(&mut self, bytes: &[u8], sink: Sink<'_>) {
        if matches!(sink, Sink::Client(_)) {
            let mut text = Vec::with_capacity(bytes.len().saturating_add(64));
            self.text.push(bytes, &mut text);
            self.send(text, sink).await;
        }
    }

    /// Sends text that is escaped for JSON already.
    async fn send(&self, text: Vec<u8>, sink: Sink<'_>) {
        let Sink::Client(client) = sink else { return };
        // It consists of whole characters.
        let Ok(text) = String::from_utf8(text) else { return };
        if !text.is_empty() {
            let name = self.name;
            let message = format!("{{\"type\":\"{name}\",\"text\":\"{text}\"}}");
            // A client that has gone is noticed by whoever watches the run.
            client.send(message).await.ok();
        }
    }
}
