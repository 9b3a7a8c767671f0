use pitlane_driver::fake::{Fault, Moment, Operation};
use pitlane_model::{
    MountError, MountPath, Permission, Subpath, Volume, VolumeMount, VolumeName, VolumeState,
};

use super::*;
use crate::{
    ChangeError, ClaimVolumeError, CreateError, CreateVolumeError, DeleteOrganizationError,
    DeleteVolumeError, Event, FindVolumeError, RequestedMount,
};

impl Server {
    async fn volume(&self, name: &str) -> Volume {
        let name = Some(VolumeName::new(name).unwrap());
        self.control.volumes().create(&self.principal, name).await.unwrap()
    }

    fn volume_state(&self, volume: &Volume) -> Option<VolumeState> {
        let found = self.control.volumes().find(&self.principal, &volume.id.to_string());
        found.ok().map(|found| found.state)
    }

    async fn until_volume(&self, volume: &Volume, state: VolumeState) {
        eventually("the volume is in the state", async || self.volume_state(volume) == Some(state))
            .await;
    }

    async fn delete_volume(&self, volume: &Volume) -> Result<(), DeleteVolumeError> {
        self.control.volumes().delete(&self.principal, &volume.id.to_string()).await
    }
}

fn mounting(name: &str, volumes: &[(&str, &str)]) -> CreateSandbox {
    let volumes = volumes.iter().map(|(volume, path)| RequestedMount {
        volume: (*volume).to_owned(),
        path: MountPath::new(path).unwrap(),
        subpath: None,
    });
    CreateSandbox { volumes: volumes.collect(), ..named(name) }
}

