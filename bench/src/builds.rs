//! Builds of a Dockerfile with files: every step done, and every step found.
//!
//! Through the API, from the request until the snapshot is active, as whoever changes nothing and builds again sees it.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use http::Method;
use serde_json::{Value, json};

use crate::connection::Connection;
use crate::options::Options;
use crate::program::{command, output};
use crate::quiet;
use crate::results::Builds;
use crate::server::{Server, borrow_image};

/// How often everything is done anew.
const ANEW: usize = 3;
/// How many files are copied.
const FILES: usize = 300;
/// Instructions that change files; the others only say something about the image.
const STEPS: usize = 6;
const DOCKERFILE: &str = r#"FROM default
USER root
ENV APP=/app VERSION=1
WORKDIR /app
COPY requirements.txt .
RUN mkdir -p vendor && sed 's/==.*//' requirements.txt > vendor/names
COPY src src
RUN python3 -m compileall -q src
COPY tests tests
RUN python3 -m unittest discover -q -s tests
LABEL version=$VERSION
EXPOSE 8000
CMD ["python3", "-m", "http.server", "8000"]
"#;
/// Between two looks at what is on its way.
const LOOK: Duration = Duration::from_millis(1);
/// Longer than any build here takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measures both.
pub(crate) async fn run(options: &Options) -> anyhow::Result<Builds> {
    std::fs::create_dir_all(&options.scratch)?;
    let scratch = tempfile::Builder::new().prefix("builds-").tempdir_in(&options.scratch)?;
    // Of its own: finished steps stay there.
    let own = Options { image_cache: scratch.path().join("images"), ..options.clone() };
    borrow_image(options, &own.image_cache)?;
    // Of a build that fails, sandboxes may be left.
    let server = Server::start(&own, &["--stop-sandboxes"])?;
    let mut connection = Connection::open(&server).await?;
    let measured = measure(&own, &server, &mut connection, scratch.path()).await;
    drop(connection);
    server.stop()?;
    measured
}

async fn measure(
    options: &Options,
    server: &Server,
    connection: &mut Connection,
    scratch: &Path,
) -> anyhow::Result<Builds> {
    let context = upload(options, server, connection, scratch).await?;
    let info = |is_anew: bool| json!({ "dockerfileContent": DOCKERFILE, "contextHashes": context, "noCache": is_anew });
    let mut builds = Builds { files: FILES, steps: STEPS, ..Builds::default() };
    for _ in 0..ANEW {
        let (took, log) = build(connection, info(true)).await?;
        ensure!(!log.contains("CACHED"), "something was found of a build anew:\n{log}");
        builds.anew.push(took);
    }
    for _ in 0..options.rounds {
        let (took, log) = build(connection, info(false)).await?;
        let found = log.matches("CACHED").count();
        ensure!(found == STEPS, "{found} of {STEPS} steps were found:\n{log}");
        builds.again.push(took);
        builds.sandbox.push(sandbox(connection, info(false)).await?);
    }
    Ok(builds)
}

/// Builds once by the command line, which uploads the files, and answers what they are called.
async fn upload(
    options: &Options,
    server: &Server,
    connection: &mut Connection,
    scratch: &Path,
) -> anyhow::Result<Value> {
    let folder = scratch.join("context");
    write_context(&folder)?;
    let mut build = command(&options.pitlane, ["image", "build", "--tag", "first"]);
    output(
        build
            .arg(&folder)
            .env("PITLANE_API_URL", server.url())
            .env("PITLANE_API_KEY", server.key()),
    )?;
    let first = connection.call(Method::GET, "/api/snapshots/first", None).await?;
    let first: Value = serde_json::from_slice(&first)?;
    let sandbox = connection.create_of(&json!({ "snapshot": "first" })).await?;
    let look =
        "find src -name '*.py' | wc -l; find src -name '*.pyc' | wc -l; head -1 vendor/names";
    let path = format!("/toolbox/{}/process/execute", sandbox.id);
    let body = json!({ "command": look, "cwd": "/app" });
    let seen = connection.call(Method::POST, &path, Some(body)).await?;
    connection.delete(&sandbox).await?;
    let seen: Value = serde_json::from_slice(&seen)?;
    ensure!(seen["result"] == format!("{FILES}\n{FILES}\nrequests\n"), "it holds {seen}");
    Ok(first["buildInfo"]["contextHashes"].clone())
}

