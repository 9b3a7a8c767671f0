//! `pitlane key`.

use std::process::ExitCode;

use clap::Subcommand;
use jiff::{SignedDuration, Timestamp};
use pitlane_client::Client;
use pitlane_wire::control::{ApiKeyItem, CreateApiKey, Organization};

use super::completion::key_names;
use super::one_by_one::one_by_one;
use super::sandbox::ago;
use super::wait;
use crate::failure::Failure;
use crate::output::{Format, Screen, say};
use crate::table::{Column, fit, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a key and print it, the only time it can be seen
    Create {
        /// What it is called, unique in the organization
        name: String,
        /// What it may do, such as write:sandboxes or manage:keys; may be given several times
        #[arg(long = "permission", short, value_name = "PERMISSION", default_values = ["write:sandboxes", "delete:sandboxes"])]
        permissions: Vec<String>,
        /// When it stops working: a time such as 2027-01-31T00:00:00Z, or how long it works, such as 12h or 30d [default: never]
        #[arg(long, value_name = "TIME", value_parser = expiry)]
        expires: Option<String>,
        /// Whose it is, if you are an operator [default: the organization of your key]
        #[arg(long, value_name = "NAME_OR_ID")]
        organization: Option<String>,
    },
    /// List keys, which cannot be seen again
    #[command(visible_alias = "list")]
    Ls,
    /// Revoke keys; they stop working at once
    #[command(visible_alias = "revoke")]
    Rm {
        /// What they are called
        #[arg(value_name = "NAME", required = true, add = key_names())]
        names: Vec<String>,
    },
}

/// Does what the command says.
pub(crate) fn key(client: &Client, command: Command, format: Format) -> Result<ExitCode, Failure> {
    match command {
        Command::Create { name, permissions, expires, organization } => {
            let wish = CreateApiKey { name, permissions, expires_at: expires };
            let key = wait(async {
                let Some(organization) = organization else {
                    return Ok(client.create_key(&wish).await?);
                };
                let organization = find(client, &organization).await?;
                Ok(client.acting_for(&organization).create_key(&wish).await?)
            })?;
            format.write(&key, |key| format!("{}\n", key.value))?;
            if format == Format::Human {
                say("keep it: it cannot be shown again");
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Ls => {
            let keys = wait(async { Ok(client.keys().await?) })?;
            format.write(&keys, |keys| match Screen::of_output() {
                Some(screen) => on_screen(keys, screen, Timestamp::now()),
                None => text(keys),
            })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Rm { names } => {
            let revoke = async |name: &str| {
                client.revoke_key(name).await?;
                Ok(name.to_owned())
            };
            wait(one_by_one(&names, format, "revoked", revoke))
        }
    }
}

/// The organization of this id, else of this name, among those that the caller may know of.
async fn find(client: &Client, name_or_id: &str) -> Result<Organization, Failure> {
    let all = client.organizations().await?;
    let found = all.iter().find(|one| one.id == name_or_id);
    let found = found.or_else(|| all.iter().find(|one| one.name == name_or_id));
    found.cloned().ok_or_else(|| {
        Failure::new(format!("there is no organization {name_or_id:?}"))
            .hint("a key without manage:organizations knows its own organization alone")
    })
}

/// A point in time, said as one or as the time until then.
fn expiry(text: &str) -> Result<String, String> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(format!("{time:.3}"));
    }
    let seconds_of = |unit| match unit {
        'm' => Some(60),
        'h' => Some(3600),
        'd' => Some(86_400),
        _ => None,
    };
    let said = text.char_indices().next_back().and_then(|(end, unit)| {
        let number: i64 = text[..end].parse().ok().filter(|number| *number > 0)?;
        number.checked_mul(seconds_of(unit)?)
    });
    let time = said
        .and_then(|seconds| Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).ok());
    time.map(|time| format!("{time:.3}")).ok_or_else(|| {
        "it is a time such as 2027-01-31T00:00:00Z, or such as 12h or 30d".to_owned()
    })
}

fn given(time: Option<&String>) -> String {
    time.cloned().unwrap_or_else(|| "-".to_owned())
}

/// For programs and files: the same columns for ever.
fn text(keys: &[ApiKeyItem]) -> String {
    let rows: Vec<_> = keys
        .iter()
        .map(|key| {
            [
                key.name.clone(),
                key.value.clone(),
                key.created_at.clone(),
                given(key.expires_at.as_ref()),
                key.permissions.join(", "),
            ]
        })
        .collect();
    table(["NAME", "KEY", "CREATED", "EXPIRES", "PERMISSIONS"], &rows)
}

/// For a person in front of a terminal.
fn on_screen(keys: &[ApiKeyItem], screen: Screen, now: Timestamp) -> String {
    let column =
        |heading, cell: &dyn Fn(&ApiKeyItem) -> String| Column::new(heading, keys.iter().map(cell));
    let past = |time: Option<&String>| time.map_or_else(|| "-".to_owned(), |time| ago(time, now));
    let expires = |key: &ApiKeyItem| match key.expires_at.as_deref() {
        None => "never".to_owned(),
        Some(time) => match time.parse::<Timestamp>() {
            Ok(end) if end <= now => format!("expired {}", ago(time, now)),
            Ok(end) => {
                format!("in {}", super::sandbox::roughly(end.as_second() - now.as_second()))
            }
            Err(_) => time.to_owned(),
        },
    };
    let columns = vec![
        column("NAME", &|key| key.name.clone()).cut(),
        column("KEY", &|key| key.value.clone()).rank(2),
        column("EXPIRES", &expires).rank(1),
        column("USED", &|key| past(key.last_used_at.as_ref())).rank(3),
        column("CREATED", &|key| past(Some(&key.created_at))).rank(4),
        column("PERMISSIONS", &|key| key.permissions.join(", ")).rank(5),
    ];
    fit(columns, screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expiry_is_a_time_or_how_long_it_takes() {
        assert_eq!(expiry("2027-01-31T01:00:00+01:00").unwrap(), "2027-01-31T00:00:00.000Z");
        let day: Timestamp = expiry("1d").unwrap().parse().unwrap();
        let seconds = day.as_second() - Timestamp::now().as_second();
        assert!((86_390..=86_400).contains(&seconds), "{seconds}");
        for text in ["", "d", "0d", "-1d", "1y", "tomorrow", "99999999999999d", "1ä"] {
            assert!(expiry(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_list_of_keys_fits_on_a_terminal() {
        let key = |name: &str, expires: Option<&str>| ApiKeyItem {
            name: name.into(),
            value: "dtn_a…z".into(),
            created_at: "2026-11-20T05:00:00.000Z".into(),
            permissions: vec!["write:sandboxes".into(), "delete:sandboxes".into()],
            last_used_at: None,
            expires_at: expires.map(str::to_owned),
            user_id: "u".into(),
            organization_id: None,
        };
        let keys = [
            key("admin", None),
            key("ci", Some("2026-11-21T09:30:00.000Z")),
            key("old", Some("2026-11-21T04:00:00.000Z")),
        ];
        let now = "2026-11-21T05:00:00Z".parse().unwrap();
        for width in [60, 100] {
            let shown = on_screen(&keys, Screen { width, has_colours: false }, now);
            insta::assert_snapshot!(format!("keys-{width}"), shown);
        }
    }
}
