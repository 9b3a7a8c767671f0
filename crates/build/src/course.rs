//! One build under way: which stages are needed, and each of them in turn.

mod copy;
mod run;
mod stage;
mod step;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pitlane_driver::{Cause, Driver, ImageProgress, PreparedImage};
use pitlane_model::{ImageName, ImageReference, Limits};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

use self::stage::Stage;
use crate::context::{Context, cleaned};
use crate::dockerfile::{Action, Dockerfile, Expander, Instruction, SCRATCH, Source, Variables};
use crate::key::Key;
use crate::{BuildError, BuildRequest, BuildSettings, DockerfileError, Log};

/// What a build has to do with.
#[derive(Debug)]
pub(crate) struct Course<'a> {
    pub(crate) driver: &'a Arc<dyn Driver>,
    pub(crate) tasks: &'a TaskTracker,
    pub(crate) settings: &'a BuildSettings,
    pub(crate) dockerfile: &'a Dockerfile,
    pub(crate) request: &'a BuildRequest,
    pub(crate) log: &'a Log,
    pub(crate) limits: Limits,
    expander: Expander,
    /// Arguments before the first stage.
    globals: BTreeMap<String, String>,
    context: Arc<Context>,
    /// The stages that are finished, by their position.
    built: BTreeMap<usize, Built>,
}

/// What a stage has become.
#[derive(Debug, Clone)]
pub(crate) struct Built {
    pub(crate) image: PreparedImage,
    pub(crate) key: Key,
    pub(crate) shell: Vec<String>,
}

