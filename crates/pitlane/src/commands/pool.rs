//! `pitlane pool`.

use std::process::ExitCode;

use clap::Subcommand;
use pitlane_client::Client;
use pitlane_wire::control::{CreateWarmPool, WarmPool};

use super::completion::pool_names;
use super::one_by_one::one_by_one;
use super::wait;
use crate::failure::Failure;
use crate::output::{Format, Screen};
use crate::table::{Column, fit, table};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Have sandboxes of a snapshot wait, so that creating one takes a millisecond
    Create {
        /// The snapshot, by name or id
        snapshot: String,
        /// How many sandboxes wait; each takes about 1 MiB of memory
        #[arg(value_name = "NUMBER")]
        size: u32,
        /// Region of the sandboxes that take from it [default: the server's]
        #[arg(long)]
        target: Option<String>,
    },
    /// List pools, how many sandboxes wait in each, and why if there are too few
    #[command(visible_alias = "list")]
    Ls,
    /// Have another number of sandboxes wait; 0 keeps the pool and lets none wait
    Set {
        /// The pool, by its id or by its snapshot's name
        #[arg(add = pool_names())]
        pool: String,
        /// How many sandboxes wait
        #[arg(value_name = "NUMBER")]
        size: u32,
    },
    /// Remove pools and free what waits in them; sandboxes that came from them stay
    #[command(visible_alias = "delete")]
    Rm {
        /// The pools, by their ids or by their snapshots' names
        #[arg(value_name = "POOL", required = true, add = pool_names())]
        pools: Vec<String>,
    },
}

/// Does what the command says.
pub(crate) fn pool(client: &Client, command: Command, format: Format) -> Result<ExitCode, Failure> {
    match command {
        Command::Create { snapshot, size, target } => {
            let wish = CreateWarmPool { snapshot, pool: size, target };
            let pool = wait(async { Ok(client.create_warm_pool(&wish).await?) })?;
            format.write(&pool, |pool| format!("{}\n", pool.id))?;
        }
        Command::Ls => {
            let pools = wait(async { Ok(client.warm_pools().await?) })?;
            format.write(&pools, |pools| match Screen::of_output() {
                Some(screen) => on_screen(pools, screen),
                None => text(pools),
            })?;
        }
        Command::Set { pool, size } => {
            let pool = wait(async {
                let id = find(&client.warm_pools().await?, &pool)?;
                Ok(client.resize_warm_pool(&id, size).await?)
            })?;
            format.write(&pool, |pool| format!("{}\n", pool.id))?;
        }
        Command::Rm { pools } => {
            return wait(async {
                let known = client.warm_pools().await?;
                let remove = async |name: &str| {
                    let id = find(&known, name)?;
                    client.delete_warm_pool(&id).await?;
                    Ok(id)
                };
                one_by_one(&pools, format, "deleted", remove).await
            });
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The id of a pool that is called by its id, or by a snapshot that has one pool.
fn find(pools: &[WarmPool], called: &str) -> Result<String, Failure> {
    if let Some(pool) = pools.iter().find(|pool| pool.id == called) {
        return Ok(pool.id.clone());
    }
    let mut alike = pools.iter().filter(|pool| pool.snapshot == called);
    match (alike.next(), alike.next()) {
        (Some(pool), None) => Ok(pool.id.clone()),
        (None, _) => Err(Failure::new(format!("there is no warm pool {called:?}"))
            .hint("pitlane pool ls shows those there are")),
        (Some(_), Some(_)) => {
            Err(Failure::new(format!("there is more than one warm pool of {called:?}"))
                .hint("pitlane pool ls shows their ids"))
        }
    }
}

/// For programs and files: the same columns for ever.
fn text(pools: &[WarmPool]) -> String {
    let rows: Vec<_> = pools
        .iter()
        .map(|pool| {
            [
                pool.id.clone(),
                pool.snapshot.clone(),
                pool.target.clone(),
                pool.current_size.to_string(),
                pool.pool.to_string(),
                pool.error_reason.clone().unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    table(["ID", "SNAPSHOT", "TARGET", "READY", "WANTED", "TROUBLE"], &rows)
}

/// For a person in front of a terminal.
fn on_screen(pools: &[WarmPool], screen: Screen) -> String {
    let column =
        |heading, cell: &dyn Fn(&WarmPool) -> String| Column::new(heading, pools.iter().map(cell));
    let columns = vec![
        column("SNAPSHOT", &|pool| pool.snapshot.clone()).cut(),
        column("READY", &|pool| format!("{} of {}", pool.current_size, pool.pool)),
        column("TROUBLE", &|pool| pool.error_reason.clone().unwrap_or_else(|| "-".to_owned()))
            .rank(1),
        column("TARGET", &|pool| pool.target.clone()).rank(3),
        column("ID", &|pool| pool.id.clone()).rank(2),
    ];
    fit(columns, screen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(id: &str, snapshot: &str, trouble: Option<&str>) -> WarmPool {
        WarmPool {
            id: id.into(),
            organization_id: "o".into(),
            snapshot: snapshot.into(),
            target: "local".into(),
            pool: 5,
            current_size: 3,
            cpu: 1,
            mem: 1,
            disk: 3,
            os_user: "daytona".into(),
            env: Default::default(),
            error_reason: trouble.map(str::to_owned),
            created_at: "2026-11-20T05:00:00.000Z".into(),
            updated_at: "2026-11-20T05:00:00.000Z".into(),
        }
    }

    #[test]
    fn a_pool_is_called_by_its_id_or_its_snapshot_if_that_has_one() {
        let pools = [pool("1", "a", None), pool("2", "b", None), pool("3", "b", None)];
        assert_eq!(find(&pools, "3").unwrap(), "3");
        assert_eq!(find(&pools, "a").unwrap(), "1");
        for (name, wanted) in [
            ("b", "error: there is more than one warm pool of \"b\""),
            ("c", "error: there is no warm pool \"c\""),
        ] {
            let said = find(&pools, name).unwrap_err().to_string();
            assert_eq!(said.lines().next(), Some(wanted));
        }
    }

    #[test]
    fn a_list_of_pools_says_what_is_in_the_way() {
        let pools = [pool("1", "default", None), pool("2", "ci", Some("snapshot ci is inactive"))];
        let wanted = "ID  SNAPSHOT  TARGET  READY  WANTED  TROUBLE\n\
                      1   default   local   3      5       -\n\
                      2   ci        local   3      5       snapshot ci is inactive\n";
        assert_eq!(text(&pools), wanted);
        let shown = on_screen(&pools, Screen { width: 60, has_colours: false });
        assert!(shown.contains("3 of 5") && shown.contains("inactive"), "{shown}");
    }
}
