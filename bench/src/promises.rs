//! The promised numbers, and whether one run reaches them.

use crate::results::{
    Builds, Code, Crowd, Images, Interpreters, Listing, Mcp, Measure, Restart, Results, Run,
    Sessions, Snapshots, Terminals, Transfer, Warm,
};
use crate::samples::{Milliseconds, Samples};

/// One promise beside what was found.
#[derive(Debug, PartialEq)]
pub(crate) struct Verdict {
    /// The promise, for a reader.
    pub(crate) promise: &'static str,
    /// What was found, with the numbers it comes from.
    pub(crate) found: String,
    /// Whether it is reached; none where this run cannot tell.
    pub(crate) is_reached: Option<bool>,
}

/// Holds the results to every promise, in the order of SPECIFICATION.md.
pub(crate) fn verdicts(results: &Results) -> Vec<Verdict> {
    vec![
        create(results, Measure::Create, "create ≤ 0.5 × `crun run` of `true`"),
        create(
            results,
            Measure::CreateUnprepared,
            "create with nothing prepared ≤ 0.5 × `crun run` of `true`",
        ),
        whole(results),
        exec(results),
        interactive(results),
        burst(results.interactive.as_ref().map(|interactive| &interactive.real.burst)),
        density(results),
        listing(results.listing.as_ref()),
        upload(results.transfer.as_ref()),
        download(results.transfer.as_ref()),
        memory(results.transfer.as_ref()),
        crowd(results.crowd.as_ref()),
        restart(results.restart.as_ref()),
        session_exec(results.sessions.as_ref()),
        log_stream(results.sessions.as_ref()),
        interpreter(results.interpreters.as_ref()),
        code(results.code.as_ref()),
        keystroke(results.terminals.as_ref()),
        tool(results.mcp.as_ref()),
        warm(results.warm.as_ref()),
        warm_beside_cold(results.warm.as_ref()),
        idle(results.warm.as_ref()),
        images(results.images.as_ref()),
        snapshots(results.snapshots.as_ref()),
        builds(results.builds.as_ref()),
    ]
}

fn create(results: &Results, measure: Measure, promise: &'static str) -> Verdict {
    let medians = median(results, measure).zip(median(results, Measure::Crun));
    judge(promise, medians, |create, crun| {
        let ratio = create / crun;
        (format!("{create:.2} ms / {crun:.2} ms = {ratio:.2}"), ratio <= 0.5)
    })
}

fn whole(results: &Results) -> Verdict {
    let medians = median(results, Measure::Whole).zip(median(results, Measure::Docker));
    judge(
        "create + exec + delete ≤ 1/25 of `docker run --rm` of `true`",
        medians,
        |whole, docker| {
            let ratio = docker / whole;
            (format!("{docker:.1} ms / {whole:.2} ms = {ratio:.1} times faster"), ratio >= 25.0)
        },
    )
}

fn exec(results: &Results) -> Verdict {
    let medians = median(results, Measure::Exec).zip(median(results, Measure::BareTrue));
    judge("exec of `true` ≤ 3 ms over a bare spawn", medians, |exec, bare| {
        let over = exec - bare;
        (format!("{exec:.2} ms - {bare:.2} ms = {over:.2} ms over"), over <= 3.0)
    })
}

fn interactive(results: &Results) -> Verdict {
    let medians = results.interactive.as_ref().and_then(|found| {
        let bare = middle(&found.bare_probe)? + middle(&found.bare_node)?;
        let calls = middle(&found.fake.sequential.total)?;
        Some((middle(&found.real.sequential.total)?, (bare, calls)))
    });
    let promise = "time to interactive, one after another, ≤ 10 ms over bare commands and the same calls without sandboxes";
    judge(promise, medians, |real, (bare, calls)| {
        let over = real - bare - calls;
        let text =
            format!("{real:.1} ms - {bare:.1} ms bare - {calls:.1} ms calls = {over:.1} ms over");
        (text, over <= 10.0)
    })
}

fn burst(burst: Option<&Run>) -> Verdict {
    let counts = burst.map(|burst| (burst.total.len(), burst.failures.len()));
    judge_at("a burst of 100 sandboxes without a failure", 100, counts, |(succeeded, failed)| {
        (succeeded + failed, format!("{succeeded} succeeded, {failed} failed"), failed == 0)
    })
}

fn density(results: &Results) -> Verdict {
    let at = |live| {
        let population = results.density.iter().find(|population| population.live == live)?;
        middle(&population.create)
    };
    judge(
        "create with 500 sandboxes alive ≤ 1.3 × create with none",
        at(500).zip(at(0)),
        |many, none| {
            let ratio = many / none;
            (format!("{many:.2} ms / {none:.2} ms = {ratio:.2}"), ratio <= 1.3)
        },
    )
}