/// Arguments that every build knows: what it is built on, and for.
fn platform_arguments() -> [(&'static str, String); 8] {
    let (system, machine) = ("linux", machine());
    let platform = format!("{system}/{machine}");
    [
        ("TARGETPLATFORM", platform.clone()),
        ("TARGETOS", system.to_owned()),
        ("TARGETARCH", machine.to_owned()),
        ("TARGETVARIANT", String::new()),
        ("BUILDPLATFORM", platform),
        ("BUILDOS", system.to_owned()),
        ("BUILDARCH", machine.to_owned()),
        ("BUILDVARIANT", String::new()),
    ]
}

/// This machine as names of images have it.
fn machine() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

impl<'a> Course<'a> {
    pub(crate) fn new(
        (driver, tasks, settings): (&'a Arc<dyn Driver>, &'a TaskTracker, &'a BuildSettings),
        (dockerfile, request, log): (&'a Dockerfile, &'a BuildRequest, &'a Log),
    ) -> Result<Self, BuildError> {
        let mut course = Self {
            driver,
            tasks,
            settings,
            dockerfile,
            request,
            log,
            limits: largest(request.limits, settings.limits.resources),
            expander: Expander::new(dockerfile.escape),
            globals: platform_arguments()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            context: Arc::default(),
            built: BTreeMap::new(),
        };
        for instruction in &dockerfile.arguments {
            let Action::Arg(pairs) = &instruction.action else { continue };
            for (name, otherwise) in pairs {
                let given = request.arguments.get(name).cloned();
                let value = match (given, otherwise) {
                    (Some(given), _) => Some(given),
                    (None, Some(word)) => {
                        let globals = |name: &str| course.globals.get(name).cloned();
                        Some(course.expand(word, &globals, instruction.line)?)
                    }
                    (None, None) => None,
                };
                if let Some(value) = value {
                    course.globals.insert(name.clone(), value);
                }
            }
        }
        Ok(course)
    }

    fn expand(
        &self,
        word: &str,
        variables: &impl Variables,
        line: usize,
    ) -> Result<String, DockerfileError> {
        self.expander.word(word, variables).map_err(|reason| DockerfileError::new(line, reason))
    }

    /// Builds the stage at this position, and those that it needs.
    pub(crate) async fn go(&mut self, target: usize) -> Result<Built, BuildError> {
        let needed = self.needed(target)?;
        self.read_context(&needed).await?;
        for number in needed {
            let built = Box::pin(Stage::build(self, number)).await?;
            self.built.insert(number, built);
        }
        self.built.remove(&target).ok_or(BuildError::Host {
            action: "find a stage that was built",
            cause: Cause::from("it was not built"),
        })
    }

    /// The image that a stage begins with, in words.
    fn base(&self, number: usize) -> Result<String, DockerfileError> {
        let Some(stage) = self.dockerfile.stages.get(number) else { return Ok(String::new()) };
        let globals = |name: &str| self.globals.get(name).cloned();
        let image = self.expand(&stage.from.image, &globals, stage.line)?;
        match image.is_empty() {
            true => Err(DockerfileError::new(stage.line, "FROM names no image")),
            false => Ok(image),
        }
    }

    /// The stages that are needed for one, that one included, in their order.
    fn needed(&self, target: usize) -> Result<BTreeSet<usize>, DockerfileError> {
        let (mut needed, mut open) = (BTreeSet::new(), vec![target]);
        while let Some(number) = open.pop() {
            if !needed.insert(number) {
                continue;
            }
            open.extend(self.dockerfile.stage_named_before(&self.base(number)?, number));
            let Some(stage) = self.dockerfile.stages.get(number) else { continue };
            for instruction in &stage.instructions {
                let names = sources_of(instruction);
                open.extend(names.filter_map(|name| self.dockerfile.stage_before(name, number)));
            }
        }
        Ok(needed)
    }

    /// Reads the archives, if something is copied from them.
    async fn read_context(&mut self, needed: &BTreeSet<usize>) -> Result<(), BuildError> {
        let stages = needed.iter().filter_map(|number| self.dockerfile.stages.get(*number));
        let instructions = stages.flat_map(|stage| &stage.instructions);
        let (mut is_needed, mut above) = (false, Vec::new());
        for instruction in instructions {
            match &instruction.action {
                Action::Copy(copy) if copy.flags.from.is_none() => {
                    for source in &copy.sources {
                        let Source::Path(path) = source else { continue };
                        is_needed = true;
                        let path = cleaned(path.trim_matches(['"', '\'']), true);
                        if path.starts_with("..") {
                            above.push(path);
                        }
                    }
                }
                Action::Run(run) => {
                    let shown = run.mounts.iter().filter_map(|mount| mount.shows.as_ref());
                    is_needed |= shown.into_iter().any(|shows| shows.from.is_none());
                }
                _ => {}
            }
        }
        if !is_needed {
            return Ok(());
        }
        let archives = self.request.contexts.clone();
        let read = tokio::task::spawn_blocking(move || Context::read(&archives, &above));
        let context = read.await.map_err(|cause| BuildError::Host {
            action: "read the build context",
            cause: cause.into(),
        })??;
        self.context = Arc::new(context);
        Ok(())
    }

    pub(crate) fn context(&self) -> Arc<Context> {
        Arc::clone(&self.context)
    }

    /// The image of a name that an instruction gives: an earlier stage's, or one from elsewhere.
    pub(crate) async fn image_named(
        &self,
        name: &str,
        before: usize,
        line: usize,
    ) -> Result<Built, BuildError> {
        if let Some(number) = self.dockerfile.stage_before(name, before) {
            let built = self.built.get(&number).cloned();
            return built.ok_or_else(|| {
                DockerfileError::new(line, format!("stage {name} was not built")).into()
            });
        }
        self.image(name, line).await
    }

    /// An image from elsewhere.
    pub(crate) async fn image(&self, name: &str, line: usize) -> Result<Built, BuildError> {
        let owner = self.request.access.owner;
        if name == SCRATCH {
            let image = PreparedImage {
                image: ImageName::scratch(),
                size_bytes: 0,
                config: pitlane_model::ImageConfig::default(),
            };
            let key = Key::of_image(owner, &image);
            return Ok(Built { image, key, shell: default_shell() });
        }
        let wrong = |reason: String| BuildError::from(DockerfileError::new(line, reason));
        let reference: ImageReference =
            name.parse().map_err(|error| wrong(format!("{name:?} names no image: {error}")))?;
        if reference.is_own() {
            return Err(wrong(format!("{name:?} is a name of this machine's own")));
        }
        let (progress, steps) = mpsc::channel(16);
        let preparing = self.driver.prepare_image_for(&self.request.access, &reference, progress);
        let (prepared, ()) = tokio::join!(preparing, self.tell_progress(steps));
        let image =
            prepared.map_err(|cause| BuildError::Image { line, image: name.to_owned(), cause })?;
        let key = Key::of_image(owner, &image);
        Ok(Built { image, key, shell: default_shell() })
    }

    /// Says what is being done, each thing once.
    async fn tell_progress(&self, mut steps: mpsc::Receiver<ImageProgress>) {
        let mut last = String::new();
        while let Some(ImageProgress { step, .. }) = steps.recv().await {
            if step != last {
                self.log.line(format_args!("  {step}"));
                last = step;
            }
        }
    }
}

impl Dockerfile {
    /// The position of a stage by its name alone: an image may be called like a number.
    pub(crate) fn stage_named_before(&self, name: &str, before: usize) -> Option<usize> {
        let earlier = self.stages.get(..before)?;
        let name = name.to_ascii_lowercase();
        earlier.iter().position(|stage| stage.from.name.as_ref() == Some(&name))
    }
}

/// What an instruction takes files from.
fn sources_of(instruction: &Instruction) -> impl Iterator<Item = &str> {
    let (copied, mounts) = match &instruction.action {
        Action::Copy(copy) => (copy.flags.from.as_deref(), &[] as &[_]),
        Action::Run(run) => (None, run.mounts.as_slice()),
        _ => (None, &[] as &[_]),
    };
    let mounted = mounts.iter().filter_map(|mount| mount.shows.as_ref()?.from.as_deref());
    copied.into_iter().chain(mounted)
}

/// What reads commands if nobody says otherwise.
fn default_shell() -> Vec<String> {
    vec![String::from("/bin/sh"), String::from("-c")]
}

/// Each limit as large as the larger of two.
fn largest(one: Limits, other: Limits) -> Limits {
    Limits::new(
        one.cpu_count().max(other.cpu_count()),
        one.memory_gib().max(other.memory_gib()),
        one.disk_gib().max(other.disk_gib()),
        one.process_count().max(other.process_count()),
    )
    // No limit is less than one that was legal.
    .unwrap_or(one)
}
