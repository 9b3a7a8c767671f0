//! How images come to this machine, by pulls and by builds: each once, for all who wait for it.
//!
//! Whoever wants an image gets an [`Awaited`]; equal wishes of one organization are one piece of work, which ends when it
//! is done or when nobody waits for it any more. Pulls and builds wait for their turn in queues of their own, in which
//! organizations take turns. Nothing is kept here for the next server: whoever waited asks it again, and finished steps
//! are not done twice.

mod builder;
mod logs;
mod names;
mod queue;
mod transcript;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pitlane_driver::{Driver, PrepareImageError, PreparedImage};
use pitlane_model::{Build, ImageReference, ImageReferenceError, OrganizationId};
use sha2::{Digest as _, Sha256};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::builder::{BuildOrder, ImageBuilder, NoBuild, NoBuilder};
pub use self::logs::BuildLog;
use self::logs::Logs;
use self::names::Names;
pub(crate) use self::names::Need;
use self::queue::{Place, Queue};
pub use self::transcript::Transcript;
use crate::Registries;
use crate::chain::Chain;

/// The longest reason why an image does not come: registries and what runs in builds choose some of its words.
const MAX_REASON_BYTES: usize = 8 << 10;
/// Images that are pulled at the same time.
const PULLS: usize = 4;

/// How long an image may be on its way once its turn has come.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadlines {
    pub(crate) pull: Duration,
    pub(crate) build: Duration,
}

/// An image that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) organization: OrganizationId,
    /// What it is called when it is here.
    pub(crate) reference: ImageReference,
    /// How it is built; pulled if this is none.
    pub(crate) build: Option<Arc<Build>>,
}

/// Which images are the same wish.
type Key = (OrganizationId, ImageReference);

/// How far an image is.
#[derive(Debug, Clone)]
pub(crate) enum Progress {
    /// Others come first.
    Waiting,
    /// It is on its way.
    Working,
    /// It is here.
    Here(PreparedImage),
    /// It does not come.
    Failed {
        /// Why, for whoever wanted it.
        reason: String,
    },
}

/// Others wait already, and too many of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too many images wait to be pulled or built: try again when some are done")]
pub struct Crowded;

/// What brings images here.
#[derive(Debug)]
pub(crate) struct Images {
    registries: Arc<Registries>,
    builder: Arc<dyn ImageBuilder>,
    deadlines: Deadlines,
    logs: Logs,
    names: Names,
    pulls: Arc<Queue>,
    builds: Arc<Queue>,
    under_way: Mutex<HashMap<Key, Job>>,
    tasks: TaskTracker,
    ending: CancellationToken,
}

/// What [`Images`] needs from around it.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) registries: Arc<Registries>,
    pub(crate) builder: Arc<dyn ImageBuilder>,
    /// How many are built at the same time.
    pub(crate) builds: usize,
    pub(crate) deadlines: Deadlines,
    /// Where logs of builds are kept.
    pub(crate) logs: PathBuf,
    pub(crate) tasks: TaskTracker,
    pub(crate) ending: CancellationToken,
}

/// An image on its way.
#[derive(Debug)]
struct Job {
    waiting: usize,
    progress: watch::Receiver<Progress>,
    transcript: Option<Arc<Transcript>>,
    unwanted: CancellationToken,
}

/// A wait for an image. Whoever drops the last one of them ends the work.
pub(crate) struct Awaited {
    images: Arc<Images>,
    key: Key,
    unwanted: CancellationToken,
    progress: watch::Receiver<Progress>,
}

impl Images {
    pub(crate) fn new(around: Surroundings) -> Arc<Self> {
        let Surroundings { driver, registries, builder, builds, deadlines, logs, tasks, ending } =
            around;
        Arc::new(Self {
            registries,
            builder,
            deadlines,
            logs: Logs::new(logs),
            names: Names::new(driver),
            pulls: Queue::new(PULLS),
            builds: Queue::new(builds.max(1)),
            under_way: Mutex::default(),
            tasks,
            ending,
        })
    }

    /// Keeps the name of an image that is built until it is let go of.
    pub(crate) fn need(&self, reference: ImageReference) -> Need {
        self.names.need(reference)
    }

    /// Gives a need up, and the image's name with the last one. Sandboxes that lie on the image keep it all the same.
    pub(crate) async fn let_go(&self, need: Need) {
        self.names.let_go(need).await;
    }

    /// What builds images.
    pub(crate) fn builder(&self) -> &dyn ImageBuilder {
        &*self.builder
    }

    /// The image of this name that an organization may use, if it is here.
    pub(crate) async fn find(
        &self,
        organization: OrganizationId,
        reference: &ImageReference,
    ) -> Option<PreparedImage> {
        self.registries.find_image(organization, reference).await
    }

