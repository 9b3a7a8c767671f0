//! The behaviours, each a function named as what it checks.

mod images;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::time::Duration;

use pitlane_model::{ImageName, Limits, NetworkPolicy, SandboxId, WarmPoolId};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::{Run, Violation, violated};
use crate::{
    ArchiveError, ConnectError, CreateError, DriverEvent, Existing, LaunchSpec, Liveness, PoolKey,
    ResizeError, RestoreError, StartError, StopError, WantedPool,
};

const EVENT_DEADLINE: Duration = Duration::from_secs(10);

pub(super) async fn all(run: &Run<'_>) -> Result<(), Violation> {
    a_sandbox_needs_its_image(run).await?;
    an_image_is_prepared_as_often_as_asked(run).await?;
    what_does_not_exist_is_named_so(run).await?;
    a_created_sandbox_runs(run).await?;
    an_id_is_taken_once(run).await?;
    stop_keeps_the_disk(run).await?;
    every_sandbox_has_a_disk_of_its_own(run).await?;
    only_an_end_by_itself_is_reported(run).await?;
    a_sandbox_that_ended_by_itself_starts_again(run).await?;
    limits_change_while_it_runs_and_its_disk_grows_while_it_does_not(run).await?;
    an_archived_sandbox_comes_back_as_it_was(run).await?;
    destroy_leaves_nothing(run).await?;
    images::all(run).await?;
    what_waits_is_seen_by_nobody(run).await?;
    many_are_made_at_once(run).await
}

async fn a_sandbox_needs_its_image(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "creating from an absent image answers NoImage and leaves nothing";
    let mut spec = run.spec();
    spec.image.clone_from(&run.subject.absent_image);
    match run.subject.driver.create(&spec).await {
        Err(CreateError::NoImage { image }) if image == spec.image => {}
        other => return unexpected(RULE, &other),
    }
    run.expect_liveness(RULE, spec.id, None).await
}

async fn an_image_is_prepared_as_often_as_asked(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "an image can be prepared any number of times, with the same answer";
    let first = run.prepare(RULE, &run.subject.image).await?;
    let second = run.prepare(RULE, &run.subject.image).await?;
    if first == second { Ok(()) } else { violated(RULE, format!("{first:?}, then {second:?}")) }
}

async fn what_does_not_exist_is_named_so(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "an unknown id answers NotFound to all but connect, which says NotRunning, \
                        and destroy, which succeeds";
    let spec = run.spec();
    let id = spec.id;
    let driver = run.subject.driver;
    match driver.start(&spec).await {
        Err(StartError::NotFound { id: named }) if named == id => {}
        other => return unexpected(RULE, &other),
    }
    for force in [false, true] {
        match driver.stop(id, force).await {
            Err(StopError::NotFound { id: named }) if named == id => {}
            other => return unexpected(RULE, &other),
        }
    }
    match driver.resize(id, spec.limits).await {
        Err(ResizeError::NotFound { id: named }) if named == id => {}
        other => return unexpected(RULE, &other),
    }
    match driver.archive(id).await {
        Err(ArchiveError::NotFound { id: named }) if named == id => {}
        other => return unexpected(RULE, &other),
    }
    match driver.restore(id).await {
        Err(RestoreError::NotFound { id: named }) if named == id => {}
        other => return unexpected(RULE, &other),
    }
    run.expect_unreachable(RULE, id).await?;
    run.destroy(RULE, id).await
}

async fn a_created_sandbox_runs(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "a created sandbox is in the inventory and can be connected to, repeatedly";
    let id = run.create(RULE).await?.id;
    run.expect_liveness(RULE, id, Some(Liveness::Running)).await?;
    for _ in 0..3 {
        if run.has_mark(RULE, id).await? {
            return violated(RULE, "its disk is not fresh");
        }
    }
    run.destroy(RULE, id).await
}

async fn an_id_is_taken_once(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "creating an id that exists answers Exists and harms nothing";
    let spec = run.create(RULE).await?;
    let id = spec.id;
    run.leave_mark(RULE, id).await?;
    run.expect_exists(RULE, &spec).await?;
    if !run.has_mark(RULE, id).await? {
        return violated(RULE, "the disk of the first is lost");
    }
    run.stop(RULE, id).await?;
    run.expect_exists(RULE, &spec).await?;
    run.destroy(RULE, id).await
}

async fn stop_keeps_the_disk(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "stop ends a sandbox and keeps its disk; start brings it back";
    let spec = run.create(RULE).await?;
    let id = spec.id;
    run.start("starting a running sandbox succeeds", &spec).await?;
    run.leave_mark(RULE, id).await?;
    for force in [false, true] {
        if let Err(error) = run.subject.driver.stop(id, force).await {
            return violated(RULE, error);
        }
        run.stop("stopping a stopped sandbox succeeds", id).await?;
        run.expect_liveness(RULE, id, Some(Liveness::Stopped)).await?;
        run.expect_unreachable(RULE, id).await?;
        run.start(RULE, &spec).await?;
        run.expect_liveness(RULE, id, Some(Liveness::Running)).await?;
        if !run.has_mark(RULE, id).await? {
            return violated(RULE, "the disk is lost");
        }
    }
    run.destroy(RULE, id).await
}

