//! `RUN`.

use std::collections::VecDeque;

use bytes::Bytes;
use pitlane_wire::build::{Packing, Placement, RunStep};

use super::Built;
use super::copy::Wanted;
use super::stage::Stage;
use crate::BuildError;
use crate::context::Selection;
use crate::conversation::{Daemon, Hidden, MAX_HIDDEN, Refused};
use crate::dockerfile::{Command, Instruction, Run, Shows, split_words};
use crate::key::KeyMaker;
use crate::workbench::Workbench;

/// How much of the end of an output a failure repeats.
const TAIL_BYTES: usize = 4 << 10;
const TAIL_LINES: usize = 20;

/// A mount that is about to be shown.
struct Prepared {
    target: String,
    shown: Shown,
}

enum Shown {
    Nothing,
    Context(Selection),
    Image { of: Box<Built>, source: String },
}

/// A mount that is shown.
struct Mounted {
    target: String,
    hidden: Hidden,
}

/// The end of an output.
#[derive(Debug, Default)]
struct Tail(VecDeque<u8>);

impl Stage<'_> {
    pub(super) async fn run(
        &mut self,
        instruction: &Instruction,
        run: &Run,
    ) -> Result<(), BuildError> {
        let (arguments, script) = self.command(run);
        let mut key = self.step_key("run");
        key.add_all(arguments.iter());
        key.add(script.as_deref().unwrap_or_default());
        let environment = self.environment();
        key.add_all(environment.keys());
        key.add_all(environment.values());
        key.add(self.work_dir());
        key.add(self.user());
        key.add([u8::from(run.has_network)]);
        let mut mounts = Vec::new();
        for mount in &run.mounts {
            let target = self.expanded(&mount.target, instruction.line)?;
            let target = self.absolute(&target);
            key.add(&target);
            let shown = match &mount.shows {
                None => Shown::Nothing,
                Some(shows) => self.shown(instruction, shows, &mut key).await?,
            };
            mounts.push(Prepared { target, shown });
        }
        let key = key.finish();
        if self.take_cached(&key).await {
            return Ok(());
        }
        let step = RunStep {
            arguments,
            script,
            environment: self.whole_environment(),
            folder: self.work_dir().to_owned(),
            user: self.user(),
        };
        let bench = self.bench(Some(instruction), run.has_network).await?;
        self.run_on(instruction, &bench, &step, mounts).await?;
        self.keep(Some(instruction), key, bench).await
    }

    async fn run_on(
        &self,
        instruction: &Instruction,
        bench: &Workbench,
        step: &RunStep,
        mounts: Vec<Prepared>,
    ) -> Result<(), BuildError> {
        let daemon = bench.daemon();
        let refused = |refused| self.failed(Some(instruction), refused);
        let (mut mounted, mut room) = (Vec::new(), MAX_HIDDEN);
        for mount in mounts {
            let done = self.mount(instruction, daemon, (mount, room)).await?;
            room = room.saturating_sub(done.hidden.bytes());
            mounted.push(done);
        }
        let mut tail = Tail::default();
        let log = self.course.log;
        let ran = daemon.run(step, |bytes: Bytes| {
            tail.add(&bytes);
            log.write(bytes);
        });
        let exit_code = ran.await.map_err(refused)?;
        if exit_code != 0 {
            return Err(BuildError::Command {
                line: instruction.line,
                instruction: instruction.text.clone(),
                exit_code,
                tail: tail.text(),
            });
        }
        // Last in, first out: one may lie in another.
        while let Some(Mounted { target, hidden }) = mounted.pop() {
            daemon.clear(&target, true).await.map_err(refused)?;
            daemon.reveal(&target, hidden).await.map_err(refused)?;
        }
        Ok(())
    }

    /// What a mount shows; its name goes into the step's.
    async fn shown(
        &self,
        instruction: &Instruction,
        shows: &Shows,
        key: &mut KeyMaker,
    ) -> Result<Shown, BuildError> {
        let source = self.expanded(&shows.source, instruction.line)?;
        match &shows.from {
            Some(from) => {
                let of = self.course.image_named(from, self.number, instruction.line).await?;
                key.add(of.key.bytes());
                key.add(&source);
                Ok(Shown::Image { of: Box::new(of), source })
            }
            None => {
                let wanted = Wanted { paths: vec![source], ..Wanted::default() };
                let (selection, digest) = self.select(instruction, wanted).await?;
                key.add(digest);
                Ok(Shown::Context(selection))
            }
        }
    }

    /// Takes what is at a mount's target out of the way, for which there is so much room, and puts there what is shown.
    async fn mount(
        &self,
        instruction: &Instruction,
        daemon: Daemon<'_>,
        (mount, room): (Prepared, usize),
    ) -> Result<Mounted, BuildError> {
        let refused = |refused| self.failed(Some(instruction), refused);
        let Prepared { target, shown } = mount;
        if target == "/" {
            let reason = String::from("a mount cannot hide the root");
            return Err(refused(Refused::Said(reason)));
        }
        let hidden = daemon.hide(&target, room).await.map_err(refused)?;
        daemon.clear(&target, true).await.map_err(refused)?;
        let place = |is_folder| Placement {
            destination: target.clone(),
            is_folder,
            owner: None,
            mode: None,
            unpacks: false,
        };
        match shown {
            Shown::Nothing => daemon.clear(&target, false).await.map_err(refused)?,
            Shown::Context(selection) => {
                let placement = place(selection.is_folder);
                daemon.place(&placement, selection).await.map_err(refused)?;
            }
            Shown::Image { of, source } => {
                let theirs = self.new_bench(&of.image, false).await?;
                let sources = vec![source];
                let packing = Packing { sources, exclude: Vec::new(), may_be_missing: false };
                let parcel = theirs.daemon().pack(&packing).await.map_err(refused)?;
                let placement = place(parcel.packed.is_folder);
                daemon.place_parcel(&placement, parcel).await.map_err(refused)?;
            }
        }
        Ok(Mounted { target, hidden })
    }

    /// The program and its arguments, or a text that is executed itself.
    fn command(&self, run: &Run) -> (Vec<String>, Option<String>) {
        let text = match &run.command {
            Command::Exec(words) => return (words.clone(), None),
            Command::Shell(text) => text,
        };
        let in_shell = |text: String| self.shell.iter().cloned().chain([text]).collect();
        let is_alone = split_words(text, self.course.dockerfile.escape).len() == 1;
        match run.here_documents.as_slice() {
            [] => (in_shell(text.clone()), None),
            [document] if is_alone => {
                let content = document.text();
                match content.starts_with("#!") {
                    true => (Vec::new(), Some(content)),
                    false => (in_shell(content), None),
                }
            }
            documents => {
                let mut whole = format!("{text}\n");
                for document in documents {
                    whole.push_str(&document.content);
                    whole.push_str(&document.name);
                    whole.push('\n');
                }
                (in_shell(whole), None)
            }
        }
    }
}

impl Tail {
    fn add(&mut self, bytes: &[u8]) {
        let from = bytes.len().saturating_sub(TAIL_BYTES);
        self.0.extend(bytes.get(from..).unwrap_or_default());
        let surplus = self.0.len().saturating_sub(TAIL_BYTES);
        self.0.drain(..surplus);
    }

    fn text(&self) -> String {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.trim_end().lines().collect();
        let from = lines.len().saturating_sub(TAIL_LINES);
        lines.get(from..).unwrap_or_default().join("\n")
    }
}