/// Writes what is built: modules, a few tests, a list of packages.
fn write_context(folder: &Path) -> anyhow::Result<()> {
    for name in ["src", "tests"] {
        std::fs::create_dir_all(folder.join(name))?;
    }
    std::fs::write(folder.join("Dockerfile"), DOCKERFILE)?;
    std::fs::write(folder.join("requirements.txt"), "requests==2.32.0\nnumpy==2.1.0\n")?;
    for number in 0..FILES {
        let mut text = format!("\"\"\"Module {number}.\"\"\"\n\n");
        for function in 0..20 {
            write!(text, "def function_{function}(value):\n    return value + {number}\n\n")?;
        }
        std::fs::write(folder.join(format!("src/module_{number}.py")), text)?;
    }
    let test = "import unittest\n\nclass Test(unittest.TestCase):\n    def test(self):\n        self.assertEqual(1 + 1, 2)\n";
    for number in 0..10 {
        std::fs::write(folder.join(format!("tests/test_{number}.py")), test)?;
    }
    Ok(())
}

/// One snapshot, built and deleted: how long it took until it was active, and the log.
async fn build(connection: &mut Connection, info: Value) -> anyhow::Result<(Duration, String)> {
    quiet::settle().await;
    let wish = json!({ "name": "bench", "buildInfo": info });
    let started = Instant::now();
    let mut shown = connection.call(Method::POST, "/api/snapshots", Some(wish)).await?;
    let took = loop {
        let snapshot: Value = serde_json::from_slice(&shown)?;
        match snapshot["state"].as_str() {
            Some("active") => break started.elapsed(),
            Some("pending" | "building") if started.elapsed() < PATIENCE => {}
            _ => anyhow::bail!("it is not built: {snapshot}"),
        }
        tokio::time::sleep(LOOK).await;
        shown = connection.call(Method::GET, "/api/snapshots/bench", None).await?;
    };
    let snapshot: Value = serde_json::from_slice(&shown)?;
    let id = snapshot["id"].as_str().context("a snapshot has an id")?;
    let log =
        connection.call(Method::GET, &format!("/api/snapshots/{id}/build-logs"), None).await?;
    connection.call(Method::DELETE, &format!("/api/snapshots/{id}"), None).await?;
    Ok((took, String::from_utf8_lossy(&log).into_owned()))
}

/// The same for a sandbox of the build, until it is started.
async fn sandbox(connection: &mut Connection, info: Value) -> anyhow::Result<Duration> {
    quiet::settle().await;
    let started = Instant::now();
    let mut shown =
        connection.call(Method::POST, "/api/sandbox", Some(json!({ "buildInfo": info }))).await?;
    let made: Value = serde_json::from_slice(&shown)?;
    let path = format!("/api/sandbox/{}", made["id"].as_str().context("a sandbox has an id")?);
    let took = loop {
        let sandbox: Value = serde_json::from_slice(&shown)?;
        match sandbox["state"].as_str() {
            Some("started") => break started.elapsed(),
            Some("pending_build" | "building_snapshot" | "creating")
                if started.elapsed() < PATIENCE => {}
            _ => anyhow::bail!("it is not made: {sandbox}"),
        }
        tokio::time::sleep(LOOK).await;
        shown = connection.call(Method::GET, &path, None).await?;
    };
    connection.call(Method::DELETE, &path, None).await?;
    Ok(took)
}
