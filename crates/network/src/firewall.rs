//! The packet filters, as rules of nftables.
//!
//! They are loaded once for a router, in one transaction that replaces what was there; a sandbox's link needs no rule
//! of its own, since interfaces are told apart by the first letters of their names.

use std::io::{self, Write as _};

use std::process::{Command, Output, Stdio};

use ipnet::Ipv4Net;

use crate::config::RouterName;
use crate::egress::Egress;

/// The router's end of the uplink.
pub(crate) const UPLINK: &str = "uplink";
/// Flows that one sandbox may have open at once. The host keeps state for each.
const FLOWS: u32 = 4096;
/// Questions that one sandbox may ask the resolver in a second.
const QUESTIONS: u32 = 1000;
/// Connections that one sandbox may have to the resolver.
const RESOLVER_CONNECTIONS: u32 = 16;

/// Why a set of rules is not in force.
#[derive(Debug, thiserror::Error)]
pub enum FirewallError {
    /// The program `nft` cannot be started.
    #[error("cannot run nft: is nftables installed?")]
    Run(#[source] io::Error),
    /// The program refused the rules.
    #[error("nft refused the rules: {0}")]
    Refused(String),
}

/// What `nft` says of its version; for those who check a machine before they use it.
///
/// # Errors
///
/// It is not installed, or cannot be run.
pub fn nft_version() -> Result<String, FirewallError> {
    let output = nft(&["--version"]).stdin(Stdio::null()).output().map_err(FirewallError::Run)?;
    successful(&output)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The chains of the calling thread's network namespace that drop what they are not told to forward, as
/// `family table chain`.
///
/// No rule of ours can overrule one of them: a packet passes if every table lets it. Docker, for one, makes one.
///
/// # Errors
///
/// `nft` cannot be run, or does not say what there is.
pub fn forwarding_obstacles() -> Result<Vec<String>, FirewallError> {
    let output =
        nft(&["list", "chains"]).stdin(Stdio::null()).output().map_err(FirewallError::Run)?;
    successful(&output)?;
    Ok(find_obstacles(&String::from_utf8_lossy(&output.stdout)))
}

/// Loads rules into the calling thread's network namespace: all or none.
pub(crate) fn load(rules: &str) -> Result<(), FirewallError> {
    let mut child = nft(&["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(FirewallError::Run)?;
    // A program that stops reading says why on its other end, so its verdict counts, not this one.
    let written = child.stdin.take().map_or(Ok(()), |mut input| input.write_all(rules.as_bytes()));
    let output = child.wait_with_output().map_err(FirewallError::Run)?;
    successful(&output)?;
    written.map_err(FirewallError::Run)
}

/// The rules of the router's own namespace.
pub(crate) fn router_rules(egress: &Egress) -> String {
    let closed = elements(Egress::closed());
    let allowed = elements(egress.allowed());
    let subnet = egress.subnet();
    let gateway = subnet.gateway();
    format!(
        r#"table ip pitlane
delete table ip pitlane
table ip pitlane {{
    set closed {{ type ipv4_addr; flags interval; auto-merge; {closed} }}
    set allowed {{ type ipv4_addr; flags interval; auto-merge; {allowed} }}
    set flows {{ type ipv4_addr; size 65535; flags dynamic; }}
    set connections {{ type ipv4_addr; size 65535; flags dynamic; }}
    set questions {{ type ipv4_addr; size 65535; flags dynamic, timeout; timeout 10s; }}

    chain untracked_in {{
        type filter hook prerouting priority raw; policy accept;
        iifname "pl*" ip daddr {gateway} udp dport 53 notrack
        iifname "pl*" ip daddr {gateway} meta l4proto icmp notrack
    }}
    chain untracked_out {{
        type filter hook output priority raw; policy accept;
        ip saddr {gateway} udp sport 53 notrack
        ip saddr {gateway} icmp type echo-reply notrack
    }}
    chain input {{
        type filter hook input priority filter; policy drop;
        iifname "lo" accept
        iifname != "pl*" drop
        ip daddr != {gateway} drop
        udp dport 53 update @questions {{ ip saddr limit rate over {QUESTIONS}/second burst {QUESTIONS} packets }} drop
        udp dport 53 accept
        tcp dport 53 ct state new add @connections {{ ip saddr ct count over {RESOLVER_CONNECTIONS} }} reject with tcp reset
        tcp dport 53 accept
        icmp type echo-request accept
        meta l4proto tcp reject with tcp reset
        reject with icmp admin-prohibited
    }}
    chain forward {{
        type filter hook forward priority filter; policy drop;
        iifname "{UPLINK}" ct state established,related accept
        iifname != "pl*" drop
        oifname != "{UPLINK}" reject with icmp admin-prohibited
        ip daddr {subnet} reject with icmp admin-prohibited
        ip daddr != @allowed ip daddr @closed reject with icmp admin-prohibited
        tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
        ct state established,related accept
        ct state invalid drop
        add @flows {{ ip saddr ct count over {FLOWS} }} reject with icmp admin-prohibited
        accept
    }}
}}
"#
    )
}

/// The rules of the uplink's far namespace: translate addresses, and let nothing of ours reach the host itself, not
/// even by a port that the host forwards elsewhere.
pub(crate) fn far_rules(name: &RouterName, egress: &Egress) -> String {
    let table = name.far_table();
    let link = name.far_link();
    let subnet = egress.subnet();
    let allowed = elements(egress.allowed());
    format!(
        r#"table ip {table}
delete table ip {table}
table ip {table} {{
    set allowed {{ type ipv4_addr; flags interval; auto-merge; {allowed} }}

    chain input {{
        type filter hook input priority filter - 5; policy accept;
        iifname != "{link}" accept
        ip saddr {subnet} ip daddr != {subnet} ip daddr @allowed accept
        reject with icmp admin-prohibited
    }}
    chain forward {{
        type filter hook forward priority filter - 5; policy accept;
        iifname "{link}" ip saddr != {subnet} drop
        iifname "{link}" ct status dnat ip daddr != @allowed reject with icmp admin-prohibited
        iifname "{link}" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
        iifname "{link}" accept
        oifname "{link}" ct state established,related accept
        oifname "{link}" drop
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr {subnet} oifname != "{link}" masquerade
    }}
}}
"#
    )
}

/// What takes the rules of the far namespace away again.
pub(crate) fn no_far_rules(name: &RouterName) -> String {
    let table = name.far_table();
    format!("table ip {table}\ndelete table ip {table}\n")
}

/// Reads what `nft list chains` says.
fn find_obstacles(text: &str) -> Vec<String> {
    let (mut table, mut chain) = ("", "");
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        let opened = |keyword: &str| line.strip_prefix(keyword)?.strip_suffix(" {");
        if let Some(name) = opened("table ") {
            table = name;
        } else if let Some(name) = opened("chain ") {
            chain = name;
        } else if line.contains(" hook forward ") && line.contains("policy drop") {
            found.push(format!("{table} {chain}"));
        }
    }
    found
}

/// The elements of a set; nothing for an empty one, which has no notation.
fn elements(networks: &[Ipv4Net]) -> String {
    if networks.is_empty() {
        return String::new();
    }
    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
    format!("elements = {{ {} }};", networks.join(", "))
}

#[expect(clippy::disallowed_methods, reason = "a program of the system, not one of a sandbox")]
fn nft(arguments: &[&str]) -> Command {
    let mut command = Command::new("nft");
    // Services are often started without the folders of the administrator's programs.
    command
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin")
        .args(arguments);
    command
}

fn successful(output: &Output) -> Result<(), FirewallError> {
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(FirewallError::Refused(text.trim().chars().take(500).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_that_drops_what_it_should_forward_is_found() {
        let text = "table ip filter {\n\tchain INPUT {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n\
                    \tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n\
                    table inet mine {\n\tchain all {\n\t\ttype filter hook forward priority 0; policy accept;\n\t}\n}\n";
        assert_eq!(find_obstacles(text), ["ip filter FORWARD"]);
    }
}
