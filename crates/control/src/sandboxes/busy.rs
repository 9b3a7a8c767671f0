//! Asks the daemon of a sandbox that seems unused whether commands still run in it.
//!
//! One question when its idle time is over, and no other while it is busy: the answer ends when nothing runs any more.
//! A daemon that does not answer holds nothing; one that says for ever that it is busy is like a command that runs for
//! ever, and its time to live ends it.

use std::sync::Arc;
use std::time::Duration;

use pitlane_driver::Connection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::activity::Activity;
use super::entry::Entry;
use super::owner::Owner;

const QUESTION: &[u8] = b"GET /pitlane/busy HTTP/1.1\r\nhost: sandbox\r\nconnection: close\r\n\r\n";
/// How an answer begins that ends when the daemon has nothing to do any more.
const BUSY: [u8; 13] = *b"HTTP/1.1 202 ";
/// How long a daemon may take to say whether it is busy.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// How long it is believed before it is asked again.
const BELIEVED: Duration = Duration::from_secs(600);

impl Owner {
    /// Stops a sandbox whose idle time is over unless something runs in it. Then that keeps it in use until it ends.
    pub(super) fn ask_before_stop(&self, entry: &Arc<Entry>) {
        if !entry.used.begin_asking() {
            return;
        }
        let (owner, entry) = (self.clone(), Arc::clone(entry));
        self.platform.tasks.spawn(async move {
            let ending = owner.platform.ending.clone();
            let asking = owner.wait_while_busy(&entry);
            let answered = ending.run_until_cancelled(asking).await;
            entry.used.end_asking();
            if answered.is_some() {
                owner.stop_if_unused(&entry);
            }
        });
    }

    /// Holds the sandbox in use for as long as its daemon is busy.
    async fn wait_while_busy(&self, entry: &Arc<Entry>) {
        let mut busy = self.ask(entry).await;
        if busy.is_none() {
            return;
        }
        let _activity = Activity::begin(&entry.used);
        // It has left the queue, and its time to live goes on.
        self.platform.timers.watch(entry.desk().current());
        while let Some(connection) = busy {
            tokio::select! {
                () = until_end(connection) => return,
                () = self.platform.clock.sleep(BELIEVED) => {}
            }
            busy = self.ask(entry).await;
        }
    }

    /// A connection that ends when nothing runs any more, or none if nothing does.
    async fn ask(&self, entry: &Entry) -> Option<Connection> {
        let asked = timeout(ANSWER_DEADLINE, async {
            let mut connection = self.platform.driver.connect(entry.id).await.ok()?;
            connection.write_all(QUESTION).await.ok()?;
            let mut begin = [0; BUSY.len()];
            connection.read_exact(&mut begin).await.ok()?;
            (begin == BUSY).then_some(connection)
        });
        asked.await.unwrap_or_else(|_elapsed| {
            tracing::warn!(sandbox = %entry.id, "its daemon does not say whether commands run");
            None
        })
    }
}

async fn until_end(mut connection: Connection) {
    let mut nothing = [0; 256];
    // A connection that breaks has ended.
    while connection.read(&mut nothing).await.is_ok_and(|count| count > 0) {}
}
