//! Time and randomness, which come in as values so that tests decide them.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use pitlane_driver::Cause;
use pitlane_model::Timestamp;

/// A wait for time to pass.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Tells the time, and lets it pass.
#[derive(Clone)]
pub struct Clock(Arc<Works>);

struct Works {
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
    uptime: Box<dyn Fn() -> Duration + Send + Sync>,
    sleep: Box<dyn Fn(Duration) -> Sleep + Send + Sync>,
}

impl Clock {
    /// A clock that is never set, answers with `now` and sleeps in real time.
    pub fn new(now: impl Fn() -> Timestamp + Clone + Send + Sync + 'static) -> Self {
        let begun = now();
        let steady = now.clone();
        Self::made_of(now, move || steady().since(begun), |time| Box::pin(tokio::time::sleep(time)))
    }

    /// A clock that answers with `now`, which may be set, and `uptime`, which is not, and waits by `sleep`.
    pub fn made_of(
        now: impl Fn() -> Timestamp + Send + Sync + 'static,
        uptime: impl Fn() -> Duration + Send + Sync + 'static,
        sleep: impl Fn(Duration) -> Sleep + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Works {
            now: Box::new(now),
            uptime: Box::new(uptime),
            sleep: Box::new(sleep),
        }))
    }

    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        let now = || {
            #[expect(clippy::disallowed_methods, reason = "this is where time enters")]
            let now = SystemTime::now();
            let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
        };
        let begun = Instant::now();
        Self::made_of(now, move || begun.elapsed(), |time| Box::pin(tokio::time::sleep(time)))
    }

    /// The present time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0.now)()
    }

    /// How long the clock has run, whatever it was set to meanwhile.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        (self.0.uptime)()
    }

    /// Waits.
    pub async fn sleep(&self, time: Duration) {
        (self.0.sleep)(time).await;
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The machine could give no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("no random bytes to be had")]
pub struct NoRandomness(#[source] pub Cause);

type Fill = dyn Fn(&mut [u8]) -> Result<(), NoRandomness> + Send + Sync;

/// Gives bytes that nobody can guess.
#[derive(Clone)]
pub struct Random(Arc<Fill>);

impl Random {
    /// A source that fills buffers by `fill`.
    pub fn new(
        fill: impl Fn(&mut [u8]) -> Result<(), NoRandomness> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(fill))
    }

    /// The kernel's.
    #[must_use]
    pub fn system() -> Self {
        Self::new(|buffer| {
            getrandom::fill(buffer).map_err(|error| NoRandomness(error.to_string().into()))
        })
    }

    pub(crate) fn bytes<const N: usize>(&self) -> Result<[u8; N], NoRandomness> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Random")
    }
}
