//! `pitlane key`.

use std::process::ExitCode;

use clap::Subcommand;
use pitlane_client::Client;
use pitlane_wire::control::{ApiKeyItem, CreateApiKey};
use serde::Serialize;

use super::wait;
use crate::failure::Failure;
use crate::output::{Format, say};
use crate::table::table;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a key and print it, the only time it can be seen
    Create {
        /// What it is called, unique in the organization
        name: String,
        /// What it may do; may be given several times
        #[arg(long = "permission", short, value_name = "PERMISSION", default_values = ["write:sandboxes", "delete:sandboxes"])]
        permissions: Vec<String>,
        /// When it stops working, such as 2027-01-31T00:00:00Z [default: never]
        #[arg(long, value_name = "TIME")]
        expires: Option<String>,
    },
    /// List keys, which cannot be seen again
    #[command(visible_alias = "list")]
    Ls,
    /// Revoke a key; it stops working at once
    #[command(visible_alias = "revoke")]
    Rm {
        /// What it is called
        name: String,
    },
}

#[derive(Serialize)]
struct Revoked {
    revoked: String,
}

/// Does what the command says.
pub(crate) fn key(client: &Client, command: Command, format: Format) -> Result<ExitCode, Failure> {
    match command {
        Command::Create { name, permissions, expires } => {
            let wish = CreateApiKey { name, permissions, expires_at: expires };
            let key = wait(async { Ok(client.create_key(&wish).await?) })?;
            format.write(&key, |key| format!("{}\n", key.value))?;
            if format == Format::Human {
                say("keep it: it cannot be shown again");
            }
        }
        Command::Ls => {
            let keys = wait(async { Ok(client.keys().await?) })?;
            format.write(&keys, |keys| text(keys))?;
        }
        Command::Rm { name } => {
            wait(async { Ok(client.revoke_key(&name).await?) })?;
            format.write(&Revoked { revoked: name }, |gone| format!("{}\n", gone.revoked))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn text(keys: &[ApiKeyItem]) -> String {
    let never = |time: &Option<String>| time.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            let permissions = key.permissions.join(", ");
            [
                key.name.clone(),
                key.value.clone(),
                key.created_at.clone(),
                never(&key.expires_at),
                permissions,
            ]
        })
        .collect();
    table(["NAME", "KEY", "CREATED", "EXPIRES", "PERMISSIONS"], &rows)
}