    /// Has an image come here, unless it is on its way already.
    pub(crate) fn want(self: &Arc<Self>, wanted: Wanted) -> Result<Awaited, Crowded> {
        self.line_up(wanted, Queue::line_up)
    }

    /// The same for what was accepted before: there is always a place for it.
    pub(crate) fn want_again(self: &Arc<Self>, wanted: Wanted) -> Awaited {
        let lined_up = self.line_up(wanted, |queue, organization| {
            Ok::<_, std::convert::Infallible>(queue.line_up_again(organization))
        });
        match lined_up {
            Ok(awaited) => awaited,
            Err(never) => match never {},
        }
    }

    fn line_up<E>(
        self: &Arc<Self>,
        wanted: Wanted,
        line_up: impl FnOnce(&Arc<Queue>, OrganizationId) -> Result<Place, E>,
    ) -> Result<Awaited, E> {
        let key = (wanted.organization, wanted.reference.clone());
        let mut under_way = self.under_way();
        if let Some(job) = under_way.get_mut(&key) {
            job.waiting += 1;
            let (progress, unwanted) = (job.progress.clone(), job.unwanted.clone());
            return Ok(Awaited { images: Arc::clone(self), key, unwanted, progress });
        }
        let queue = if wanted.build.is_some() { &self.builds } else { &self.pulls };
        let place = line_up(queue, wanted.organization)?;
        let begin = match place {
            Place::First(_) => Progress::Working,
            Place::Later(_) => Progress::Waiting,
        };
        let (teller, progress) = watch::channel(begin);
        let transcript = wanted.build.is_some().then(Transcript::new);
        let unwanted = CancellationToken::new();
        let job = Job {
            waiting: 1,
            progress: progress.clone(),
            transcript: transcript.clone(),
            unwanted: unwanted.clone(),
        };
        under_way.insert(key.clone(), job);
        drop(under_way);
        let work = Work { images: Arc::clone(self), wanted, transcript, teller };
        let (ending, cancelled) = (self.ending.clone(), unwanted.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                // The next server goes on.
                () = ending.cancelled() => {}
                () = cancelled.cancelled() => {}
                () = work.run(place) => {}
            }
        });
        Ok(Awaited { images: Arc::clone(self), key, unwanted, progress })
    }

    /// What was written while an image was built, from the beginning on; none if nothing is kept.
    pub(crate) fn log(
        self: &Arc<Self>,
        organization: OrganizationId,
        reference: &ImageReference,
    ) -> BuildLog {
        let key = (organization, reference.clone());
        let transcript = self.under_way().get(&key).and_then(|job| job.transcript.clone());
        match transcript {
            Some(transcript) => BuildLog::live(transcript),
            None => BuildLog::kept(self.logs.path(reference)),
        }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Key, Job>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One image's way here.
struct Work {
    images: Arc<Images>,
    wanted: Wanted,
    transcript: Option<Arc<Transcript>>,
    teller: watch::Sender<Progress>,
}

impl Work {
    async fn run(self, place: Place) {
        let _turn = place.turn().await;
        self.teller.send_replace(Progress::Working);
        let begun = std::time::Instant::now();
        let outcome = match &self.wanted.build {
            Some(build) => self.build(build).await,
            None => self.pull().await,
        };
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let image = &self.wanted.reference;
        let progress = match outcome {
            Ok(prepared) => {
                tracing::info!(%image, took_ms, "an image came");
                Progress::Here(prepared)
            }
            Err(mut reason) => {
                reason.truncate(reason.floor_char_boundary(MAX_REASON_BYTES));
                // The reason may hold what the build wrote, which is its caller's.
                tracing::info!(%image, took_ms, "an image does not come");
                Progress::Failed { reason }
            }
        };
        if let Some(transcript) = &self.transcript {
            // Kept before it is said that the build is over: whoever asks then finds it.
            self.images.logs.keep(&self.wanted.reference, transcript.text()).await;
            transcript.end();
        }
        let key = (self.wanted.organization, self.wanted.reference.clone());
        // Whoever wants it from now on looks for it anew.
        let own = self.teller.subscribe();
        let mut under_way = self.images.under_way();
        if under_way.get(&key).is_some_and(|job| job.progress.same_channel(&own)) {
            under_way.remove(&key);
        }
        drop(under_way);
        self.teller.send_replace(progress);
    }

    async fn build(&self, build: &Arc<Build>) -> Result<PreparedImage, String> {
        let transcript = self.transcript.clone().unwrap_or_else(Transcript::new);
        let order = BuildOrder {
            organization: self.wanted.organization,
            access: self.images.registries.access(self.wanted.organization),
            build: Arc::clone(build),
            reference: self.wanted.reference.clone(),
        };
        self.images.names.settled().await;
        pitlane_fault::point("build.begun");
        let deadline = self.images.deadlines.build;
        let building = self.images.builder.build(order, Arc::clone(&transcript));
        let built = tokio::time::timeout(deadline, building).await;
        pitlane_fault::point("build.ended");
        let reason = match built {
            Ok(Ok(prepared)) => return Ok(prepared),
            Ok(Err(NoBuild::Failed { reason })) => reason,
            Ok(Err(NoBuild::Host { cause })) => {
                let image = &self.wanted.reference;
                tracing::error!(%image, error = %Chain(&*cause), "an image could not be built");
                "the machine could not build its image".to_owned()
            }
            Err(_elapsed) => {
                let reason =
                    format!("its image was not built after {} seconds", deadline.as_secs());
                transcript.write(format!("error: {reason}\n").as_bytes());
                reason
            }
        };
        Err(reason)
    }

    async fn pull(&self) -> Result<PreparedImage, String> {
        // Nobody watches; a full channel drops steps.
        let (progress, _steps) = mpsc::channel(1);
        pitlane_fault::point("pull.begun");
        let deadline = self.images.deadlines.pull;
        let reference = &self.wanted.reference;
        let (registries, whose) = (&self.images.registries, self.wanted.organization);
        let pulling = registries.prepare_image(whose, reference, progress);
        let pulled = tokio::time::timeout(deadline, pulling).await;
        pitlane_fault::point("pull.ended");
        match pulled {
            Ok(Ok(prepared)) => Ok(prepared),
            Ok(Err(error)) => {
                tracing::warn!(image = %reference, error = %Chain(&error), "no image");
                Err(reason(&error))
            }
            Err(_elapsed) => {
                Err(format!("image {reference} was not here after {} seconds", deadline.as_secs()))
            }
        }
    }
}

impl Awaited {
    /// How far it is.
    pub(crate) fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    /// Waits until it is further than it was when it was last looked at; `None` when the server ends.
    pub(crate) async fn next(&mut self) -> Option<Progress> {
        self.progress.changed().await.ok()?;
        Some(self.progress.borrow_and_update().clone())
    }

    /// Waits until it is here or does not come; `None` when the server ends.
    pub(crate) async fn outcome(mut self) -> Option<Result<PreparedImage, String>> {
        let is_over =
            |progress: &Progress| matches!(progress, Progress::Here(_) | Progress::Failed { .. });
        let last = self.progress.wait_for(is_over).await.ok()?.clone();
        match last {
            Progress::Here(image) => Some(Ok(image)),
            Progress::Failed { reason } => Some(Err(reason)),
            Progress::Waiting | Progress::Working => None,
        }
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        let mut under_way = self.images.under_way();
        // There may be a later one of the same name.
        let is_this = |job: &&mut Job| job.progress.same_channel(&self.progress);
        let Some(job) = under_way.get_mut(&self.key).filter(is_this) else { return };
        job.waiting -= 1;
        if job.waiting == 0 {
            if let Some(Job { transcript: Some(transcript), .. }) = under_way.remove(&self.key) {
                transcript.end();
            }
            self.unwanted.cancel();
            tracing::info!(image = %self.key.1, "nobody wants an image any more");
        }
    }
}

impl fmt::Debug for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaited").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What the result of a build is called: by all that went into it, so that equal builds are one.
///
/// The name tells nobody what was built, and nobody who was not told it can find it.
pub(crate) fn name_of_build(
    organization: OrganizationId,
    build: &Build,
) -> Result<ImageReference, ImageReferenceError> {
    let Build { dockerfile, contexts, arguments, target, no_cache } = build;
    let mut hash = Sha256::new();
    let mut add = |text: &[u8]| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    add(&organization.to_bytes());
    add(dockerfile.as_bytes());
    add(&contexts.len().to_le_bytes());
    contexts.iter().for_each(|context| add(context.as_bytes()));
    for (name, value) in arguments {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    add(target.as_deref().unwrap_or_default().as_bytes());
    add(&[u8::from(*no_cache)]);
    let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    ImageReference::own("builds", &digits)
}

/// What a caller may know of why an image is not here.
pub(crate) fn reason(error: &PrepareImageError) -> String {
    match error {
        PrepareImageError::Unknown { .. }
        | PrepareImageError::Refused { .. }
        | PrepareImageError::Full { .. } => error.to_string(),
        PrepareImageError::Host { .. } => "its image could not be prepared".to_owned(),
    }
}
