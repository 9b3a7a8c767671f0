//! `pitlane doctor`: what this machine can and cannot do, each line with the fix.
//!
//! Nothing is believed because a file or a version says so: every check does the thing once, the way the engine does
//! it, in processes, namespaces and folders that are gone afterwards. It may run beside a server.

mod check;
mod counts;
mod host;
mod isolation;
mod limits;
mod network;
mod product;
mod report;
mod storage;

use std::path::PathBuf;
use std::process::ExitCode;

use pitlane_sys::SingleThreaded;
use serde::Serialize;

use self::check::{Check, Verdict};
use crate::cli::SettingArguments;
use crate::exit::Exit;
use crate::failure::{Doing as _, Failure};
use crate::output::{Format, say, write};
use crate::settings::Settings;

#[derive(Debug, clap::Args)]
#[command(after_help = "Ends with 1 if sandboxes cannot be made here.")]
pub(crate) struct Arguments {
    #[command(flatten)]
    settings: SettingArguments,
    /// Write all that a report of a fault needs, and nothing secret, to a file [default: to the output]
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-", require_equals = true)]
    report: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    can_make_sandboxes: bool,
    checks: Vec<Check>,
}

/// Checks this machine against the settings that a server would have. Must be called before the process has threads.
pub(crate) fn run(arguments: &Arguments, format: Format) -> Result<ExitCode, Failure> {
    let settings = Settings::read(&arguments.settings.0)?;
    let checks = checks(&settings)?;
    let report = Report {
        can_make_sandboxes: checks.iter().all(|check| {
            matches!(check.verdict, Verdict::Good | Verdict::Limited | Verdict::Unused)
        }),
        checks,
    };
    match &arguments.report {
        None => format.write(&report, text)?,
        Some(path) => {
            let shown = Settings::shown(&arguments.settings.0)?;
            let whole = report::text(&settings, &shown, &text(&report));
            if path.as_os_str() == "-" {
                write(whole.as_bytes())?;
            } else {
                report::keep(&whole, path)?;
                say(&format!("the report is in {}", path.display()));
            }
        }
    }
    Ok(if report.can_make_sandboxes { ExitCode::SUCCESS } else { Exit::Failed.into() })
}

/// Does every check, in the order in which they should be fixed.
pub(crate) fn checks(settings: &Settings) -> Result<Vec<Check>, Failure> {
    let single = SingleThreaded::check().doing("doctor must run before there are threads")?;
    let mut checks = vec![host::root(), host::processor(), host::kernel()];
    if host::is_root() {
        checks.push(host::capabilities());
        let users = isolation::users(single, settings.first_id);
        let storage = storage::checks(settings, &users);
        checks.push(isolation::told(users));
        checks.push(isolation::processes(single));
        checks.push(isolation::system_calls(single));
        checks.push(isolation::memory_program(single));
        checks.extend(storage);
        checks.push(limits::check(single));
        checks.extend(network::checks(settings)?);
        checks.push(product::image(settings));
    } else {
        for name in ["namespaces", "disks", "layers", "control groups", "network", "image"] {
            checks.push(Check::untried(name, "only root can try"));
        }
    }
    checks.extend(counts::checks());
    checks.push(network::port(settings));
    checks.push(product::daemon(settings));
    checks.push(host::virtualization());
    Ok(checks)
}

fn text(report: &Report) -> String {
    let width = |part: fn(&Check) -> usize| report.checks.iter().map(part).max().unwrap_or(0);
    let verdicts = width(|check| check.verdict.word().len());
    let names = width(|check| check.name.len());
    let mut text = String::new();
    for Check { name, verdict, detail, fix } in &report.checks {
        text += &format!("{:verdicts$}  {name:names$}  {detail}\n", verdict.word());
        if let Some(fix) = fix {
            text += &format!("{:verdicts$}  {:names$}  fix: {fix}\n", "", "");
        }
    }
    text += if report.can_make_sandboxes {
        "\nThis machine can make sandboxes.\n"
    } else {
        "\nThis machine cannot make sandboxes yet.\n"
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_lines_up_and_has_a_fix_below_what_failed() {
        let report = Report {
            can_make_sandboxes: false,
            checks: vec![
                Check::good("root", "this process is root's"),
                Check::bad("disks", "mkfs.ext4 is missing", "apt-get install e2fsprogs"),
                Check::limited("port", "127.0.0.1:3986 is taken", "--listen 127.0.0.1:0"),
                Check::untried("layers", "needs disks"),
                Check::unused("KVM", "/dev/kvm opens"),
            ],
        };
        insta::assert_snapshot!(text(&report));
        insta::assert_snapshot!("as_json", serde_json::to_string_pretty(&report).unwrap());
    }
}
