//! The report's tables.

use std::fmt::Write as _;

use crate::results::{
    Builds, Code, Crowd, Found, IdleMemory, Images, Interpreters, Listing, Mcp, Measure, Restart,
    Results, Run, Sessions, Snapshots, Terminals, Transfer, Warm,
};
use crate::samples::{Milliseconds, Samples};

/// The machine, the programs and how busy they were.
pub(super) fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let [before, after] = results.load;
    let mut text = format!(
        "Commit {}. {} processors ({}), {} MiB memory, Linux {}, {}. Load (processes over a minute) {before:.2} before the run \
         and {after:.2} after it; it took {} s.\n\n",
        results.commit,
        machine.processors,
        machine.processor,
        machine.memory_mib,
        machine.kernel,
        machine.system,
        results.seconds,
    );
    for (name, version) in &machine.programs {
        let _ = writeln!(text, "- {name}: {version}");
    }
    text
}

/// Everything that ran in rounds, with its ratio to two of the peers.
pub(super) fn rounds(results: &Results) -> String {
    if results.rounds.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "| | median | p99 | min | runs | × crun | × docker | how |\n|---|---|---|---|---|---|---|---|\n",
    );
    for row in &results.rounds {
        let (name, how) = (row.measure.name(), row.measure.how());
        let _ = match &row.found {
            Found::Nothing(why) => {
                let why = one_line(why);
                writeln!(text, "| {name} | – | – | – | 0 | – | – | not measured: {why} |")
            }
            Found::Samples(samples) => {
                let crun = ratio(samples, results.samples(Measure::Crun));
                let docker = ratio(samples, results.samples(Measure::Docker));
                let [median, p99, min] = times(samples);
                let runs = samples.len();
                writeln!(
                    text,
                    "| {name} | {median} | {p99} | {min} | {runs} | {crun} | {docker} | {how} |"
                )
            }
        };
    }
    text
}

/// Creation at each population.
pub(super) fn density(results: &Results) -> String {
    if results.density.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "| sandboxes alive | create, median | p99 | min | runs | × first row |\n|---|---|---|---|---|---|\n",
    );
    let first = results.density.first().map(|population| &population.create);
    for population in &results.density {
        let samples = &population.create;
        let ([median, p99, min], ratio) = (times(samples), ratio(samples, first));
        let (live, runs) = (population.live, samples.len());
        let _ = writeln!(text, "| {live} | {median} | {p99} | {min} | {runs} | {ratio} |");
    }
    text
}

/// Time to interactive, beside its parts.
pub(super) fn interactive(results: &Results) -> String {
    let Some(found) = &results.interactive else { return String::new() };
    let mut text = String::from(
        "The official TypeScript SDK from one Node process for each server: create, a probe that tells sandboxes apart, `node -v`. \
         \"Calls alone\" are the same calls to the same server with sandboxes that run nothing; \"bare\" are the same \
         commands without a sandbox or a server. Sandboxes one after another took turns with the calls alone one after another, \
         which had each bare command run just before the call for it, in time that is the command's and not the \
         calls'; their seconds are those of their own turns. After them, one server after the other, staggered starts \
         one every 200 ms, the burst all at once.\n\n\
         | | median | p99 | min | of it create | succeeded | failed | seconds in all |\n|---|---|---|---|---|---|---|---|\n",
    );
    let rows = [
        ("one after another", &found.real.sequential),
        ("staggered", &found.real.staggered),
        ("burst", &found.real.burst),
        ("calls alone, one after another", &found.fake.sequential),
        ("calls alone, staggered", &found.fake.staggered),
        ("calls alone, burst", &found.fake.burst),
    ];
    for (name, run) in rows {
        text.push_str(&mode(name, run));
    }
    for (name, samples) in [("bare probe", &found.bare_probe), ("bare `node -v`", &found.bare_node)]
    {
        let ([median, p99, min], runs) = (times(samples), samples.len());
        let _ = writeln!(text, "| {name} | {median} | {p99} | {min} | – | {runs} | 0 | – |");
    }
    for failure in failures(
        found
            .real
            .sequential
            .failures
            .iter()
            .chain(&found.real.staggered.failures)
            .chain(&found.real.burst.failures),
    ) {
        let _ = writeln!(text, "\nA failure said: {}", one_line(failure));
    }
    text
}

