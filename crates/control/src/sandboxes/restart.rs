//! What a new server makes of what an earlier one left.
//!
//! | row | it runs | it has a disk | its disk is packed away | it has nothing |
//! |---|---|---|---|---|
//! | waiting for its image | goes on | goes on | goes on | goes on |
//! | creating | started | stopped | archived | destroyed |
//! | creating, and told | started | stopped | archived | made anew |
//! | started, starting | started | stopped | archived | error |
//! | stopping | stopped now | stopped | archived | error |
//! | stopped | started | stopped | archived | error |
//! | archiving | started | archived now | archived | error |
//! | archived | started | stopped | archived | error |
//! | restoring | started | stopped | archived | error |
//! | resizing | resized now | resized now | archived | error |
//! | snapshotting | started | stopped | archived | error |
//! | destroying | destroyed | destroyed | destroyed | destroyed |
//! | error, build failed | as before | error | error | error |
//! | none | destroyed | destroyed | destroyed | |
//!
//! A driver has a sandbox once it is whole, and its caller is told of it before its row says that it is started: so one
//! that exists stays, and a creation that made none is undone, or done again if its caller was told of it before. A
//! destruction that was given up is begun again. Where an ephemeral sandbox would be stopped or in error, it is destroyed
//! instead. A row that says stopped of one that runs is behind: nothing is lost by believing the machine.

use std::collections::HashMap;
use std::sync::Arc;

use pitlane_driver::{Existing, Liveness};
use pitlane_model::{Actor, DesiredState, Sandbox, SandboxId, SandboxState, Transition};
use pitlane_store::StoredSandbox;
use tokio::sync::oneshot;

use super::entry::{Change, Desk, Entry};
use super::owner::Owner;
use super::story::Because;

/// Takes over every row and everything that exists. Work that takes time is handed to owners.
pub(super) fn reconcile(owner: &Owner, rows: Vec<StoredSandbox>, existing: &[Existing]) {
    let mut existing: HashMap<SandboxId, Liveness> =
        existing.iter().map(|existing| (existing.id, existing.liveness)).collect();
    for row in rows {
        let liveness = existing.remove(&row.sandbox.spec.id);
        take_over(owner, row, liveness);
    }
    for id in existing.into_keys() {
        tracing::warn!(sandbox = %id, "destroying a sandbox that nobody owns");
        let orphan = owner.clone();
        owner.platform.tasks.spawn(async move { orphan.release(id).await });
    }
}

fn take_over(owner: &Owner, row: StoredSandbox, liveness: Option<Liveness>) {
    let before = row.sandbox.state;
    let revision = row.revision;
    let entry = Arc::new(Entry::new(row, &owner.platform.clock));
    let mut desk = entry.desk();
    let spec = &desk.sandbox().spec;
    let built = spec.build.as_ref().and_then(|_| spec.snapshot.parse().ok());
    desk.need = built.map(|reference| owner.platform.images.need(reference));
    settle(owner, &mut desk, liveness);
    let after = desk.sandbox().state;
    if after == SandboxState::Destroying {
        desk.is_to_go = true;
        owner.directory.insert_nameless(&entry);
    } else if let Err(name) = owner.directory.insert(&entry) {
        tracing::error!(sandbox = %entry.id, %name, "two sandboxes of one name");
        owner.directory.insert_nameless(&entry);
    }
    tracing::info!(
        sandbox = %entry.id, was = before.as_str(), now = after.as_str(), "taken over"
    );
    owner.platform.timers.watch(desk.sandbox());
    let row = desk.row();
    if row.revision != revision {
        let (saver, entry) = (owner.clone(), Arc::clone(&entry));
        owner.platform.tasks.spawn(async move { drop(saver.save(&entry, row).await) });
    }
    if desk.is_to_go || desk.change.is_some() {
        owner.hire(&entry, &mut desk);
    }
}

/// Brings the state in line with the machine, by the table above.
fn settle(owner: &Owner, desk: &mut Desk, liveness: Option<Liveness>) {
    desk.because = Because::of(Actor::Server).reason("it was found so when the server started");
    for transition in steps(desk, liveness) {
        let advanced = desk.advance(&owner.platform, *transition, |sandbox| match transition {
            Transition::Fail => {
                sandbox.error_reason = Some(Sandbox::DISK_IS_GONE.to_owned());
            }
            Transition::Ended => sandbox.desired = DesiredState::Stopped,
            _ => {}
        });
        if let Err(error) = advanced {
            tracing::error!(sandbox = %desk.sandbox().spec.id, %error, "not taken over as meant");
        }
    }
}