async fn every_sandbox_has_a_disk_of_its_own(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "what one sandbox writes no other sees";
    let first = run.create(RULE).await?.id;
    run.leave_mark(RULE, first).await?;
    let second = run.create(RULE).await?.id;
    if run.has_mark(RULE, second).await? {
        return violated(RULE, "a new sandbox sees another's file");
    }
    run.destroy(RULE, first).await?;
    run.destroy(RULE, second).await
}

async fn only_an_end_by_itself_is_reported(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str =
        "a sandbox that ends by itself is reported, one that is stopped or destroyed is not";
    let stopped = run.create(RULE).await?.id;
    let destroyed = run.create(RULE).await?.id;
    let ended = run.create(RULE).await?.id;
    run.stop(RULE, stopped).await?;
    run.destroy(RULE, destroyed).await?;
    run.end_by_itself(RULE, ended).await?;
    run.expect_unreachable(RULE, ended).await?;
    run.expect_liveness(RULE, ended, Some(Liveness::Stopped)).await?;
    run.destroy(RULE, stopped).await?;
    run.destroy(RULE, ended).await
}

async fn a_sandbox_that_ended_by_itself_starts_again(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "a sandbox that ended by itself keeps its disk and starts again";
    let spec = run.create(RULE).await?;
    run.leave_mark(RULE, spec.id).await?;
    run.end_by_itself(RULE, spec.id).await?;
    run.stop("stopping a sandbox that ended by itself succeeds", spec.id).await?;
    run.start(RULE, &spec).await?;
    if !run.has_mark(RULE, spec.id).await? {
        return violated(RULE, "the disk is lost");
    }
    run.destroy(RULE, spec.id).await
}

async fn limits_change_while_it_runs_and_its_disk_grows_while_it_does_not(
    run: &Run<'_>,
) -> Result<(), Violation> {
    const RULE: &str = "resize changes limits at once, and the disk's of a stopped sandbox only \
                        upward";
    let mut spec = run.create(RULE).await?;
    let id = spec.id;
    run.leave_mark(RULE, id).await?;
    let disk_gib = spec.limits.disk_gib();
    for processors in [2, 2, 1] {
        spec.limits = limits(RULE, processors, disk_gib)?;
        run.resize(RULE, &spec).await?;
    }
    let larger = limits(RULE, 2, disk_gib + 2)?;
    match run.subject.driver.resize(id, larger).await {
        Err(ResizeError::DiskInUse { id: named }) if named == id => {}
        other => return unexpected(RULE, &other),
    }
    run.stop(RULE, id).await?;
    spec.limits = larger;
    run.resize(RULE, &spec).await?;
    run.resize("repeating a resize succeeds", &spec).await?;
    match run.subject.driver.resize(id, limits(RULE, 2, disk_gib)?).await {
        Err(ResizeError::DiskShrinks { id: named }) if named == id => {}
        other => return unexpected(RULE, &other),
    }
    run.start(RULE, &spec).await?;
    if !run.has_mark(RULE, id).await? {
        return violated(RULE, "what was on the disk is lost");
    }
    run.destroy(RULE, id).await
}

async fn an_archived_sandbox_comes_back_as_it_was(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "archive packs a stopped sandbox's disk away; restore brings it back";
    let spec = run.create(RULE).await?;
    let id = spec.id;
    run.leave_mark(RULE, id).await?;
    match run.subject.driver.archive(id).await {
        Err(ArchiveError::Running { id: named }) if named == id => {}
        other => return unexpected(RULE, &other),
    }
    run.stop(RULE, id).await?;
    for _ in 0..2 {
        for _ in 0..2 {
            run.archive(RULE, id).await?;
            run.expect_liveness(RULE, id, Some(Liveness::Archived)).await?;
        }
        run.expect_unreachable(RULE, id).await?;
        run.expect_exists(RULE, &spec).await?;
        match run.subject.driver.start(&spec).await {
            Err(StartError::NotFound { id: named }) if named == id => {}
            other => return unexpected(RULE, &other),
        }
        for _ in 0..2 {
            run.restore(RULE, id).await?;
            run.expect_liveness(RULE, id, Some(Liveness::Stopped)).await?;
        }
        run.start(RULE, &spec).await?;
        if !run.has_mark(RULE, id).await? {
            return violated(RULE, "what was on the disk is lost");
        }
        run.stop(RULE, id).await?;
    }
    run.archive(RULE, id).await?;
    run.destroy("destroy frees an archived sandbox", id).await?;
    run.expect_liveness(RULE, id, None).await
}