/// Lists, transfers, crowds and restarts.
pub(super) fn core(results: &Results) -> String {
    let mut rows: Vec<(String, &Samples, String)> = Vec::new();
    if let Some(Listing { sandboxes, pages, whole }) = &results.listing {
        let how = format!(
            "`GET /sandbox` in {pages} pages on a kept connection; the sandboxes run nothing, their rows are the same"
        );
        rows.push((format!("list of {sandboxes} sandboxes"), whole, how));
    }
    if let Some(transfer) = &results.transfer {
        rows.extend(transfers(transfer));
    }
    if let Some(Crowd { clients, create, failures, seconds }) = &results.crowd {
        let how = format!("{} failed; {seconds:.2} s in all", failures.len());
        rows.push((format!("create, by {clients} clients at once"), create, how));
    }
    if let Some(Restart { sandboxes, ready }) = &results.restart {
        let how = "after SIGKILL, from the start of the process until `GET /health/ready` is answered; every sandbox is there";
        rows.push((format!("start with {sandboxes} sandboxes running"), ready, how.to_owned()));
    }
    rows.extend(results.sessions.iter().flat_map(sessions));
    rows.extend(results.interpreters.iter().flat_map(interpreters));
    rows.extend(results.code.iter().flat_map(code));
    rows.extend(results.terminals.iter().map(terminals));
    rows.extend(results.mcp.iter().flat_map(mcp));
    rows.extend(results.warm.iter().flat_map(warm));
    rows.extend(results.images.iter().flat_map(images));
    rows.extend(results.snapshots.iter().flat_map(snapshots));
    rows.extend(results.builds.iter().flat_map(builds));
    if rows.is_empty() {
        return String::new();
    }
    let mut text =
        String::from("| | median | p99 | min | runs | how |\n|---|---|---|---|---|---|\n");
    for (name, samples, how) in rows {
        let ([median, p99, min], runs) = (times(samples), samples.len());
        let _ = writeln!(text, "| {name} | {median} | {p99} | {min} | {runs} | {how} |");
    }
    if let Some(Transfer { memory_before, memory_after, .. }) = &results.transfer {
        let _ = writeln!(
            text,
            "\nThe server's memory: {} KiB before the transfers, at most {} KiB during them, {} KiB after them.",
            memory_before.now_kib, memory_after.peak_kib, memory_after.now_kib,
        );
    }
    for failure in failures(results.crowd.iter().flat_map(|crowd| &crowd.failures)) {
        let _ = writeln!(text, "\nA failure said: {}", one_line(failure));
    }
    text
}

fn transfers(transfer: &Transfer) -> [(String, &Samples, String); 4] {
    let mib = transfer.mib;
    [
        (
            "bare upload",
            &transfer.bare_upload,
            "from memory over a local socket into a file, 256 KiB at a time",
        ),
        (
            "upload",
            &transfer.upload,
            "the same bytes as a form to `files/upload-v2` of a sandbox with 8 GiB of memory and a disk of 10 GiB",
        ),
        (
            "bare download",
            &transfer.bare_download,
            "from that file over a local socket to nowhere, 256 KiB at a time",
        ),
        ("download", &transfer.download, "the same bytes from `files/download`"),
    ]
    .map(|(name, samples, how)| (format!("{name} of {mib} MiB"), samples, how.to_owned()))
}

