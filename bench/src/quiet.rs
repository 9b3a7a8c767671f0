//! A quiet moment on the machine.

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep};

/// Processes, on average over the last minute, that leave the numbers alone.
const QUIET: f64 = 0.5;

/// Waits for a quiet machine, at most for `patience`, and gives the load then: the report shows it either way.
pub(crate) async fn wait(patience: Duration) -> anyhow::Result<f64> {
    let deadline = Instant::now() + patience;
    loop {
        let load = load()?;
        if load <= QUIET || Instant::now() >= deadline {
            return Ok(load);
        }
        sleep(Duration::from_secs(1)).await;
    }
}

/// Processes that ran or wanted to, on average over the last minute.
pub(crate) fn load() -> anyhow::Result<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").context("cannot read the load")?;
    let first = text.split(' ').next().unwrap_or_default();
    first.parse().context("cannot understand the load")
}

/// Lets what the last measurement left behind end, and the processors rest: every measurement begins like a request
/// that comes after none.
pub(crate) async fn settle() {
    sleep(Duration::from_millis(50)).await;
}

/// Lets what moved many bytes before end, too. Its pages reach the disk; the memory that it gave back is taken in by the
/// kernel, and by the host of a virtual machine, in the background, at the cost of whoever runs then.
pub(crate) async fn after_much_memory() -> anyhow::Result<()> {
    tokio::task::spawn_blocking(rustix::fs::sync).await?;
    sleep(Duration::from_secs(1)).await;
    Ok(())
}