async fn destroy_leaves_nothing(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "destroy frees everything, running or stopped, as often as it is asked";
    for is_running in [true, false] {
        let spec = run.create(RULE).await?;
        let id = spec.id;
        run.leave_mark(RULE, id).await?;
        if !is_running {
            run.stop(RULE, id).await?;
        }
        run.destroy(RULE, id).await?;
        run.destroy(RULE, id).await?;
        run.expect_liveness(RULE, id, None).await?;
        run.expect_unreachable(RULE, id).await?;
        match run.subject.driver.start(&spec).await {
            Err(StartError::NotFound { .. }) => {}
            other => return unexpected(RULE, &other),
        }
        if let Err(error) = run.subject.driver.create(&spec).await {
            return violated(RULE, error);
        }
        if run.has_mark(RULE, id).await? {
            return violated(RULE, "the disk of the destroyed one is back");
        }
        run.destroy(RULE, id).await?;
    }
    Ok(())
}

async fn what_waits_is_seen_by_nobody(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "sandboxes that wait are in no inventory, are taken by whoever may, and go when nobody wants them";
    let driver = run.subject.driver;
    let before = run.inventory(RULE).await?;
    let key = PoolKey::Own(WarmPoolId::from_random((run.subject.random)()));
    let image = run.subject.image.clone();
    driver.keep_ready(vec![WantedPool { key, image, limits: Limits::DEFAULT, count: 2 }]);
    run.until_ready(RULE, &[(key, 2, 2)]).await?;
    let after = run.inventory(RULE).await?;
    if after != before {
        return violated(RULE, format!("{before:?}, then {after:?}"));
    }
    let mut spec = run.spec();
    spec.pools = vec![PoolKey::General, key];
    let claims = driver.pools().own;
    if let Err(error) = driver.create(&spec).await {
        return violated(RULE, error);
    }
    let hits = driver.pools().own.hits;
    if hits != claims.hits + 1 {
        return violated(RULE, format!("{hits} were taken after {}", claims.hits));
    }
    if run.has_mark(RULE, spec.id).await? {
        return violated(RULE, "its disk is not fresh");
    }
    run.destroy(RULE, spec.id).await?;
    driver.keep_ready(Vec::new());
    run.until_ready(RULE, &[]).await
}

async fn many_are_made_at_once(run: &Run<'_>) -> Result<(), Violation> {
    const RULE: &str = "sandboxes are made and destroyed side by side";
    let (a, b, c, d) =
        tokio::join!(run.create(RULE), run.create(RULE), run.create(RULE), run.create(RULE));
    let ids = [a?.id, b?.id, c?.id, d?.id];
    for id in ids {
        run.expect_liveness(RULE, id, Some(Liveness::Running)).await?;
    }
    let [a, b, c, d] = ids.map(|id| run.destroy(RULE, id));
    let (a, b, c, d) = tokio::join!(a, b, c, d);
    a.and(b).and(c).and(d)
}

