//! `pitlane sandbox set`.

use std::process::ExitCode;

use pitlane_client::{Client, Interval};

use super::each::each_of;
use super::find::find;
use super::when::{after_stop, minutes};
use crate::cli::pair;
use crate::commands::completion::sandbox_names;
use crate::commands::execution::Interruption;
use crate::commands::wait;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Ids, beginnings of ids, or names
    #[arg(value_name = "SANDBOX", required = true, add = sandbox_names())]
    sandboxes: Vec<String>,
    /// Label to give it, others are kept; may be given several times
    #[arg(long, short, value_name = "NAME=VALUE", value_parser = pair)]
    label: Vec<(String, String)>,
    /// Name of a label to take away; may be given several times
    #[arg(long, value_name = "NAME")]
    remove_label: Vec<String>,
    /// Time without use after which it stops, such as 30m, 2h, 1d or never
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    auto_stop: Option<i64>,
    /// Time after its stop until it is archived
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    auto_archive: Option<i64>,
    /// Time after its stop until it is deleted; 0 deletes it when it stops
    #[arg(long, value_name = "TIME", value_parser = after_stop, allow_hyphen_values = true)]
    auto_delete: Option<i64>,
    /// Time from now until it is deleted, whatever happens
    #[arg(long, value_name = "TIME", value_parser = minutes)]
    ttl: Option<i64>,
    /// Open its previews to anyone
    #[arg(long, conflicts_with = "private")]
    public: bool,
    /// Close its previews to those without a token
    #[arg(long)]
    private: bool,
}

/// Changes sandboxes; prints their ids.
pub(super) fn set(
    client: &Client,
    arguments: &Arguments,
    format: Format,
) -> Result<ExitCode, Failure> {
    if !arguments.changes_something() {
        return Err(Failure::new("nothing to change")
            .hint("such as --auto-stop 30m or --label team=a")
            .exit(Exit::Usage));
    }
    wait(async {
        let mut interruption = Interruption::watch()?;
        let sandboxes = &arguments.sandboxes;
        each_of(sandboxes, &mut interruption, format, "changed", async |sandbox| {
            change(client, arguments, sandbox).await
        })
        .await
    })
}

impl Arguments {
    fn intervals(&self) -> impl Iterator<Item = (Interval, i64)> {
        [
            (Interval::Stop, self.auto_stop),
            (Interval::Archive, self.auto_archive),
            (Interval::Delete, self.auto_delete),
            (Interval::Life, self.ttl),
        ]
        .into_iter()
        .filter_map(|(interval, minutes)| Some((interval, minutes?)))
    }

    fn changes_something(&self) -> bool {
        self.intervals().next().is_some()
            || !self.label.is_empty()
            || !self.remove_label.is_empty()
            || self.public
            || self.private
    }
}

async fn change(client: &Client, wish: &Arguments, sandbox: &str) -> Result<String, Failure> {
    let found = find(client, sandbox).await?;
    let id = found.core.id;
    if !wish.label.is_empty() || !wish.remove_label.is_empty() {
        let mut labels = found.core.labels;
        labels.retain(|name, _| !wish.remove_label.contains(name));
        labels.extend(wish.label.iter().cloned());
        client.set_labels(&id, labels).await?;
    }
    for (interval, minutes) in wish.intervals() {
        client.set_interval(&id, interval, minutes).await?;
    }
    if wish.public || wish.private {
        client.set_public(&id, wish.public).await?;
    }
    Ok(id)
}
