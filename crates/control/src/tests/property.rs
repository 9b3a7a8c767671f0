//! Random changes from several callers at once, on a machine that fails and whose sandboxes end by themselves.

use std::collections::HashMap;

use pitlane_driver::Exit;
use pitlane_driver::fake::{Fault, Operation};
use pitlane_model::Transition;
use proptest::prelude::*;
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use super::*;
use crate::{Event, RequestedLimits, Update};

#[derive(Debug, Clone, Copy)]
enum Step {
    Create(Name),
    CreateEphemeral(Name),
    Start(Name),
    Stop(Name),
    StopByForce(Name),
    Archive(Name),
    Recover(Name),
    Resize(Name, u32),
    Label(Name),
    Delete(Name),
    Connect(Name),
    Exit(Name),
    LateReport(Name),
    Fail(Operation),
}

type Name = usize;
const NAMES: [&str; 3] = ["a", "b", "c"];

fn step() -> impl Strategy<Value = Step> {
    let name = || 0..NAMES.len();
    let operation = prop::sample::select(vec![
        Operation::Create,
        Operation::Start,
        Operation::Stop,
        Operation::Archive,
        Operation::Restore,
        Operation::Resize,
        Operation::Destroy,
        Operation::Connect,
    ]);
    prop_oneof![
        4 => name().prop_map(Step::Create),
        2 => name().prop_map(Step::CreateEphemeral),
        4 => name().prop_map(Step::Start),
        3 => name().prop_map(Step::Stop),
        1 => name().prop_map(Step::StopByForce),
        3 => name().prop_map(Step::Archive),
        2 => name().prop_map(Step::Recover),
        2 => (name(), 1u32..5).prop_map(|(name, count)| Step::Resize(name, count)),
        1 => name().prop_map(Step::Label),
        3 => name().prop_map(Step::Delete),
        2 => name().prop_map(Step::Connect),
        2 => name().prop_map(Step::Exit),
        1 => name().prop_map(Step::LateReport),
        1 => operation.prop_map(Step::Fail),
    ]
}

impl Server {
    /// Takes a step. Refusals are part of the game: what counts is what is left.
    async fn take(&self, step: Step) {
        let (sandboxes, caller) = (self.control.sandboxes(), &self.principal);
        let id_of = |name: Name| sandboxes.find(caller, NAMES[name]).map(|found| found.spec.id);
        match step {
            Step::Create(name) => drop(sandboxes.create(caller, named(NAMES[name])).await),
            Step::CreateEphemeral(name) => {
                drop(sandboxes.create(caller, ephemeral(NAMES[name])).await);
            }
            Step::Start(name) => drop(sandboxes.start(caller, NAMES[name]).await),
            Step::Stop(name) => drop(sandboxes.stop(caller, NAMES[name], false).await),
            Step::StopByForce(name) => drop(sandboxes.stop(caller, NAMES[name], true).await),
            Step::Archive(name) => drop(sandboxes.archive(caller, NAMES[name])),
            Step::Recover(name) => drop(sandboxes.recover(caller, NAMES[name], true).await),
            Step::Resize(name, count) => {
                let wanted = RequestedLimits { cpu_count: Some(count), ..Default::default() };
                drop(sandboxes.resize(caller, NAMES[name], wanted).await);
            }
            Step::Label(name) => {
                let labels = Update::Labels([("a".to_owned(), "b".to_owned())].into());
                drop(sandboxes.update(caller, NAMES[name], labels).await);
            }
            Step::Delete(name) => drop(sandboxes.delete(caller, NAMES[name]).await),
            Step::Connect(name) => {
                if let Ok(id) = id_of(name) {
                    drop(sandboxes.connect(caller.organization, id, Presence::Noticed).await);
                }
            }
            Step::Exit(name) => {
                if let Ok(id) = id_of(name) {
                    self.driver.exit(id, Exit::Signal(9));
                }
            }
            Step::LateReport(name) => {
                if let Ok(id) = id_of(name) {
                    self.driver.report_late_exit(id);
                }
            }
            Step::Fail(operation) => self.driver.fail_next(operation, Fault::Host),
        }
    }

    /// Whether nothing is under way and memory, database and machine agree.
    async fn is_settled(&self) -> bool {
        let rows = self.rows().await;
        let mut expected = Vec::new();
        for row in &rows {
            let id = row.spec.id;
            match row.state {
                SandboxState::Started => expected.push(running(id)),
                // On its way out, although nobody has said so yet.
                SandboxState::Stopped if row.spec.lifecycle.is_ephemeral() => return false,
                SandboxState::Stopped => expected.push(stopped(id)),
                SandboxState::Archived => {
                    expected.push(Existing { id, liveness: Liveness::Archived });
                }
                // It may have a disk or not, and may even run: it was not to be stopped.
                SandboxState::Error => {
                    expected.extend(self.driver.existing().into_iter().filter(|e| e.id == id));
                }
                _ => return false,
            }
            if self.state(&id.to_string()) != Some(row.state) {
                return false;
            }
        }
        expected.sort_by_key(|existing| existing.id);
        self.driver.existing() == expected
            && NAMES.into_iter().all(|name| {
                self.state(name)
                    == rows.iter().find(|row| row.spec.name.as_str() == name).map(|row| row.state)
            })
    }
}

/// Every change that was told is one the state machine knows, and follows on the one before.
fn check_events(mut events: broadcast::Receiver<Event>) {
    let mut last: HashMap<SandboxId, SandboxState> = HashMap::new();
    loop {
        match events.try_recv() {
            Ok(Event::SandboxCreated { sandbox }) => {
                assert_eq!(sandbox.state, SandboxState::Creating);
                assert_eq!(last.insert(sandbox.spec.id, SandboxState::Creating), None);
            }
            Ok(Event::SandboxStateUpdated { sandbox, old, new }) => {
                let before = last.insert(sandbox.spec.id, new);
                assert_eq!(before, Some(old), "{}", sandbox.spec.id);
                assert!(
                    Transition::ALL.iter().any(|step| old.after(*step) == Ok(new)),
                    "{old:?} {new:?}"
                );
            }
            Ok(Event::MemoryRanOut { sandbox, .. }) => panic!("of {}", sandbox.spec.id),
            Ok(event @ (Event::VolumeCreated { .. } | Event::VolumeStateUpdated { .. })) => {
                panic!("there are no volumes: {event:?}")
            }
            Err(broadcast::error::TryRecvError::Empty) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn whatever_callers_do_memory_database_and_machine_agree_in_the_end(
        callers in prop::collection::vec(prop::collection::vec(step(), 1..25), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let machine = Machine::new();
            let server = Arc::new(machine.start().await);
            let events = server.control.events();
            let mut tasks = JoinSet::new();
            for steps in callers {
                let server = Arc::clone(&server);
                tasks.spawn(async move {
                    for step in steps {
                        server.take(step).await;
                    }
                });
            }
            tasks.join_all().await;
            eventually("memory, database and machine agree", async || server.is_settled().await)
                .await;
            check_events(events);
            let before = server.rows().await;
            Arc::into_inner(server).unwrap().shut_down().await;

            let server = machine.start().await;
            assert_eq!(server.rows().await, before);
            assert!(server.is_settled().await);
            server.shut_down().await;
        });
    }
}
