"""Backup and restore, with the very commands of docs/deployment.md, and a real sandbox's disk in it."""

import json
import os
import pathlib
import re
import shlex
import subprocess
import tempfile

import pytest
from conftest import PITLANE, ROOT, TOOLS, Program, plain_environment, run


def commands():
    """The two lines of the documentation that make an archive and unpack it."""
    text = (ROOT / "docs/deployment.md").read_text()
    found = re.findall(r"^tar --(?:create|extract) .*$", text, re.M)
    assert [line.split()[1] for line in found] == ["--create", "--extract"]
    return found


@pytest.fixture
def folder():
    # The path of a socket is short.
    with tempfile.TemporaryDirectory(prefix="pitlane-e2e-") as folder:
        yield pathlib.Path(folder)


def start(folder, state):
    command = [PITLANE, "serve", "--listen", "127.0.0.1:0", "--json", "--state", str(state)]
    command += ["--run-dir", str(folder / f"run-{state.name}"), "--image", "minimal", "--prepared", "0", "--stop-sandboxes"]
    command += ["--image-cache", os.environ.get("PITLANE_IMAGE_CACHE") or str(ROOT / ".cache/images")]
    daemon = os.environ.get("PITLANE_DAEMON")
    if daemon or "PITLANE_BIN" not in os.environ:
        command += ["--daemon", daemon or str(ROOT / "target/x86_64-unknown-linux-musl/debug/pitlane-daemon")]
    return Program(command, folder / "log", plain_environment())


def test_a_backup_brings_back_keys_and_the_disks_of_stopped_sandboxes(folder):
    before, after, archive = folder / "before", folder / "after", folder / "pitlane.tar.zst"
    server = start(folder, before)
    try:
        key = pathlib.Path(server.ready["key_file"]).read_text().strip()
        environment = plain_environment(PITLANE_API_URL=server.ready["url"], PITLANE_API_KEY=key)
        run(PITLANE, "sandbox", "create", "--name", "build", env=environment)
        run(PITLANE, "sandbox", "exec", "build", "--", "sh", "-c", "echo kept >file", env=environment)
        made = json.loads(run(PITLANE, "--json", "key", "create", "team", env=environment))
        team = next(value for value in made.values() if isinstance(value, str) and value.startswith("dtn_"))
        run(PITLANE, "sandbox", "stop", "build", env=environment)
    finally:
        server.close()
    after.mkdir(mode=0o700)
    for line in commands():
        here = line.replace("/backup/pitlane.tar.zst", str(archive))
        here = here.replace("/var/lib/pitlane", str(before if "--create" in line else after))
        # The compressor may be one that was unpacked.
        environment = {"PATH": f"{os.environ['PATH']}:{TOOLS}/usr/bin"}
        subprocess.run(shlex.split(here), check=True, timeout=300, env=environment)
    # The disk is mostly holes, and stays so.
    assert archive.stat().st_size < 64 << 20
    server = start(folder, after)
    try:
        environment = plain_environment(PITLANE_API_URL=server.ready["url"], PITLANE_API_KEY=team)
        run(PITLANE, "sandbox", "start", "build", env=environment)
        assert run(PITLANE, "sandbox", "exec", "build", "--", "cat", "file", env=environment) == "kept\n"
        run(PITLANE, "sandbox", "rm", "build", env=environment)
    finally:
        server.close()