#[tokio::test]
async fn a_volume_is_found_by_id_and_name_until_it_is_deleted() {
    let machine = Machine::new();
    let server = machine.start().await;
    let mut events = server.control.events();
    let volume = server.volume("data").await;
    assert_eq!(volume.state, VolumeState::Ready);
    assert_eq!(server.driver.existing_volumes(), [volume.id]);
    machine.advance_clock(Duration::from_secs(1));
    let unnamed = server.control.volumes().create(&server.principal, None).await.unwrap();
    assert_eq!(unnamed.name.as_str(), unnamed.id.to_string());

    let volumes = server.control.volumes();
    assert_eq!(volumes.find(&server.principal, &volume.id.to_string()), Ok(volume.clone()));
    assert_eq!(volumes.find_by_name(&server.principal, "data"), Ok(volume.clone()));
    assert_eq!(volumes.list(&server.principal, false), [unnamed.clone(), volume.clone()]);
    let taken = volumes.create(&server.principal, Some(volume.name.clone())).await;
    assert!(matches!(taken, Err(CreateVolumeError::NameTaken { .. })), "{taken:?}");

    server.delete_volume(&volume).await.unwrap();
    server.until_volume(&volume, VolumeState::Deleted).await;
    assert_eq!(server.driver.existing_volumes(), [unnamed.id]);
    let gone = FindVolumeError::NotFound { id_or_name: "data".to_owned() };
    assert_eq!(volumes.find_by_name(&server.principal, "data"), Err(gone));
    assert_eq!(volumes.list(&server.principal, false), [unnamed]);
    assert_eq!(volumes.list(&server.principal, true).len(), 2);
    let again = server.delete_volume(&volume).await;
    assert!(matches!(again, Err(DeleteVolumeError::State { .. })), "{again:?}");
    assert_eq!(server.volume("data").await.state, VolumeState::Ready);

    let mut told = Vec::new();
    while let Ok(event) = events.try_recv() {
        match event {
            Event::VolumeCreated { volume: of } if of.id == volume.id => {
                told.push((None, of.state));
            }
            Event::VolumeStateUpdated { volume: of, old, new } if of.id == volume.id => {
                told.push((Some(old), new));
            }
            _ => {}
        }
    }
    use VolumeState as V;
    let wanted = [
        (None, V::PendingCreate),
        (Some(V::PendingCreate), V::Ready),
        (Some(V::Ready), V::PendingDelete),
        (Some(V::PendingDelete), V::Deleting),
        (Some(V::Deleting), V::Deleted),
    ];
    assert_eq!(told, wanted);
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_has_its_volumes_and_nobody_deletes_them_meanwhile() {
    let machine = Machine::new();
    let server = machine.start().await;
    let (first, second) = (server.volume("first").await, server.volume("second").await);
    let mut request = mounting("one", &[("first", "/a"), (&second.id.to_string(), "/b")]);
    request.volumes[1].subpath = Some(Subpath::new("x/y").unwrap());
    let sandbox = server.control.sandboxes().create(&server.principal, request).await.unwrap();
    let wanted = [
        VolumeMount { volume: first.id, path: MountPath::new("/a").unwrap(), subpath: None },
        VolumeMount {
            volume: second.id,
            path: MountPath::new("/b").unwrap(),
            subpath: Some(Subpath::new("x/y").unwrap()),
        },
    ];
    assert_eq!(sandbox.spec.volumes, wanted);
    assert_eq!(server.driver.launched_with(sandbox.spec.id).unwrap().volumes, wanted);
    let used = server.control.volumes().find_by_name(&server.principal, "first").unwrap();
    assert_eq!(used.last_used_at, Some(sandbox.created_at));

    // Running, stopped, and after a restart of the server.
    let refused = server.delete_volume(&first).await;
    assert!(matches!(refused, Err(DeleteVolumeError::InUse { count: 1, .. })), "{refused:?}");
    server.control.sandboxes().stop(&server.principal, "one", true).await.unwrap();
    server.shut_down().await;
    let server = machine.start().await;
    let refused = server.delete_volume(&first).await;
    assert!(matches!(refused, Err(DeleteVolumeError::InUse { count: 1, .. })), "{refused:?}");
    let started = server.control.sandboxes().start(&server.principal, "one").await.unwrap();
    assert_eq!(started.spec.volumes, wanted);
    let used = server.control.volumes().find_by_name(&server.principal, "first").unwrap();
    assert_eq!(used.last_used_at, Some(sandbox.created_at));

    server.control.sandboxes().delete(&server.principal, "one").await.unwrap();
    server.delete_volume(&first).await.unwrap();
    server.until_volume(&first, VolumeState::Deleted).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_that_cannot_have_its_volumes_is_not_made_and_holds_none() {
    let machine = Machine::new();
    let server = machine.start().await;
    let volume = server.volume("data").await;
    let create = async |request: CreateSandbox| {
        let refused = server.control.sandboxes().create(&server.principal, request).await;
        match refused {
            Err(CreateError::Volume(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let error = create(mounting("one", &[("none", "/a")])).await;
    assert_eq!(error, ClaimVolumeError::NotFound { id_or_name: "none".to_owned() });
    let error = create(mounting("one", &[("data", "/a"), ("data", "/a/b")])).await;
    assert!(matches!(error, ClaimVolumeError::Mount(MountError::Overlap { .. })), "{error:?}");

    // One that is still being made.
    let mut gate = server.driver.hold_next(Operation::CreateVolume, Moment::Before);
    let (control, caller) = (server.control.clone(), server.principal.clone());
    let name = Some(VolumeName::new("slow").unwrap());
    let mut making = tokio::task::JoinSet::new();
    making.spawn(async move { control.volumes().create(&caller, name).await });
    gate.reached().await;
    let error = create(mounting("one", &[("slow", "/a")])).await;
    let state = VolumeState::PendingCreate;
    assert_eq!(error, ClaimVolumeError::NotReady { name: VolumeName::new("slow").unwrap(), state });
    drop(gate);
    let made = making.join_next().await.unwrap().unwrap().unwrap();
    assert_eq!(made.state, VolumeState::Ready);

    // What the image does not allow, and a name that is taken.
    server.driver.fail_next(Operation::Create, Fault::Mount);
    let request = mounting("one", &[("data", "/a")]);
    let refused = server.control.sandboxes().create(&server.principal, request.clone()).await;
    assert!(matches!(refused, Err(CreateError::Mount { .. })), "{refused:?}");
    server.create("one").await;
    let refused = server.control.sandboxes().create(&server.principal, request).await;
    assert!(matches!(refused, Err(CreateError::NameTaken { .. })), "{refused:?}");
    server.delete_volume(&volume).await.unwrap();
    server.until_volume(&volume, VolumeState::Deleted).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_sandbox_whose_volume_cannot_be_mounted_rests_and_says_why() {
    let machine = Machine::new();
    let server = machine.start().await;
    server.volume("data").await;
    let request = mounting("one", &[("data", "/a")]);
    let sandboxes = server.control.sandboxes();
    let id = sandboxes.create(&server.principal, request).await.unwrap().spec.id;
    sandboxes.stop(&server.principal, "one", true).await.unwrap();
    server.driver.fail_next(Operation::Start, Fault::Mount);
    let refused = sandboxes.start(&server.principal, "one").await;
    assert!(matches!(refused, Err(ChangeError::Mount { .. })), "{refused:?}");
    let found = find(&server, "one");
    let reason = "failed as it was told to".to_owned();
    assert_eq!((found.state, &found.error_reason), (SandboxState::Stopped, &Some(reason)));
    let started = sandboxes.start(&server.principal, "one").await.unwrap();
    assert_eq!((started.state, &started.error_reason), (SandboxState::Started, &None));
    server.until_state(id, SandboxState::Started).await;
    server.shut_down().await;
}

#[tokio::test]
async fn a_volume_that_fails_says_why_and_can_be_deleted() {
    let machine = Machine::new();
    let server = machine.start().await;
    for (fault, reason) in [
        (Fault::Full, "this machine's disk has no room for another volume"),
        (Fault::Host, "the machine could not make it"),
    ] {
        server.driver.fail_next(Operation::CreateVolume, fault);
        let volume = server.volume("data").await;
        assert_eq!(volume.state, VolumeState::Error);
        assert_eq!(volume.error_reason.as_deref(), Some(reason));
        server.delete_volume(&volume).await.unwrap();
        server.until_volume(&volume, VolumeState::Deleted).await;
    }
    let volume = server.volume("data").await;
    server.driver.fail_next(Operation::DeleteVolume, Fault::Host);
    server.delete_volume(&volume).await.unwrap();
    server.until_volume(&volume, VolumeState::Deleted).await;
    server.shut_down().await;
}

#[tokio::test]
async fn volumes_belong_to_one_organization_and_to_those_who_may() {
    let machine = Machine::new();
    let server = machine.start().await;
    let volume = server.volume("data").await;
    let organizations = server.control.organizations();
    let other = organizations.create(&server.principal, "other".to_owned()).await.unwrap();
    let stranger = organizations.act_for(&server.principal, &other.id.to_string()).unwrap();
    let volumes = server.control.volumes();
    assert_eq!(volumes.list(&stranger, true), []);
    let id = volume.id.to_string();
    let gone = |of: &str| FindVolumeError::NotFound { id_or_name: of.to_owned() };
    assert_eq!(volumes.find(&stranger, &id), Err(gone(&id)));
    assert_eq!(volumes.find_by_name(&stranger, "data"), Err(gone("data")));
    let refused = volumes.delete(&stranger, &id).await;
    assert!(matches!(refused, Err(DeleteVolumeError::Find(_))), "{refused:?}");
    for called in ["data", &id] {
        let request = mounting("theirs", &[(called, "/a")]);
        let refused = server.control.sandboxes().create(&stranger, request).await;
        assert!(
            matches!(refused, Err(CreateError::Volume(ClaimVolumeError::NotFound { .. }))),
            "{refused:?}"
        );
    }
    let theirs = volumes.create(&stranger, Some(volume.name.clone())).await.unwrap();
    let refused = organizations.delete(&server.principal, &other.id.to_string()).await;
    assert!(matches!(refused, Err(DeleteOrganizationError::InUse { .. })), "{refused:?}");
    volumes.delete(&stranger, &theirs.id.to_string()).await.unwrap();
    eventually("it is deleted", async || {
        volumes.list(&stranger, true).iter().all(|volume| volume.state == VolumeState::Deleted)
    })
    .await;
    organizations.delete(&server.principal, &other.id.to_string()).await.unwrap();

    let mut weak = server.principal.clone();
    weak.permissions = Arc::new([Permission::ReadVolumes]);
    let refused = volumes.create(&weak, None).await;
    assert!(matches!(refused, Err(CreateVolumeError::Forbidden(_))), "{refused:?}");
    let refused = volumes.delete(&weak, &id).await;
    assert!(matches!(refused, Err(DeleteVolumeError::Forbidden(_))), "{refused:?}");
    server.shut_down().await;
}

#[tokio::test]
async fn an_organization_has_a_hundred_volumes_and_remembers_a_hundred_deleted_ones() {
    let machine = Machine::new();
    let server = machine.start().await;
    let mut made = Vec::new();
    for number in 0..100 {
        made.push(server.volume(&number.to_string()).await);
    }
    let refused = server.control.volumes().create(&server.principal, None).await;
    assert!(matches!(refused, Err(CreateVolumeError::TooMany { count: 100 })), "{refused:?}");
    for volume in &made {
        server.delete_volume(volume).await.unwrap();
        machine.advance_clock(Duration::from_secs(1));
    }
    let last = server.volume("last").await;
    server.delete_volume(&last).await.unwrap();
    eventually("the oldest is forgotten", async || {
        let all = server.control.volumes().list(&server.principal, true);
        all.len() == 100 && all.iter().all(|volume| volume.state == VolumeState::Deleted)
    })
    .await;
    assert_eq!(server.volume_state(&made[0]), None);
    eventually("its row as well", async || server.store.all_volumes().await.unwrap().len() == 100)
        .await;
    server.shut_down().await;
}

#[tokio::test]
async fn what_was_begun_goes_on_with_the_next_server_and_what_is_lost_is_said() {
    let machine = Machine::new();
    let server = machine.start().await;
    let (lost, kept) = (server.volume("lost").await, server.volume("kept").await);
    let half = |number: u8, name: &str, state| Volume {
        id: pitlane_model::VolumeId::from_random([number; 16]),
        name: VolumeName::new(name).unwrap(),
        state,
        ..kept.clone()
    };
    let making = half(1, "making", VolumeState::PendingCreate);
    let going = half(2, "going", VolumeState::PendingDelete);
    for volume in [&making, &going] {
        server.store.save_volume(volume.clone()).await.unwrap();
    }
    server.shut_down().await;
    machine.driver.lose_volume(lost.id);

    let server = machine.start().await;
    server.until_volume(&making, VolumeState::Ready).await;
    server.until_volume(&going, VolumeState::Deleted).await;
    server.until_volume(&kept, VolumeState::Ready).await;
    let found = server.control.volumes().find_by_name(&server.principal, "lost").unwrap();
    assert_eq!(found.state, VolumeState::Error);
    assert_eq!(found.error_reason.as_deref(), Some("what was in it is gone"));
    server.shut_down().await;
}