/// What has happened to a sandbox meanwhile. What is to be done with it now is written on its desk.
fn steps(desk: &mut Desk, liveness: Option<Liveness>) -> &'static [Transition] {
    use SandboxState as S;
    let is_ephemeral = desk.sandbox().spec.lifecycle.is_ephemeral();
    let is_told = desk.row().is_told;
    match (desk.sandbox().state, liveness) {
        (S::PendingBuild | S::BuildingSnapshot | S::PullingSnapshot, _) => {
            desk.change = Some(Change::GoOn);
            &[]
        }
        (S::Creating, None) if is_told => {
            desk.change = Some(Change::GoOn);
            &[]
        }
        (S::Creating, None) => &[Transition::Destroy],
        (S::Creating, Some(Liveness::Stopped)) if is_ephemeral => &[Transition::Destroy],
        (S::Creating, Some(Liveness::Stopped)) => &[Transition::Ready, Transition::Ended],
        (S::Creating, Some(Liveness::Archived)) => {
            &[Transition::Ready, Transition::Ended, Transition::Archive, Transition::Packed]
        }
        (S::Error, _) if desk.sandbox().desired == DesiredState::Destroyed => {
            &[Transition::Destroy]
        }
        (S::Stopped | S::Archived, Some(Liveness::Stopped)) if is_ephemeral => {
            &[Transition::Destroy]
        }
        (S::Destroying | S::Destroyed | S::Error | S::BuildFailed, _)
        | (S::Started, Some(Liveness::Running))
        | (S::Stopped, Some(Liveness::Stopped))
        | (S::Archived, Some(Liveness::Archived)) => &[],
        // A snapshot is finished or undone by whoever keeps snapshots.
        (S::Creating | S::Starting | S::Restoring | S::Snapshotting, Some(Liveness::Running)) => {
            &[Transition::Ready]
        }
        // What was begun is done, or done again. Whoever asked for it is gone.
        (S::Resizing, Some(liveness @ (Liveness::Running | Liveness::Stopped))) => {
            let (before, (reply, _)) = (desk.sandbox().spec.limits, oneshot::channel());
            let is_running = liveness == Liveness::Running;
            desk.change = Some(Change::Resize { before, is_running, reply });
            &[]
        }
        (S::Archiving, Some(Liveness::Stopped)) => {
            let (reply, _) = oneshot::channel();
            desk.change = Some(Change::Archive { reply });
            &[]
        }
        (S::Stopped | S::Archived, Some(Liveness::Running)) => {
            &[Transition::Start, Transition::Ready]
        }
        (S::Archiving, Some(Liveness::Running)) => {
            &[Transition::Ended, Transition::Start, Transition::Ready]
        }
        (S::Stopping, Some(Liveness::Running)) => {
            let (reply, _) = oneshot::channel();
            desk.change = Some(Change::Stop { force: false, reply });
            &[]
        }
        (S::Started | S::Starting | S::Stopping | S::Snapshotting, Some(Liveness::Stopped))
            if is_ephemeral =>
        {
            &[Transition::Ended, Transition::Destroy]
        }
        (
            S::Started | S::Starting | S::Stopping | S::Restoring | S::Snapshotting,
            Some(Liveness::Stopped),
        ) => &[Transition::Ended],
        (S::Archived, Some(Liveness::Stopped)) => &[Transition::Start, Transition::Ended],
        (S::Archiving | S::Restoring, Some(Liveness::Archived)) => &[Transition::Packed],
        (S::Stopped, Some(Liveness::Archived)) => &[Transition::Archive, Transition::Packed],
        (
            S::Started | S::Starting | S::Stopping | S::Resizing | S::Snapshotting,
            Some(Liveness::Archived),
        ) => &[Transition::Ended, Transition::Archive, Transition::Packed],
        // Whatever it was, there is nothing left of it.
        (_, None) => {
            if is_ephemeral {
                &[Transition::Destroy]
            } else {
                &[Transition::Fail]
            }
        }
    }
}