fn listing(listing: Option<&Listing>) -> Verdict {
    let found = listing.and_then(|listing| Some((listing, middle(&listing.whole)?)));
    judge_at("a list of 1,000 sandboxes ≤ 10 ms", 1000, found, |(listing, whole)| {
        let pages = listing.pages;
        (listing.sandboxes, format!("{whole:.2} ms in {pages} pages"), whole <= 10.0)
    })
}

fn upload(transfer: Option<&Transfer>) -> Verdict {
    let times = |transfer: &Transfer| {
        Some((transfer.mib, middle(&transfer.bare_upload)?, middle(&transfer.upload)?))
    };
    speed("upload of 1 GiB ≥ 60 % of a bare local socket", transfer.and_then(times))
}

fn download(transfer: Option<&Transfer>) -> Verdict {
    let times = |transfer: &Transfer| {
        Some((transfer.mib, middle(&transfer.bare_download)?, middle(&transfer.download)?))
    };
    speed("download of 1 GiB ≥ 60 % of a bare local socket", transfer.and_then(times))
}

fn speed(promise: &'static str, times: Option<(usize, f64, f64)>) -> Verdict {
    judge_at(promise, 1024, times, |(mib, bare, ours)| {
        let share = bare / ours * 100.0;
        (mib, format!("{bare:.0} ms bare / {ours:.0} ms = {share:.0} %"), share >= 60.0)
    })
}

/// The peak is of the whole process, whose own use goes up and down by some MiB whatever it does.
fn memory(transfer: Option<&Transfer>) -> Verdict {
    judge_at("1 GiB both ways grows the server by ≤ 16 MiB", 1024, transfer, |transfer| {
        let (before, after) = (transfer.memory_before.now_kib, transfer.memory_after.peak_kib);
        let text = format!("{} MiB before, at most {} MiB", before >> 10, after >> 10);
        (transfer.mib, text, after.saturating_sub(before) <= 16 << 10)
    })
}

fn crowd(crowd: Option<&Crowd>) -> Verdict {
    let times = |crowd: &Crowd| {
        let Crowd { create, failures, .. } = crowd;
        let Milliseconds(p99) = create.p99()?;
        Some((create.len(), failures.len(), middle(create)?, p99))
    };
    judge_at(
        "200 creates by 16 clients at once: no failure, p99 ≤ 10 × median",
        200,
        crowd.and_then(times),
        |(succeeded, failed, median, p99)| {
            let ratio = p99 / median;
            let text = format!("{failed} failed, {p99:.1} ms / {median:.1} ms = {ratio:.1}");
            (succeeded + failed, text, failed == 0 && ratio <= 10.0)
        },
    )
}

fn restart(restart: Option<&Restart>) -> Verdict {
    let found = restart.and_then(|restart| Some((restart.sandboxes, middle(&restart.ready)?)));
    let promise = "killed and started again with 500 sandboxes running: ready in ≤ 2 s";
    judge_at(promise, 500, found, |(sandboxes, ready)| {
        (sandboxes, format!("{ready:.0} ms"), ready <= 2000.0)
    })
}

fn session_exec(sessions: Option<&Sessions>) -> Verdict {
    let medians = sessions.and_then(|found| middle(&found.exec).zip(middle(&found.bare)));
    judge("exec in a session ≤ 2 ms over the command itself", medians, |exec, bare| {
        let over = exec - bare;
        (format!("{exec:.2} ms − {bare:.2} ms = {over:.2} ms"), over <= 2.0)
    })
}

fn log_stream(sessions: Option<&Sessions>) -> Verdict {
    let medians = sessions.and_then(|found| middle(&found.bare_kept).zip(middle(&found.stream)));
    judge(
        "a log that is followed ≥ 60 % of a bare local socket and file",
        medians,
        |bare, stream| {
            let share = bare / stream * 100.0;
            (format!("{bare:.0} ms / {stream:.0} ms = {share:.0} %"), share >= 60.0)
        },
    )
}

fn code(code: Option<&Code>) -> Verdict {
    let found = code.and_then(|found| middle(&found.later).zip(middle(&found.bare_python)));
    judge("code_run of `print(1)` ≤ 0.6 × bare `python3 -c 'print(1)'`", found, |run, bare| {
        let ratio = run / bare;
        (format!("{run:.2} ms / {bare:.2} ms = {ratio:.2}"), ratio <= 0.6)
    })
}

fn interpreter(interpreters: Option<&Interpreters>) -> Verdict {
    let found = interpreters.and_then(|found| middle(&found.round_trip)).zip(Some(()));
    judge("a trivial run in an interpreter's context ≤ 2 ms", found, |round_trip, ()| {
        (format!("{round_trip:.2} ms"), round_trip <= 2.0)
    })
}

