//! What commands said, as long as there is room: the whole of outputs of which an answer had the end.
//!
//! They are this process's own and not the server's, so every server's outputs can be read again. Whoever reads one must
//! be able to reach its sandbox.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

/// How much all of them may be.
const MOST_BYTES: usize = 64 << 20;
/// How many there may be.
const MOST: usize = 256;

/// The outputs that are kept, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Logs(Mutex<Shelf>);

#[derive(Debug, Default)]
struct Shelf {
    logs: VecDeque<Log>,
    bytes: usize,
}

/// One output.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    sandbox: String,
    execution: String,
    pub(crate) bytes: Bytes,
    /// How many bytes came before.
    pub(crate) dropped: u64,
}

impl Logs {
    /// Keeps an output; returns the name by which it is found.
    pub(crate) fn keep(&self, sandbox: &str, bytes: Vec<u8>, dropped: u64) -> String {
        let execution = crate::random_name();
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.bytes = shelf.bytes.saturating_add(bytes.len());
        let (sandbox, bytes) = (sandbox.to_owned(), Bytes::from(bytes));
        shelf.logs.push_back(Log { sandbox, execution: execution.clone(), bytes, dropped });
        while shelf.logs.len() > MOST || (shelf.bytes > MOST_BYTES && shelf.logs.len() > 1) {
            let Some(oldest) = shelf.logs.pop_front() else { break };
            shelf.bytes = shelf.bytes.saturating_sub(oldest.bytes.len());
        }
        execution
    }

    pub(crate) fn find(&self, sandbox: &str, execution: &str) -> Option<Log> {
        let shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = shelf.logs.iter().filter(|log| log.sandbox == sandbox);
        found.find(|log| log.execution == execution).cloned()
    }

    /// Forgets what a sandbox said that is gone.
    pub(crate) fn forget(&self, sandbox: &str) {
        let mut shelf = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shelf.logs.retain(|log| log.sandbox != sandbox);
        shelf.bytes = shelf.logs.iter().map(|log| log.bytes.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_found_by_its_sandbox_and_name_alone() {
        let logs = Logs::default();
        let name = logs.keep("a", b"said".to_vec(), 3);
        let found = logs.find("a", &name).unwrap();
        assert_eq!((found.bytes.as_ref(), found.dropped), (&b"said"[..], 3));
        assert!(logs.find("b", &name).is_none());
        assert!(logs.find("a", "x").is_none());
        logs.forget("a");
        assert!(logs.find("a", &name).is_none());
    }

    #[test]
    fn the_oldest_make_room() {
        let logs = Logs::default();
        let names: Vec<_> = (0..9).map(|_| logs.keep("a", vec![0; 8 << 20], 0)).collect();
        assert!(logs.find("a", &names[0]).is_none());
        assert!(logs.find("a", &names[1]).is_some());
        let names: Vec<_> = (0..=MOST).map(|_| logs.keep("a", Vec::new(), 0)).collect();
        assert!(logs.find("a", &names[0]).is_none());
        assert!(logs.find("a", &names[1]).is_some());
    }
}
