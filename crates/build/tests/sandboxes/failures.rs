//! Builds that fail, are given up, or are cut off.

use std::time::Duration;

use pitlane_build::{BuildLimits, BuildSettings, Log};
use pitlane_driver::Driver as _;

use crate::support::{Site, request};

crate::trials! {
    a_failure_says_which_step_and_why,
    a_build_that_is_given_up_leaves_nothing,
    a_build_takes_no_longer_than_it_may,
    what_a_command_leaves_running_ends_with_it,
    what_mounts_hide_is_bounded_together,
}

async fn a_failure_says_which_step_and_why() {
    let site = Site::start().await;
    for (dockerfile, wanted) in [
        (
            "FROM default\nRUN true\nRUN echo before; echo broken >&2; exit 7\n",
            "line 3: RUN echo before; echo broken >&2; exit 7: exit code 7\nbefore\nbroken",
        ),
        ("FROM default\nRUN [\"/nothing\"]\n", "line 2: RUN [\"/nothing\"]: cannot run /nothing"),
        (
            "FROM default\nUSER nobody-here\nRUN true\n",
            "line 3: RUN true: user \"nobody-here\" of the image",
        ),
        (
            "FROM default\nCOPY missing /x\n",
            "line 2: COPY missing /x: \"missing\" is not in the build context",
        ),
        ("FROM default\nCOPY --from=default /missing /x\n", "file not found: /missing"),
        ("FROM default\nRUN kill -9 $$\n", "exit code 137"),
        (
            "FROM default\nENV A=\"${B?it is needed}\"\n",
            "Dockerfile line 2: variable B: it is needed",
        ),
        ("FROM pitlane.invalid/steps/x:1\nRUN true\n", "is a name of this machine's own"),
        (
            format!(
                "FROM default\nARG A={}\nENV A1=$A A2=$A A3=$A\nENV B1=$A1$A2 B2=$A3$A1 B3=$A2$A3\n\
                 ENV C1=$B1$B2 C2=$B2$B3 C3=$B3$B1\n",
                "x".repeat(60_000)
            )
            .as_str(),
            "Dockerfile line 5: the image would say too much: its variables and labels have more than 1048576 bytes",
        ),
    ] {
        let outcome = site.build(request(dockerfile)).await;
        let reason = outcome.built.unwrap_err().to_string();
        assert!(reason.contains(wanted), "{dockerfile}\n{reason}");
        assert!(outcome.log.contains("error: "), "{}", outcome.log);
    }
    site.close().await;
}

async fn a_build_that_is_given_up_leaves_nothing() {
    let site = Site::start().await;
    let (said, mut heard) = tokio::sync::mpsc::channel(64);
    let log = Log::new(move |piece| drop(said.try_send(piece)));
    let dockerfile = "FROM default\nRUN echo done\nRUN echo waiting; sleep 1000\n";
    let building = site.builder.build(request(dockerfile), log);
    let waited = async {
        while let Some(piece) = heard.recv().await {
            if piece.starts_with(b"waiting") {
                return;
            }
        }
    };
    tokio::select! {
        built = building => panic!("{built:?}"),
        () = waited => {}
    }
    // Dropped: its sandbox goes, and what was finished stays.
    site.builder.finish().await;
    assert_eq!(site.engine.inventory().await.unwrap(), Vec::new());
    let again = site.build(request("FROM default\nRUN echo done\n")).await;
    assert!(again.log.contains("CACHED"), "{}", again.log);
    site.close().await;
}

async fn a_build_takes_no_longer_than_it_may() {
    let limits = BuildSettings::default().limits;
    let settings = BuildSettings {
        limits: BuildLimits { deadline: Duration::from_secs(2), ..limits },
        ..BuildSettings::default()
    };
    let site = Site::start_with(settings).await;
    let outcome = site.build(request("FROM default\nRUN sleep 1000\n")).await;
    let reason = outcome.built.unwrap_err().to_string();
    assert!(reason.starts_with("the build has taken longer than"), "{reason}");
    site.close().await;
}

async fn what_a_command_leaves_running_ends_with_it() {
    let site = Site::start().await;
    let dockerfile = "FROM default\nUSER root\nRUN (setsid sh -c 'sleep 1000; echo late > /late' >/dev/null 2>&1 &) ; echo on\n\
                      RUN ! pgrep -x sleep\n";
    let seen = site.try_out(request(dockerfile), "ls /late 2>&1 | wc -l").await;
    assert_eq!(seen, "1\n");
    site.close().await;
}

async fn what_mounts_hide_is_bounded_together() {
    let site = Site::start().await;
    let dockerfile = "FROM default\nUSER root\nRUN mkdir /a /b && head -c 40M /dev/zero | tee /a/x > /b/x\n\
                      RUN --mount=type=cache,target=/a ls -A /a && test ! -e /a/x\n\
                      RUN --mount=type=cache,target=/a --mount=type=tmpfs,target=/b true\n";
    let outcome = site.build(request(dockerfile)).await;
    let reason = outcome.built.unwrap_err().to_string();
    assert!(
        reason.ends_with(": with /b, the mounts hide more than 64 MiB, which they cannot"),
        "{reason}"
    );
    assert!(reason.starts_with("line 5: "), "{reason}");
    site.close().await;
}