fn keystroke(terminals: Option<&Terminals>) -> Verdict {
    let found = terminals.and_then(|found| middle(&found.echo)).zip(Some(()));
    judge("a key in a terminal is shown ≤ 1 ms later", found, |echo, ()| {
        (format!("{echo:.2} ms"), echo <= 1.0)
    })
}

fn tool(mcp: Option<&Mcp>) -> Verdict {
    let medians = mcp.and_then(|found| middle(&found.call).zip(middle(&found.bare)));
    judge("execute_shell over MCP ≤ 1 ms over its toolbox call", medians, |call, bare| {
        let over = call - bare;
        (format!("{call:.2} ms − {bare:.2} ms = {over:.2} ms"), over <= 1.0)
    })
}

/// What an image of 150 MB has at least: its layers are folders of another one, and change a little with it.
const ABOUT_150: usize = 140;

fn images(images: Option<&Images>) -> Verdict {
    let found = images.and_then(|found| {
        let megabytes = usize::try_from(found.megabytes).ok()?;
        Some((megabytes, middle(&found.peer)?, middle(&found.pull)?))
    });
    let promise = "an image of 150 MB comes at ≥ 0.8 × the speed of `skopeo copy` + `tar x`";
    judge_at(promise, ABOUT_150, found, |(megabytes, peer, pull)| {
        let ratio = peer / pull;
        (megabytes, format!("{peer:.0} ms / {pull:.0} ms = {ratio:.2}"), ratio >= 0.8)
    })
}

fn snapshots(snapshots: Option<&Snapshots>) -> Verdict {
    let medians = snapshots.and_then(|found| middle(&found.xfs.full).zip(middle(&found.xfs.empty)));
    judge("snapshot of 1 GiB ≤ 2 × an empty one, XFS", medians, |full, empty| {
        let ratio = full / empty;
        (format!("{full:.2} ms / {empty:.2} ms = {ratio:.2}"), ratio <= 2.0)
    })
}

fn builds(builds: Option<&Builds>) -> Verdict {
    let medians = builds.and_then(|found| middle(&found.again).zip(middle(&found.anew)));
    let promise = "a rebuild of which every step is known ≤ 100 ms, until the snapshot is active";
    judge(promise, medians, |again, anew| {
        (format!("{again:.1} ms; {anew:.0} ms where nothing is known"), again <= 100.0)
    })
}

fn warm(warm: Option<&Warm>) -> Verdict {
    let found = warm.and_then(|found| middle(&found.warm)).zip(Some(()));
    judge("create from a pool ≤ 1.5 ms", found, |warm, ()| (format!("{warm:.2} ms"), warm <= 1.5))
}

fn warm_beside_cold(warm: Option<&Warm>) -> Verdict {
    let medians = warm.and_then(|found| middle(&found.warm).zip(middle(&found.cold)));
    judge("create from a pool ≥ 4 times faster than from nothing", medians, |warm, cold| {
        let ratio = cold / warm;
        (format!("{cold:.2} ms / {warm:.2} ms = {ratio:.1} times faster"), ratio >= 4.0)
    })
}

fn idle(warm: Option<&Warm>) -> Verdict {
    let found = warm.and_then(|found| found.idle.first().zip(found.idle.last()));
    let promise = "1,000 sandboxes that do nothing take ≤ 1.5 MiB each, the kernel's part included";
    judge_at(promise, 1000, found, |(first, last)| {
        let more = last.sandboxes - first.sandboxes.min(last.sandboxes);
        let kib = last.total_kib().saturating_sub(first.total_kib());
        let each = u64::try_from(more).ok().and_then(|more| kib.checked_div(more)).unwrap_or(0);
        (more, format!("{each} KiB"), each <= 1536)
    })
}

fn median(results: &Results, measure: Measure) -> Option<f64> {
    middle(results.samples(measure)?)
}

fn middle(samples: &Samples) -> Option<f64> {
    samples.median().map(|Milliseconds(number)| number)
}

fn judge<T>(
    promise: &'static str,
    medians: Option<(f64, T)>,
    judge: impl FnOnce(f64, T) -> (String, bool),
) -> Verdict {
    let Some((first, second)) = medians else {
        return Verdict { promise, found: "not measured".to_owned(), is_reached: None };
    };
    let (found, is_reached) = judge(first, second);
    Verdict { promise, found, is_reached: Some(is_reached) }
}

/// The same for a promise about so many things: `judge` gives how many there were, and fewer show nothing.
fn judge_at<T>(
    promise: &'static str,
    promised: usize,
    found: Option<T>,
    judge: impl FnOnce(T) -> (usize, String, bool),
) -> Verdict {
    let Some(found) = found else {
        return Verdict { promise, found: "not measured".to_owned(), is_reached: None };
    };
    let (count, found, is_reached) = judge(found);
    Verdict { promise, found, is_reached: (count >= promised).then_some(is_reached) }
}
