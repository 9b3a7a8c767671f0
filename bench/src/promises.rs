//! The promised numbers, and whether one run reaches them.

use crate::results::{Measure, Results, Run};
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
        burst(&results.interactive.real.burst, results.interactive.real.burst.total.len()),
        density(results),
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
    let found = &results.interactive;
    let bare =
        middle(&found.bare_probe).zip(middle(&found.bare_node)).map(|(probe, node)| probe + node);
    let calls = middle(&found.fake.sequential.total);
    let medians = middle(&found.real.sequential.total).zip(bare.zip(calls));
    let promise = "time to interactive, one after another, ≤ 10 ms over bare commands and the same calls without sandboxes";
    judge(promise, medians, |real, (bare, calls)| {
        let over = real - bare - calls;
        let text =
            format!("{real:.1} ms - {bare:.1} ms bare - {calls:.1} ms calls = {over:.1} ms over");
        (text, over <= 10.0)
    })
}

fn burst(burst: &Run, succeeded: usize) -> Verdict {
    let failed = burst.failures.len();
    Verdict {
        promise: "a burst of 100 sandboxes without a failure",
        found: format!("{succeeded} succeeded, {failed} failed"),
        // A smaller burst shows nothing.
        is_reached: (succeeded + failed >= 100).then_some(failed == 0),
    }
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
