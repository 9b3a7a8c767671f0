//! `pitlane image`: the images on this machine, by whoever operates it.
//!
//! It works on the image cache itself, whether a server runs or not; servers that run see what changes. Only `build` asks
//! a server.

mod build;

use std::io::Read as _;
use std::process::ExitCode;

use clap::Subcommand;
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pitlane_client::Client;
use pitlane_engine::unpackers_first_id;
use pitlane_image::{
    Alias, Freed, ImageUser, Images, Progress, PullAs, RegistryAccess, StockedImage, UNPACK,
    UnpackCommand, UnpackLimits,
};
use pitlane_model::{ImageReference, RegistryLogin};
use serde::Serialize;
use tokio::sync::mpsc;

use super::wait;
use crate::cli::SettingArguments;
use crate::failure::{Doing as _, Failure};
use crate::output::{Format, Screen, is_terminal_aside, say};
use crate::settings::Settings;
use crate::table::{Column, fit, table};

/// So many of those who need an image are named.
const MOST_USERS: usize = 10;
/// The longest password that is read.
const MAX_PASSWORD: u64 = 64 * 1024;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have a server build an image from a Dockerfile and a folder; a snapshot comes out
    Build(build::Arguments),
    /// Bring an image from its registry, or make one of Pitlane's own
    Pull {
        #[command(flatten)]
        settings: SettingArguments,
        /// Its name, such as python:3.12-slim or registry.example/team/app:1
        #[arg(value_name = "IMAGE")]
        reference: ImageReference,
        /// Who asks the registry; the password is read from standard input
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
    },
    /// List the images on this machine, their sizes, and who needs them
    #[command(visible_alias = "list")]
    Ls {
        #[command(flatten)]
        settings: SettingArguments,
    },
    /// Forget names of images that were pulled, and remove what nothing needs any more
    Rm {
        #[command(flatten)]
        settings: SettingArguments,
        /// Their names
        #[arg(value_name = "IMAGE", required = true)]
        images: Vec<ImageReference>,
        /// Forget names also of images that sandboxes or snapshots need: they stay as long as those do
        #[arg(long)]
        force: bool,
    },
    /// Remove images and layers that neither a name nor a sandbox nor a snapshot needs
    Gc {
        #[command(flatten)]
        settings: SettingArguments,
        /// Tell what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List aliases; or have one name mean another, so that programs need not be changed
    Alias {
        #[command(flatten)]
        settings: SettingArguments,
        /// The name that programs use, such as python:3.12-slim
        #[arg(value_name = "NAME", requires = "meaning")]
        alias: Option<ImageReference>,
        /// What is meant: an image of this machine, such as default, or one in a registry
        #[arg(value_name = "IMAGE")]
        meaning: Option<ImageReference>,
        /// Remove the alias of this name
        #[arg(long, value_name = "NAME", conflicts_with_all = ["alias", "meaning"])]
        remove: Option<ImageReference>,
    },
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Pulled {
    reference: String,
    image: String,
    size_bytes: u64,
    layers: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Removed {
    forgotten: Vec<String>,
    #[serde(flatten)]
    freed: Freed,
}

/// Does what the command says.
pub(crate) fn image(
    command: Command,
    client: impl FnOnce() -> Result<Client, Failure>,
    format: Format,
) -> Result<ExitCode, Failure> {
    match command {
        Command::Build(arguments) => return build::build(&client()?, arguments, format),
        Command::Pull { settings, reference, user } => pull(&settings, &reference, user, format)?,
        Command::Ls { settings } => list(&open(&settings)?, format)?,
        Command::Rm { settings, images, force } => {
            remove(&open(&settings)?, &images, force, format)?;
        }
        Command::Gc { settings, dry_run: true } => {
            let freed = open(&settings)?.collectable().doing("cannot look at images")?;
            format.write(&freed, |freed| format!("would have {}", told(freed)))?;
        }
        Command::Gc { settings, dry_run: false } => {
            let freed = open(&settings)?.collect().doing("cannot remove images")?;
            format.write(&freed, told)?;
        }
        Command::Alias { settings, alias, meaning, remove } => {
            let images = open(&settings)?;
            match (alias, meaning, remove) {
                (Some(alias), Some(target), _) => {
                    images.set_alias(&alias, &target).doing("cannot keep the alias")?;
                    say(&format!("{alias} means {target}"));
                }
                (_, _, Some(alias)) => {
                    if !images.remove_alias(&alias).doing("cannot remove the alias")? {
                        return Err(Failure::new(format!("there is no alias {alias}")));
                    }
                    say(&format!("removed alias {alias}"));
                }
                _ => aliases(&images, format)?,
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn open(settings: &SettingArguments) -> Result<Images, Failure> {
    images(&Settings::read(&settings.0)?)
}

/// The images of the cache that the settings name, with a way to bring more.
pub(crate) fn images(settings: &Settings) -> Result<Images, Failure> {
    let access = RegistryAccess {
        rules: settings.registries.clone(),
        unpacker: UnpackCommand {
            program: std::env::current_exe().doing("cannot find this program's own file")?,
            arguments: vec![UNPACK.into()],
            first_id: unpackers_first_id(settings.first_id),
        },
        limits: UnpackLimits::STANDARD,
    };
    Ok(Images::new(settings.image_cache.clone()).with_registries(access))
}

fn pull(
    settings: &SettingArguments,
    image: &ImageReference,
    user: Option<String>,
    format: Format,
) -> Result<(), Failure> {
    let images = open(settings)?;
    let meant = images.meant(image);
    let login = user.map(|user| login(user, &meant)).transpose()?;
    let (progress, steps) = mpsc::channel(64);
    // Whatever the operator pulls is for everybody.
    let who = PullAs { login, owner: None };
    let own = meant.local_name().filter(|name| images.can_make(name));
    let (found, rootfs) = wait(async {
        let work = async {
            match own {
                Some(name) => {
                    let rootfs = images.prepare(&name, progress).await;
                    rootfs.map(|rootfs| (name, rootfs)).map_err(anyhow::Error::new)
                }
                None => images.pull(&meant, who, progress).await.map_err(anyhow::Error::new),
            }
        };
        let (pulled, ()) = tokio::join!(work, show(steps));
        Ok(pulled?)
    })?;
    let pulled = Pulled {
        reference: image.to_string(),
        image: found.to_string(),
        size_bytes: rootfs.size_bytes,
        layers: rootfs.layers.len(),
    };
    format.write(&pulled, |pulled| format!("{}\n", pulled.image))
}

/// What is said to the registry of an image.
fn login(user: String, image: &ImageReference) -> Result<RegistryLogin, Failure> {
    let password = password()?;
    let registry = image.in_full().registry().unwrap_or_default().to_owned();
    Ok(RegistryLogin { registry, project: String::new(), user, password })
}

/// The password on standard input.
pub(crate) fn password() -> Result<String, Failure> {
    let mut password = String::new();
    std::io::stdin()
        .take(MAX_PASSWORD)
        .read_to_string(&mut password)
        .doing("cannot read the password")?;
    let password = password.trim_end_matches(['\r', '\n']).to_owned();
    if password.is_empty() {
        return Err(Failure::new("there is no password on standard input"));
    }
    Ok(password)
}

/// Shows how far it is: a bar on a terminal, else a line for each step.
async fn show(mut steps: mpsc::Receiver<Progress>) {
    let bar = ProgressBar::no_length();
    if is_terminal_aside() {
        let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len}");
        bar.set_style(style.unwrap_or_else(|_never| ProgressStyle::default_bar()));
    } else {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let mut last = String::new();
    while let Some(Progress { step, done, total }) = steps.recv().await {
        bar.set_length(total);
        bar.set_position(done);
        if step != last {
            if bar.is_hidden() {
                say(&step);
            }
            bar.set_message(step.clone());
            last = step;
        }
    }
    bar.finish_and_clear();
}

fn list(images: &Images, format: Format) -> Result<(), Failure> {
    const HEADINGS: [&str; 7] = ["NAME", "BUILD", "LAYERS", "SIZE", "OWN", "SHARED", "USED"];
    let stock = images.stock();
    format.write(&stock, |stock| {
        let rows: Vec<[String; 7]> = stock.iter().map(row).collect();
        match Screen::of_output() {
            Some(screen) => fit(columns(HEADINGS, &rows), screen),
            None => table(HEADINGS, &rows),
        }
    })
}

fn row(image: &StockedImage) -> [String; 7] {
    let owned = image.owned.iter().map(|name| format!("{} (of {})", name.reference, name.owner));
    let names: Vec<String> = image.references.iter().cloned().chain(owned).collect();
    let name = if names.is_empty() { image.image.clone() } else { names.join(" ") };
    [
        name,
        image.fingerprint.clone(),
        image.layers.to_string(),
        HumanBytes(image.size_bytes).to_string(),
        HumanBytes(image.own_bytes).to_string(),
        HumanBytes(image.shared_bytes).to_string(),
        String::from(if image.is_used { "yes" } else { "no" }),
    ]
}

fn aliases(images: &Images, format: Format) -> Result<(), Failure> {
    const HEADINGS: [&str; 2] = ["NAME", "MEANS"];
    let aliases = images.aliases();
    format.write(&aliases, |aliases| {
        let row = |alias: &Alias| [alias.alias.clone(), alias.target.clone()];
        let rows: Vec<[String; 2]> = aliases.iter().map(row).collect();
        match Screen::of_output() {
            Some(screen) => fit(columns(HEADINGS, &rows), screen),
            None => table(HEADINGS, &rows),
        }
    })
}

fn columns<const N: usize>(headings: [&'static str; N], rows: &[[String; N]]) -> Vec<Column> {
    let cells = |place: usize| rows.iter().filter_map(move |row| row.get(place).cloned());
    let columns = headings.into_iter().enumerate();
    columns.map(|(place, heading)| Column::new(heading, cells(place))).collect()
}

fn remove(
    images: &Images,
    names: &[ImageReference],
    force: bool,
    format: Format,
) -> Result<(), Failure> {
    let mut forgotten = Vec::new();
    for name in names {
        if !force {
            check_unneeded(images, name)?;
        }
        if !images.forget(name).doing("cannot forget a name")? {
            return Err(Failure::new(format!("no image was pulled by the name {name}"))
                .hint("`pitlane image ls` lists them; Pitlane's own images stay"));
        }
        forgotten.push(name.to_string());
    }
    let freed = images.collect().doing("cannot remove images")?;
    format.write(&Removed { forgotten, freed }, |removed| told(&removed.freed))
}

/// Refuses to forget the last name of an image that somebody needs.
fn check_unneeded(images: &Images, name: &ImageReference) -> Result<(), Failure> {
    let full = name.in_full().to_string();
    for image in images.stock() {
        let owned = image.owned.iter().map(|owned| &owned.reference);
        let names: Vec<&String> = image.references.iter().chain(owned).collect();
        let is_last = !names.is_empty() && names.iter().all(|named| **named == full);
        if !is_last || image.users.is_empty() {
            continue;
        }
        let told = |user: &ImageUser| format!("{} ({})", user.name, user.state.display());
        let mut users: Vec<String> = image.users.iter().take(MOST_USERS).map(told).collect();
        if image.users.len() > MOST_USERS {
            users.push(format!("and {} others", image.users.len().saturating_sub(MOST_USERS)));
        }
        let needed = format!("image {name} is needed by {}", users.join(", "));
        return Err(Failure::new(needed)
            .hint("delete those first, or use --force: the image then goes when they do"));
    }
    Ok(())
}

fn told(freed: &Freed) -> String {
    let Freed { images, layers, bytes } = freed;
    format!("removed {images} images and {layers} layers: {} are free\n", HumanBytes(*bytes))
}