fn sessions(sessions: &Sessions) -> [(String, &Samples, String); 7] {
    let mib = sessions.mib;
    let said = |what: &str| format!("{what} of {mib} MiB");
    [
        (
            "bare `/usr/bin/true`".to_owned(),
            &sessions.bare,
            "by a small process that has changed its root to the image's",
        ),
        ("exec of `true`".to_owned(), &sessions.execute, "`POST …/process/execute`"),
        (
            "exec of `/usr/bin/true` in a session".to_owned(),
            &sessions.exec,
            "`POST …/process/session/…/exec`, a program of its own in a shell that waits",
        ),
        (
            said("bare output"),
            &sessions.bare_stream,
            "`cat` of a file into a pipe, from there over a local socket to nowhere, 256 KiB at a time",
        ),
        (said("bare output, kept"), &sessions.bare_kept, "the same, and into a file, as logs are kept"),
        (
            said("log"),
            &sessions.stream,
            "the same command in a session of a sandbox with 8 GiB of memory and a disk of 10 GiB, followed over a WebSocket from before its start",
        ),
        (said("log"), &sessions.again, "followed after the command's end"),
    ]
    .map(|(name, samples, how)| (name, samples, how.to_owned()))
}

fn code(code: &Code) -> [(String, &Samples, String); 5] {
    let how = "`POST …/process/code-run` on a kept connection";
    [
        (
            "`python3 -c 'print(1)'` without a sandbox",
            &code.bare_python,
            "on the same root filesystem",
        ),
        ("first code_run of `print(1)` in a sandbox", &code.first, how),
        ("later code_run of `print(1)`", &code.later, how),
        ("`node -e 'console.log(1)'` without a sandbox", &code.bare_node, "as Python"),
        ("code_run of `console.log(1)`", &code.node, how),
    ]
    .map(|(name, samples, how)| (name.to_owned(), samples, how.to_owned()))
}

fn interpreters(interpreters: &Interpreters) -> [(String, &Samples, String); 2] {
    [
        (
            "new interpreter context",
            &interpreters.context,
            "`POST …/process/interpreter/context`, until Python is ready",
        ),
        (
            "run of `print(1)` in a context",
            &interpreters.round_trip,
            "`GET …/process/interpreter/execute`, from the connection to the last message",
        ),
    ]
    .map(|(name, samples, how)| (name.to_owned(), samples, how.to_owned()))
}

fn terminals(terminals: &Terminals) -> (String, &Samples, String) {
    let how =
        "`GET …/process/pty/create-connect`, from sending it until the shell's prompt shows it";
    ("key in a terminal".to_owned(), &terminals.echo, how.to_owned())
}

fn mcp(mcp: &Mcp) -> [(String, &Samples, String); 2] {
    let bare = "`POST …/process/execute/stream` on a kept connection";
    let call = "`tools/call` at `/mcp` on a kept connection, the two taking turns";
    [
        ("`true` by the toolbox", &mcp.bare, bare),
        ("`true` by `execute_shell` over MCP", &mcp.call, call),
    ]
    .map(|(name, samples, how)| (name.to_owned(), samples, how.to_owned()))
}

fn images(images: &Images) -> [(String, &Samples, String); 2] {
    let what =
        format!("image of {} MB in 3 layers, from a registry on this machine", images.megabytes);
    let pull = "`pitlane image pull` into an empty cache, until everything is on the disk";
    let peer = "`skopeo copy` to a folder, then `tar x` of each layer; nothing is synced";
    [
        (what, &images.pull, pull.to_owned()),
        ("the same by other programs".to_owned(), &images.peer, peer.to_owned()),
    ]
}

fn snapshots(snapshots: &Snapshots) -> [(String, &Samples, String); 4] {
    let Snapshots { mib, host_kind, host, xfs } = snapshots;
    let how = "`POST /sandbox/{id}/snapshot` of a running sandbox until it is taken";
    let full = format!("snapshot of {mib} MiB");
    [
        ("snapshot of an empty sandbox, XFS".to_owned(), &xfs.empty, how),
        (format!("{full}, XFS"), &xfs.full, "the same with files, which were synced before"),
        (
            format!("snapshot of an empty sandbox, {host_kind}"),
            &host.empty,
            "the same on the file system of the run",
        ),
        (
            format!("{full}, {host_kind}"),
            &host.full,
            "the same; not promised: blocks may have to be copied",
        ),
    ]
    .map(|(name, samples, how)| (name, samples, how.to_owned()))
}

