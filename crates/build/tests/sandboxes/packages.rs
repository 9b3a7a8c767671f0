//! Packages of Python and Node, from an index that the test serves inside the build.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pitlane_build::{BuildRequest, BuildSettings, Mirrors};

use crate::support::{Site, context, keep, repository, request};

crate::trials! {
    pip_installs_a_compiled_package_from_the_operators_index,
    npm_ci_installs_what_the_lock_says,
}

/// A compiled package, fetched once by this machine's own pip.
#[expect(clippy::disallowed_methods, reason = "a test fetches with the machine's own program")]
fn wheel() -> PathBuf {
    let folder = repository().join(".cache/wheels");
    let find = || {
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).find(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("MarkupSafe-"))
        })
    };
    find().unwrap_or_else(|| {
        let done = std::process::Command::new("python3")
            .args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"])
            .args(["--python-version", "3.11", "--platform", "manylinux2014_x86_64", "-d"])
            .arg(&folder)
            .arg("markupsafe==2.1.5")
            .status();
        assert!(done.is_ok_and(|status| status.success()), "pip can fetch a package");
        find().expect("a package")
    })
}

fn with_file(folder: &Path, name: &str, bytes: &[u8], others: &[(&str, &str)]) -> PathBuf {
    let mut archive = tar::Builder::new(Vec::new());
    let others = others.iter().map(|(name, text)| (*name, text.as_bytes()));
    for (name, bytes) in others.chain([(name, bytes)]) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, bytes).unwrap();
    }
    keep(folder, &archive.into_inner().unwrap())
}

/// Serves a folder to the command that follows.
const SERVE: &str = "cd /srv && (python3 -m http.server --bind 127.0.0.1 8000 >/dev/null 2>&1 &) && \
    python3 -c 'import socket, time\nend = time.time() + 20\nwhile time.time() < end:\n try: socket.create_connection((\"127.0.0.1\", 8000)); break\n except OSError: time.sleep(0.05)'";

async fn pip_installs_a_compiled_package_from_the_operators_index() {
    let wheel = wheel();
    let name = wheel.file_name().unwrap().to_string_lossy().into_owned();
    let variables =
        BTreeMap::from([("PIP_INDEX_URL".to_owned(), "http://127.0.0.1:8000/simple/".to_owned())]);
    let settings = BuildSettings { mirrors: Mirrors { variables }, ..BuildSettings::default() };
    let site = Site::start_with(settings).await;
    let index = format!("<a href=\"../../{name}\">{name}</a>");
    let archive = with_file(
        site.folder.path(),
        &name,
        &std::fs::read(&wheel).unwrap(),
        &[
            ("simple/markupsafe/index.html", index.as_str()),
            ("requirements.txt", "markupsafe==2.1.5\n"),
        ],
    );
    let dockerfile = format!(
        "FROM default\nCOPY . /srv/\nENV PIP_BREAK_SYSTEM_PACKAGES=1\nRUN <<EOF\nset -e\n{SERVE}\n\
         python3 -m pip install --no-cache-dir --no-input -r /srv/requirements.txt\nEOF\n"
    );
    let request = BuildRequest { contexts: vec![archive], ..request(&dockerfile) };
    let look = "python3 -c 'from markupsafe import _speedups; import markupsafe; print(markupsafe.escape(\"<\"))'";
    let seen = site.try_out(request, look).await;
    assert_eq!(seen, "&lt;\n");
    site.close().await;
}

async fn npm_ci_installs_what_the_lock_says() {
    let site = Site::start().await;
    // A package as npm packs one.
    let mut package =
        tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, text) in [
        ("package/package.json", r#"{"name":"lapcount","version":"1.2.3","main":"index.js"}"#),
        ("package/index.js", "module.exports = 'three laps';\n"),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        package.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    let package = package.into_inner().unwrap().finish().unwrap();
    let served = with_file(site.folder.path(), "served/lapcount-1.2.3.tgz", &package, &[]);
    let project = context(
        site.folder.path(),
        &[
            (
                "app/package.json",
                r#"{"name":"app","version":"1.0.0","dependencies":{"lapcount":"1.2.3"}}"#,
            ),
            (
                "app/package-lock.json",
                r#"{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{
                "":{"name":"app","version":"1.0.0","dependencies":{"lapcount":"1.2.3"}},
                "node_modules/lapcount":{"version":"1.2.3","resolved":"http://127.0.0.1:8000/lapcount-1.2.3.tgz"}}}"#,
            ),
            ("app/main.js", "console.log(require('lapcount'));\n"),
        ],
    );
    let dockerfile = format!(
        "FROM default AS build\nCOPY served /srv\nWORKDIR /app\nCOPY app/package*.json ./\nRUN <<EOF\nset -e\n{SERVE}\n\
         cd /app && npm ci --no-audit --no-fund\nEOF\n\
         FROM default\nWORKDIR /app\nCOPY app ./\nCOPY --from=build /app/node_modules ./node_modules\n"
    );
    let request = BuildRequest { contexts: vec![served, project], ..request(&dockerfile) };
    let seen = site.try_out(request, "cd /app && node main.js && ls -A").await;
    assert_eq!(seen, "three laps\nmain.js\nnode_modules\npackage-lock.json\npackage.json\n");
    site.close().await;
}