impl Run<'_> {
    fn spec(&self) -> LaunchSpec {
        let id = SandboxId::from_random((self.subject.random)());
        self.made().push(id);
        LaunchSpec {
            id,
            image: self.subject.image.clone(),
            limits: Limits::DEFAULT,
            network: NetworkPolicy::Open,
            user: self.subject.user.clone(),
            environment: BTreeMap::new(),
            entrypoint: Vec::new(),
            pools: Vec::new(),
            volumes: Vec::new(),
        }
    }

    async fn inventory(&self, rule: &'static str) -> Result<Vec<Existing>, Violation> {
        let mut existing = match self.subject.driver.inventory().await {
            Ok(existing) => existing,
            Err(error) => return violated(rule, error),
        };
        existing.sort_by_key(|existing| existing.id);
        Ok(existing)
    }

    /// Waits until the pools are these: which, how many are wanted, how many wait.
    async fn until_ready(
        &self,
        rule: &'static str,
        pools: &[(PoolKey, u32, u32)],
    ) -> Result<(), Violation> {
        let reached = async {
            loop {
                let report = self.subject.driver.pools();
                let found = report.pools.iter().map(|pool| (pool.key, pool.wanted, pool.ready));
                if found.eq(pools.iter().copied()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        match timeout(EVENT_DEADLINE, reached).await {
            Ok(()) => Ok(()),
            Err(_elapsed) => violated(rule, format!("{:?}", self.subject.driver.pools())),
        }
    }

    async fn prepare(
        &self,
        rule: &'static str,
        image: &ImageName,
    ) -> Result<crate::PreparedImage, Violation> {
        let (progress, _steps) = mpsc::channel(1);
        let reference = match image.as_str().parse() {
            Ok(reference) => reference,
            Err(error) => return violated(rule, error),
        };
        match self.subject.driver.prepare_image(&reference, progress).await {
            Ok(prepared) => Ok(prepared),
            Err(error) => violated(rule, error),
        }
    }

    async fn create(&self, rule: &'static str) -> Result<LaunchSpec, Violation> {
        let spec = self.spec();
        match self.subject.driver.create(&spec).await {
            Ok(hello) if hello.daemon_version.is_empty() => violated(rule, "no daemon version"),
            Ok(_) => Ok(spec),
            Err(error) => unexpected(rule, &error),
        }
    }

    async fn start(&self, rule: &'static str, spec: &LaunchSpec) -> Result<(), Violation> {
        match self.subject.driver.start(spec).await {
            Ok(_) => Ok(()),
            Err(error) => unexpected(rule, &error),
        }
    }

    async fn stop(&self, rule: &'static str, id: SandboxId) -> Result<(), Violation> {
        self.subject.driver.stop(id, false).await.or_else(|error| unexpected(rule, &error))
    }

    async fn resize(&self, rule: &'static str, spec: &LaunchSpec) -> Result<(), Violation> {
        let resized = self.subject.driver.resize(spec.id, spec.limits).await;
        resized.or_else(|error| unexpected(rule, &error))
    }

    async fn archive(&self, rule: &'static str, id: SandboxId) -> Result<(), Violation> {
        self.subject.driver.archive(id).await.or_else(|error| unexpected(rule, &error))
    }

    async fn restore(&self, rule: &'static str, id: SandboxId) -> Result<(), Violation> {
        self.subject.driver.restore(id).await.or_else(|error| unexpected(rule, &error))
    }

    async fn destroy(&self, rule: &'static str, id: SandboxId) -> Result<(), Violation> {
        self.subject.driver.destroy(id).await.or_else(|error| unexpected(rule, &error))
    }

    async fn leave_mark(&self, rule: &'static str, id: SandboxId) -> Result<(), Violation> {
        match self.subject.driver.connect(id).await {
            Ok(connection) => self
                .subject
                .guest
                .leave_mark(connection)
                .await
                .or_else(|error| unexpected(rule, &error)),
            Err(error) => unexpected(rule, &error),
        }
    }

    async fn has_mark(&self, rule: &'static str, id: SandboxId) -> Result<bool, Violation> {
        match self.subject.driver.connect(id).await {
            Ok(connection) => self
                .subject
                .guest
                .has_mark(connection)
                .await
                .or_else(|error| unexpected(rule, &error)),
            Err(error) => unexpected(rule, &error),
        }
    }

    /// Has a sandbox end and waits for the report, which must be the next.
    async fn end_by_itself(&self, rule: &'static str, id: SandboxId) -> Result<(), Violation> {
        if let Err(error) = self.subject.guest.end(id).await {
            return unexpected(rule, &error);
        }
        match timeout(EVENT_DEADLINE, self.subject.driver.next_event()).await {
            Ok(Some(DriverEvent::Exited { id: named, .. })) if named == id => Ok(()),
            other => unexpected(rule, &other),
        }
    }

    async fn expect_exists(&self, rule: &'static str, spec: &LaunchSpec) -> Result<(), Violation> {
        match self.subject.driver.create(spec).await {
            Err(CreateError::Exists { id }) if id == spec.id => Ok(()),
            other => unexpected(rule, &other),
        }
    }

    async fn expect_unreachable(&self, rule: &'static str, id: SandboxId) -> Result<(), Violation> {
        match self.subject.driver.connect(id).await {
            Err(ConnectError::NotRunning { id: named }) if named == id => Ok(()),
            other => unexpected(rule, &other),
        }
    }

    async fn expect_liveness(
        &self,
        rule: &'static str,
        id: SandboxId,
        expected: Option<Liveness>,
    ) -> Result<(), Violation> {
        let inventory = match self.subject.driver.inventory().await {
            Ok(inventory) => inventory,
            Err(error) => return unexpected(rule, &error),
        };
        let found: Vec<&Existing> = inventory.iter().filter(|entry| entry.id == id).collect();
        let expected: Vec<Existing> =
            expected.into_iter().map(|liveness| Existing { id, liveness }).collect();
        if found.iter().copied().eq(&expected) {
            Ok(())
        } else {
            violated(rule, format!("the inventory has {found:?}, not {expected:?}"))
        }
    }
}

fn unexpected<T>(rule: &'static str, found: &impl Debug) -> Result<T, Violation> {
    violated(rule, format!("{found:?}"))
}

fn limits(rule: &'static str, processors: u32, disk_gib: u32) -> Result<Limits, Violation> {
    let standard = Limits::DEFAULT;
    Limits::new(processors, standard.memory_gib(), disk_gib, standard.process_count())
        .or_else(|error| unexpected(rule, &error))
}
