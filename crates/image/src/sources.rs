//! Where packages come from: the host's own choice, so that a site with a mirror or a proxy works as it is.
//!
//! What is taken from the host is for the making alone. Nothing of it stays in an image: a recipe's last step writes
//! Debian's ordinary sources, as Debian's own packages name them.

use std::process::Stdio;

use tokio::process::Command;

use crate::error::PrepareImageError;
use crate::recipe::RELEASE;

/// What mmdebstrap is told about the network.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sources {
    /// Lines of `sources.list(5)`; none for mmdebstrap's own choice, which is Debian's archive.
    pub(crate) lines: Vec<String>,
    /// Lines of `apt.conf(5)`.
    pub(crate) options: Vec<String>,
}

/// Options of the host's apt that say how to reach its sources. Others, such as hooks, are the host's own business.
const OPTIONS: [&str; 8] = [
    "Acquire::http::",
    "Acquire::https::",
    "Acquire::Retries",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
    "Acquire::ForceIPv4",
    "Acquire::ForceIPv6",
    "Acquire::Queue-Mode",
];

impl Sources {
    /// Asks the host's apt.
    pub(crate) async fn of_host() -> Result<Self, PrepareImageError> {
        let release = tokio::fs::read_to_string("/etc/os-release").await.unwrap_or_default();
        let format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
        let targets =
            ask("apt-get", &["indextargets", "--format", format, "Created-By: Packages"]).await?;
        let options = ask("apt-config", &["dump", "Acquire"]).await?;
        Ok(Self { lines: source_lines(&release, &targets), options: option_lines(&options) })
    }
}

/// What a program of apt prints. One that fails says nothing: the defaults serve then.
async fn ask(program: &'static str, arguments: &[&str]) -> Result<String, PrepareImageError> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    match command.output().await {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(_) => Ok(String::new()),
        Err(cause) => Err(PrepareImageError::Program { program, cause }),
    }
}

/// The host's sources of Debian as sources of [`RELEASE`]; none where the host has none for all of it.
fn source_lines(os_release: &str, targets: &str) -> Vec<String> {
    let value = |key: &str| {
        os_release
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .map(|value| value.trim_matches('"').to_owned())
    };
    // A mirror that serves one release of Debian serves the others, too. Other systems' mirrors are of no use.
    let host_release = match value("ID=").as_deref() {
        Some("debian") => value("VERSION_CODENAME="),
        _ => None,
    };
    let mut lines = Vec::new();
    for target in targets.lines() {
        let mut fields = target.split_whitespace();
        let (Some(uri), Some(suite), Some("main")) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let Some(pocket) = host_release.as_deref().and_then(|release| suite.strip_prefix(release))
        else {
            continue;
        };
        if matches!(pocket, "" | "-updates" | "-security") {
            let line = format!("deb {uri} {RELEASE}{pocket} main");
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    let base = format!(" {RELEASE} main");
    // A release that a source lacks is worse than a source that is not the host's.
    if lines.iter().any(|line| line.ends_with(&base)) { lines } else { Vec::new() }
}

/// The lines of `apt-config dump` that say how to reach sources.
fn option_lines(dump: &str) -> Vec<String> {
    dump.lines()
        .filter(|line| OPTIONS.iter().any(|option| line.starts_with(option)))
        // Groups have an empty value of their own.
        .filter(|line| !line.ends_with(" \"\";"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN_12: &str = "PRETTY_NAME=\"Debian\"\nID=debian\nVERSION_CODENAME=bookworm\n";

    #[test]
    fn the_hosts_mirror_is_used() {
        let targets = "http://mirror.example/debian/ bookworm main\n\
                       http://mirror.example/debian/ bookworm-updates main\n\
                       http://mirror.example/debian/ bookworm-backports main\n\
                       http://mirror.example/debian/ bookworm contrib\n\
                       http://mirror.example/security/ bookworm-security main\n\
                       https://other.example/ stable main\n";
        assert_eq!(
            source_lines(DEBIAN_12, targets),
            [
                "deb http://mirror.example/debian/ bookworm main",
                "deb http://mirror.example/debian/ bookworm-updates main",
                "deb http://mirror.example/security/ bookworm-security main",
            ]
        );
    }

    #[test]
    fn the_mirror_of_another_release_serves_ours() {
        let host = "ID=debian\nVERSION_CODENAME=trixie\n";
        assert_eq!(
            source_lines(host, "http://mirror.example/debian/ trixie main\n"),
            ["deb http://mirror.example/debian/ bookworm main"]
        );
    }

    #[test]
    fn without_sources_of_debian_none_are_named() {
        let none: [&str; 0] = [];
        let ubuntu = "ID=ubuntu\nVERSION_CODENAME=noble\n";
        assert_eq!(source_lines(ubuntu, "http://archive.example/ubuntu/ noble main\n"), none);
        let updates = "http://mirror.example/debian/ bookworm-updates main\n";
        assert_eq!(source_lines(DEBIAN_12, updates), none);
        assert_eq!(source_lines("", ""), none);
    }

    #[test]
    fn proxies_are_passed_on_and_nothing_else_of_the_host() {
        let dump = "Acquire \"\";\n\
                    Acquire::http \"\";\n\
                    Acquire::http::Proxy \"http://proxy.example:3128\";\n\
                    Acquire::https::Verify-Peer \"true\";\n\
                    Acquire::Check-Valid-Until \"false\";\n\
                    Acquire::Changelogs::URI \"\";\n\
                    Acquire::IndexTargets::deb::Packages::Optional \"0\";\n\
                    Acquire::http::Proxy::mirror.example \"DIRECT\";\n";
        assert_eq!(
            option_lines(dump),
            [
                "Acquire::http::Proxy \"http://proxy.example:3128\";",
                "Acquire::https::Verify-Peer \"true\";",
                "Acquire::Check-Valid-Until \"false\";",
                "Acquire::http::Proxy::mirror.example \"DIRECT\";",
            ]
        );
    }
}
