//! Random changes by one caller, with restarts, failures and time in between, against a model of a few lines.

use std::collections::BTreeMap;

use pitlane_driver::Exit;
use pitlane_driver::fake::{Fault, Operation};
use proptest::prelude::*;

use super::*;
use crate::{RequestedLimits, Update};

#[derive(Debug, Clone, Copy)]
enum Step {
    Create { is_ephemeral: bool },
    Start,
    Stop,
    Archive,
    Recover,
    Resize { cpu_count: u32, disk_gib: u32 },
    Delete,
    Connect,
    Exit,
    AutoStop(u32),
    AutoArchive(u32),
    AutoDelete(Option<u32>),
    Ttl(u32),
    Wait(u32),
    FailNext(Operation),
    Restart,
}

/// What a sandbox is, once everything has settled.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    state: SandboxState,
    cpu_count: u32,
    disk_gib: u32,
    auto_stop: u32,
    auto_archive: u32,
    auto_delete: Option<u32>,
    destroy_at: Option<u32>,
    born: u32,
    used: u32,
    was_ready: bool,
}

/// The model's world: one sandbox at most, the minute it is, failures that wait for their operation, and when the
/// server began.
#[derive(Debug, Default)]
struct World {
    sandbox: Option<Model>,
    minute: u32,
    begun: u32,
    faults: Vec<Operation>,
}

fn step() -> impl Strategy<Value = Step> {
    let operation = prop::sample::select(vec![
        Operation::Create,
        Operation::Start,
        Operation::Stop,
        Operation::Archive,
        Operation::Restore,
        Operation::Resize,
    ]);
    prop_oneof![
        3 => any::<bool>().prop_map(|is_ephemeral| Step::Create { is_ephemeral }),
        4 => Just(Step::Start),
        4 => Just(Step::Stop),
        4 => Just(Step::Archive),
        2 => Just(Step::Recover),
        3 => (1u32..6, 2u32..12)
            .prop_map(|(cpu_count, disk_gib)| Step::Resize { cpu_count, disk_gib }),
        1 => Just(Step::Delete),
        2 => Just(Step::Connect),
        1 => Just(Step::Exit),
        1 => (0u32..20).prop_map(Step::AutoStop),
        1 => (1u32..20).prop_map(Step::AutoArchive),
        1 => prop::option::of(0u32..40).prop_map(Step::AutoDelete),
        1 => (0u32..60).prop_map(Step::Ttl),
        4 => (1u32..15).prop_map(Step::Wait),
        2 => operation.prop_map(Step::FailNext),
        1 => Just(Step::Restart),
    ]
}

impl World {
    /// Whether an operation fails now, as it was told to.
    fn fails(&mut self, operation: Operation) -> bool {
        let position = self.faults.iter().position(|fault| *fault == operation);
        position.map(|position| self.faults.remove(position)).is_some()
    }

