//! Rows that are written after their callers were answered. Whoever reads rows waits for them first.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// What is still to be written. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Behind(Arc<RwLock<()>>);

/// A row on its way: readers wait for as long as it lives.
#[derive(Debug)]
pub(super) struct Debt {
    _unsettled: OwnedRwLockReadGuard<()>,
}

impl Behind {
    /// Lets a row be written later; `None` while a reader waits, which would otherwise wait for ever more of them.
    pub(super) fn try_owe(&self) -> Option<Debt> {
        let unsettled = Arc::clone(&self.0).try_read_owned().ok()?;
        Some(Debt { _unsettled: unsettled })
    }

    /// Waits until every row is written whose caller was answered before this.
    pub(super) async fn settled(&self) {
        drop(self.0.write().await);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[tokio::test]
    async fn a_reader_waits_for_what_is_owed_and_for_nothing_later() {
        let behind = Behind::default();
        behind.settled().await;
        let (first, second) = (behind.try_owe(), behind.try_owe());
        assert!(first.is_some() && second.is_some());
        let mut reader = pin!(behind.settled());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(reader.as_mut().poll(&mut context), Poll::Pending);
        assert!(behind.try_owe().is_none(), "a reader waits");
        drop(first);
        assert_eq!(reader.as_mut().poll(&mut context), Poll::Pending);
        drop(second);
        assert_eq!(reader.as_mut().poll(&mut context), Poll::Ready(()));
        assert!(behind.try_owe().is_some());
    }
}