fn builds(builds: &Builds) -> [(String, &Samples, String); 3] {
    let Builds { files, steps, anew, again, sandbox } = builds;
    let what = format!("Dockerfile of {steps} steps with {files} files");
    [
        ("build", anew, "`POST /snapshots` with `noCache` until it is active"),
        (
            "build, every step known",
            again,
            "`POST /snapshots` until it is active, the files are there",
        ),
        (
            "sandbox of the build, every step known",
            sandbox,
            "`POST /sandbox` with the same `buildInfo` until it is started",
        ),
    ]
    .map(|(name, samples, how)| (format!("{name}: {what}"), samples, how.to_owned()))
}

fn warm(warm: &Warm) -> [(String, &Samples, String); 2] {
    let how =
        "`POST /sandbox` until `started`, on a kept connection, 150 ms after the request before";
    [
        ("create from a pool", &warm.warm, how),
        (
            "create from nothing",
            &warm.cold,
            "another server, with `--prepared 0`, the two taking turns",
        ),
    ]
    .map(|(name, samples, how)| (name.to_owned(), samples, how.to_owned()))
}

/// What idle sandboxes cost.
pub(super) fn idle(results: &Results) -> String {
    let Some(Warm { idle, .. }) = &results.warm else { return String::new() };
    let Some(first) = idle.first() else { return String::new() };
    let mut text = String::from(
        "Processes' memory with shared pages in parts (`Pss`), and what the kernel keeps for itself on the whole machine \
         (`SUnreclaim`, `KernelStack`, `PageTables`, `Percpu`), in MiB. Eight sandboxes more wait in each row.\n\n\
         | idle sandboxes | daemons | kernel | launcher | server | each, beyond the first row | each, beyond the row before |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let mib = |kib: u64| f64::from(u32::try_from(kib).unwrap_or(u32::MAX)) / 1024.0;
    let beyond = |row: &IdleMemory, other: &IdleMemory| {
        let more = u64::try_from(row.sandboxes.saturating_sub(other.sandboxes)).unwrap_or(0);
        let each = row.total_kib().saturating_sub(other.total_kib()).checked_div(more);
        each.map_or_else(|| "–".to_owned(), |each| format!("{:.2}", mib(each)))
    };
    let mut before = first;
    for row in idle {
        let (each, step) = (beyond(row, first), beyond(row, before));
        before = row;
        let [daemons, kernel, launcher, server] =
            [row.daemons_kib, row.kernel_kib, row.launcher_kib, row.server_kib].map(mib);
        let _ = writeln!(
            text,
            "| {} | {daemons:.1} | {kernel:.1} | {launcher:.1} | {server:.1} | {each} | {step} |",
            row.sandboxes
        );
    }
    text
}

fn mode(name: &str, run: &Run) -> String {
    let ([median, p99, min], [create, ..]) = (times(&run.total), times(&run.create));
    let (succeeded, failed, seconds) = (run.total.len(), run.failures.len(), run.seconds);
    format!(
        "| {name} | {median} | {p99} | {min} | {create} | {succeeded} | {failed} | {seconds:.1} |\n"
    )
}

/// What fits into a table.
fn one_line(text: &str) -> String {
    text.replace('|', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Each text once.
fn failures<'a>(said: impl Iterator<Item = &'a String>) -> std::collections::BTreeSet<&'a String> {
    said.collect()
}

/// Median, 99th percentile and minimum.
fn times(samples: &Samples) -> [String; 3] {
    [samples.median(), samples.p99(), samples.min()]
        .map(|time| time.map_or_else(|| "–".to_owned(), |time| time.to_string()))
}

fn ratio(samples: &Samples, other: Option<&Samples>) -> String {
    let medians = samples.median().zip(other.and_then(Samples::median));
    medians.map_or_else(
        || "–".to_owned(),
        |(Milliseconds(one), Milliseconds(other))| format!("{:.3}", one / other),
    )
}