    fn set(&mut self, state: SandboxState) {
        let minute = self.minute;
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.state = state;
            sandbox.was_ready |= state == SandboxState::Started;
            if matches!(state, SandboxState::Started | SandboxState::Stopped) {
                sandbox.used = minute;
            }
            if state == SandboxState::Stopped && sandbox.auto_delete == Some(0) {
                self.sandbox = None;
            }
        }
    }

    fn used(&mut self) {
        if let Some(sandbox) = &mut self.sandbox {
            sandbox.used = self.minute;
        }
    }

    fn launch(&mut self) {
        let state = if self.fails(Operation::Start) {
            SandboxState::Stopped
        } else {
            SandboxState::Started
        };
        self.set(state);
    }

    /// A stop is tried twice.
    fn stop(&mut self) {
        let has_failed = self.fails(Operation::Stop) && self.fails(Operation::Stop);
        self.set(if has_failed { SandboxState::Error } else { SandboxState::Stopped });
    }

    fn archive(&mut self) {
        let state = if self.fails(Operation::Archive) {
            SandboxState::Stopped
        } else {
            SandboxState::Archived
        };
        self.set(state);
    }

    /// Lets the timers act until nothing is due.
    fn settle(&mut self) {
        use SandboxState as S;
        while let Some(sandbox) = self.sandbox.clone() {
            let rests = matches!(sandbox.state, S::Stopped | S::Archived);
            let is_past = |minutes: u32| sandbox.used + minutes <= self.minute;
            if sandbox.destroy_at.is_some_and(|at| at <= self.minute)
                || rests && sandbox.auto_delete.is_some_and(is_past)
            {
                self.sandbox = None;
            } else if sandbox.state == S::Started
                && sandbox.auto_stop > 0
                && is_past(sandbox.auto_stop)
                && self.begun < self.minute
            {
                self.stop();
            } else if sandbox.state == S::Stopped && is_past(sandbox.auto_archive) {
                self.archive();
            } else {
                return;
            }
        }
    }

    fn take(&mut self, step: Step) {
        use SandboxState as S;
        if let Step::Create { is_ephemeral } = step
            && self.sandbox.is_none()
        {
            let has_failed = self.fails(Operation::Create);
            self.sandbox = Some(Model {
                state: if has_failed { S::Error } else { S::Started },
                cpu_count: 1,
                disk_gib: 3,
                auto_stop: 15,
                auto_archive: 10_080,
                auto_delete: is_ephemeral.then_some(0),
                destroy_at: None,
                born: self.minute,
                used: self.minute,
                was_ready: !has_failed,
            });
        }
        match step {
            Step::Wait(minutes) => self.minute += minutes,
            Step::FailNext(operation) => self.faults.push(operation),
            Step::Restart => self.begun = self.minute,
            _ => {}
        }
        if let Some(sandbox) = self.sandbox.clone() {
            self.change(&sandbox, step);
        }
        self.settle();
    }

    fn change(&mut self, sandbox: &Model, step: Step) {
        use SandboxState as S;
        match (step, sandbox.state) {
            (Step::Start, S::Stopped) => self.launch(),
            (Step::Start, S::Started) => self.used(),
            (Step::Start, S::Archived) => {
                self.used();
                if !self.fails(Operation::Restore) {
                    self.launch();
                }
            }
            (Step::Stop | Step::Exit, S::Started) => self.stop(),
            (Step::Archive, S::Stopped) if sandbox.auto_delete != Some(0) => {
                self.used();
                self.archive();
            }
            (Step::Recover, S::Error) => {
                self.used();
                // Nothing of one that was never made is found: it is made.
                let has_failed = self.fails(Operation::Stop)
                    || sandbox.was_ready && self.fails(Operation::Restore)
                    || !sandbox.was_ready && self.fails(Operation::Create);
                if !has_failed && sandbox.was_ready {
                    self.launch();
                } else if !has_failed {
                    self.set(S::Started);
                }
            }
            (Step::Resize { cpu_count, disk_gib }, S::Started | S::Stopped) => {
                let (cpu, disk) = (sandbox.cpu_count, sandbox.disk_gib);
                let can = (cpu_count, disk_gib) != (cpu, disk)
                    && cpu_count <= 4
                    && (disk..=10).contains(&disk_gib)
                    && (sandbox.state == S::Stopped || disk_gib == disk && cpu_count >= cpu);
                if can {
                    if !self.fails(Operation::Resize)
                        && let Some(sandbox) = &mut self.sandbox
                    {
                        (sandbox.cpu_count, sandbox.disk_gib) = (cpu_count, disk_gib);
                    }
                    self.set(sandbox.state);
                }
            }
            (Step::Delete, _) => self.sandbox = None,
            (Step::Connect, _) => self.used(),
            (Step::AutoStop(_) | Step::AutoArchive(_) | Step::AutoDelete(_) | Step::Ttl(_), _) => {
                self.used();
                let minute = self.minute;
                if let Some(sandbox) = &mut self.sandbox {
                    match step {
                        Step::AutoStop(minutes) => sandbox.auto_stop = minutes,
                        Step::AutoArchive(minutes) => sandbox.auto_archive = minutes,
                        Step::AutoDelete(minutes) => sandbox.auto_delete = minutes,
                        Step::Ttl(minutes) => {
                            sandbox.destroy_at = (minutes > 0).then_some(minute + minutes);
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

const NAME: &str = "first";

impl Server {
    /// Takes a step. Refusals are part of the game: what counts is what is left.
    async fn do_step(&self, machine: &Machine, step: Step) {
        let (sandboxes, caller) = (self.control.sandboxes(), &self.principal);
        let update = async |update| drop(sandboxes.update(caller, NAME, update).await);
        let id = sandboxes.find(caller, NAME).ok().map(|found| found.spec.id);
        match step {
            Step::Create { is_ephemeral: false } => {
                drop(sandboxes.create(caller, named(NAME)).await);
            }
            Step::Create { is_ephemeral: true } => {
                drop(sandboxes.create(caller, ephemeral(NAME)).await);
            }
            Step::Start => drop(sandboxes.start(caller, NAME).await),
            Step::Stop => drop(sandboxes.stop(caller, NAME, false).await),
            Step::Archive => drop(sandboxes.archive(caller, NAME)),
            Step::Recover => drop(sandboxes.recover(caller, NAME, true).await),
            Step::Resize { cpu_count, disk_gib } => {
                let wanted = RequestedLimits {
                    cpu_count: Some(cpu_count),
                    memory_gib: None,
                    disk_gib: Some(disk_gib),
                };
                drop(sandboxes.resize(caller, NAME, wanted).await);
            }
            Step::Delete => drop(sandboxes.delete(caller, NAME).await),
            Step::Connect => {
                if let Some(id) = id {
                    drop(sandboxes.connect(caller.organization, id, Presence::Noticed).await);
                }
            }
            Step::Exit => {
                if let Some(id) = id
                    && self.state(NAME) == Some(SandboxState::Started)
                {
                    self.driver.exit(id, Exit::Signal(9));
                }
            }
            Step::AutoStop(minutes) => update(Update::AutoStop(minutes)).await,
            Step::AutoArchive(minutes) => update(Update::AutoArchive(minutes)).await,
            Step::AutoDelete(minutes) => update(Update::AutoDelete(minutes)).await,
            Step::Ttl(minutes) => update(Update::Ttl(minutes)).await,
            Step::Wait(count) => drop(machine.advance_clock(minutes(count))),
            Step::FailNext(operation) => self.driver.fail_next(operation, Fault::Host),
            Step::Restart => {}
        }
    }

    /// Waits until the sandbox is as the model says, in memory, in its row and on the machine.
    async fn until_like(&self, world: &World, steps: &[Step]) {
        let looking = async {
            let mut looks = tokio::time::interval(Duration::from_millis(1));
            while !self.is_like(world).await {
                looks.tick().await;
            }
        };
        if tokio::time::timeout(Duration::from_secs(3), looking).await.is_err() {
            let rows = self.rows().await;
            panic!("{world:?} after {steps:?}, but {rows:#?} and {:?}", self.driver.existing());
        }
    }

    async fn is_like(&self, world: &World) -> bool {
        let rows = self.rows().await;
        let existing: BTreeMap<_, _> =
            self.driver.existing().into_iter().map(|e| (e.id, e.liveness)).collect();
        let Some(model) = &world.sandbox else {
            return rows.is_empty() && existing.is_empty() && self.state(NAME).is_none();
        };
        let [row] = &*rows else { return false };
        let is_there = match model.state {
            SandboxState::Started => existing.get(&row.spec.id) == Some(&Liveness::Running),
            SandboxState::Stopped => existing.get(&row.spec.id) == Some(&Liveness::Stopped),
            SandboxState::Archived => existing.get(&row.spec.id) == Some(&Liveness::Archived),
            _ => true,
        };
        let limits = (row.spec.limits.cpu_count(), row.spec.limits.disk_gib());
        is_there
            && row.state == model.state
            && self.state(NAME) == Some(model.state)
            && limits == (model.cpu_count, model.disk_gib)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_sandbox_does_what_the_model_does(steps in prop::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let machine = Machine::new();
            let mut server = machine.start().await;
            let mut world = World::default();
            for (count, step) in (1..).zip(steps.iter().copied()) {
                if matches!(step, Step::Restart) {
                    server.shut_down().await;
                    server = machine.start().await;
                }
                server.do_step(&machine, step).await;
                world.take(step);
                server.until_like(&world, &steps[..count]).await;
            }
            server.shut_down().await;
        });
    }
}
