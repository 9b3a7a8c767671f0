//! The end of the daemon, and with it of the sandbox.

use crate::daemon::{Daemon, is_running, until};

#[tokio::test]
async fn processes_are_asked_to_end_before_they_are_killed() {
    let mut daemon = Daemon::start();
    let obedient = "trap \"echo > asked; exit\" TERM; echo $$ > obedient";
    let stubborn = "trap \"\" TERM; echo $$ > stubborn";
    for script in [obedient, stubborn] {
        daemon.execute(&format!("setsid sh -c '{script}; while :; do sleep 0.01; done' &")).await;
    }
    let have_begun = || ["obedient", "stubborn"].iter().all(|name| daemon.path(name).exists());
    until("both run", have_begun).await;
    daemon.end();
    assert!(daemon.path("asked").exists());
    let running = ["obedient", "stubborn"].map(|name| is_running(&daemon.text(name)));
    assert_eq!(running, [false, false]);
}
