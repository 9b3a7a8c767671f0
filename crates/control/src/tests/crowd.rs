use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::*;
use crate::CreateError;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_are_made_at_once() {
    let machine = Machine::new();
    let server = Arc::new(machine.start().await);
    let mut callers = JoinSet::new();
    for number in 0..1000 {
        let server = Arc::clone(&server);
        callers.spawn(async move { server.create(&format!("number {number}")).await.spec.id });
    }
    let ids: BTreeSet<SandboxId> = callers.join_all().await.into_iter().collect();
    assert_eq!(ids.len(), 1000);
    let existing = server.driver.existing();
    assert_eq!(existing, ids.into_iter().map(running).collect::<Vec<_>>());

    for existing in existing {
        let server = Arc::clone(&server);
        let mut callers = JoinSet::new();
        callers.spawn(async move {
            let id = existing.id.to_string();
            server.control.sandboxes().delete(&server.principal, &id).await.unwrap();
        });
        callers.join_all().await;
    }
    eventually("all are gone", async || server.driver.existing().is_empty()).await;
    eventually("no row is left", async || server.rows().await.is_empty()).await;
    assert_eq!(server.driver.misuses(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_want_one_name_one_gets_it() {
    let machine = Machine::new();
    let server = Arc::new(machine.start().await);
    for _round in 0..20 {
        let mut callers = JoinSet::new();
        for _ in 0..20 {
            let server = Arc::clone(&server);
            callers.spawn(async move {
                server.control.sandboxes().create(&server.principal, named("wanted")).await
            });
        }
        let (winners, losers): (Vec<_>, Vec<_>) =
            callers.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!((winners.len(), losers.len()), (1, 19));
        for loser in losers {
            assert!(matches!(loser, Err(CreateError::NameTaken { .. })), "{loser:?}");
        }
        server.control.sandboxes().delete(&server.principal, "wanted").await.unwrap();
    }
    eventually("all are gone", async || server.driver.existing().is_empty()).await;
}
