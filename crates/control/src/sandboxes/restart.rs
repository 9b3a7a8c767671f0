//! What a new server makes of what an earlier one left.
//!
//! | row | it runs | it has a disk | it has nothing |
//! |---|---|---|---|
//! | creating | destroyed | destroyed | destroyed |
//! | started, starting | started | stopped | error |
//! | stopping | stopped now | stopped | error |
//! | stopped | started | stopped | error |
//! | destroying | destroyed | destroyed | destroyed |
//! | error | error | error | error |
//! | none | destroyed | destroyed | |
//!
//! A creation that nobody was told of is undone. Where an ephemeral sandbox would be stopped or in error, it is
//! destroyed instead. A row that says stopped of one that runs is behind: nothing is lost by believing the machine.

use std::collections::HashMap;
use std::sync::Arc;

use pitlane_driver::{Existing, Liveness};
use pitlane_model::{SandboxId, SandboxState, Transition};
use pitlane_store::StoredSandbox;
use tokio::sync::oneshot;

use super::entry::{Change, Desk, Entry};
use super::owner::Owner;

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
    let entry = Arc::new(Entry::new(row));
    let mut desk = entry.desk();
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
    use SandboxState as S;
    let is_ephemeral = desk.sandbox().spec.lifecycle.is_ephemeral();
    let transitions: &[Transition] = match (desk.sandbox().state, liveness) {
        (S::Creating, _) => &[Transition::Destroy],
        (S::Stopped | S::Archived, Some(Liveness::Stopped)) if is_ephemeral => {
            &[Transition::Destroy]
        }
        (S::Destroying | S::Destroyed | S::Error, _)
        | (S::Started, Some(Liveness::Running))
        | (S::Stopped, Some(Liveness::Stopped))
        | (S::Archived, Some(Liveness::Archived)) => &[],
        (S::Starting | S::Restoring | S::Resizing, Some(Liveness::Running)) => &[Transition::Ready],
        (S::Stopped | S::Archived, Some(Liveness::Running)) => {
            &[Transition::Start, Transition::Ready]
        }
        (S::Archiving, Some(Liveness::Running)) => {
            &[Transition::Ended, Transition::Start, Transition::Ready]
        }
        (S::Stopping, Some(Liveness::Running)) => {
            // Whoever asked for it is gone.
            let (reply, _) = oneshot::channel();
            desk.change = Some(Change::Stop { force: false, reply });
            &[]
        }
        (S::Started | S::Starting | S::Stopping, Some(Liveness::Stopped)) if is_ephemeral => {
            &[Transition::Ended, Transition::Destroy]
        }
        (
            S::Started | S::Starting | S::Stopping | S::Archiving | S::Restoring | S::Resizing,
            Some(Liveness::Stopped),
        ) => &[Transition::Ended],
        (S::Archived, Some(Liveness::Stopped)) => &[Transition::Start, Transition::Ended],
        (S::Archiving | S::Restoring, Some(Liveness::Archived)) => &[Transition::Packed],
        (S::Stopped, Some(Liveness::Archived)) => &[Transition::Archive, Transition::Packed],
        (S::Started | S::Starting | S::Stopping | S::Resizing, Some(Liveness::Archived)) => {
            &[Transition::Ended, Transition::Archive, Transition::Packed]
        }
        (
            S::Started
            | S::Starting
            | S::Stopping
            | S::Stopped
            | S::Archiving
            | S::Archived
            | S::Restoring
            | S::Resizing,
            None,
        ) => {
            if is_ephemeral {
                &[Transition::Destroy]
            } else {
                &[Transition::Fail]
            }
        }
    };
    for transition in transitions {
        let advanced = desk.advance(&owner.platform, *transition, |sandbox| {
            if *transition == Transition::Fail {
                sandbox.error_reason = Some("its disk is gone".to_owned());
            }
        });
        if let Err(error) = advanced {
            tracing::error!(sandbox = %desk.sandbox().spec.id, %error, "not taken over as meant");
        }
    }
}
