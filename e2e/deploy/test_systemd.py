"""The units, as systemd reads them, and the processes with the privilege that the units leave them."""

import json
import os
import pathlib
import re
import shutil
import tempfile

import pytest
from conftest import DEPLOY, PITLANE, ROOT, TOOLS, Program, ask, plain_environment, run, tool, use

UNITS = DEPLOY / "systemd"
NOBODY = 64321
# The most that `systemd-analyze security` may find, in tenths of its points.
EXPOSURE = {"pitlane.service": 84, "pitlane-mcp.service": 12, "pitlane-ready.service": 15}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A file system with the units installed, and with programs at the places that they name."""
    root = tmp_path_factory.mktemp("root")
    units = root / "etc/systemd/system"
    shutil.copytree(UNITS, units)
    own = next(path for path in [pathlib.Path("/usr/lib/systemd/system"), TOOLS / "lib/systemd/system"] if path.is_dir())
    shutil.copytree(own, root / "usr/lib/systemd/system", symlinks=True)
    for unit in UNITS.glob("*.service"):
        program = root / re.search(r"^ExecStart=/(\S+)", unit.read_text(), re.M).group(1)
        program.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/true", program)
    return root


def analyze(*arguments):
    program = tool("systemd-analyze")
    libraries = f"{TOOLS}/usr/lib/x86_64-linux-gnu/systemd:{TOOLS}/usr/lib/x86_64-linux-gnu"
    more = {"LD_LIBRARY_PATH": libraries} if str(TOOLS) in program else {}
    return run(program, *arguments, env={"PATH": os.environ["PATH"], "SYSTEMD_COLORS": "0", **more})


def settings(name):
    """The values of a unit's keys, in order."""
    values = {}
    for line in (UNITS / name).read_text().splitlines():
        key, separator, value = line.partition("=")
        if separator and not line.startswith(("#", "[")):
            values.setdefault(key, []).append(value)
    return values


def command(name):
    return settings(name)["ExecStart"][0].split()


def capabilities(name):
    return " ".join(settings(name)["CapabilityBoundingSet"]).split()


def test_systemd_accepts_every_unit(root):
    names = [unit.name for unit in UNITS.iterdir()]
    # What it does not know it only warns of.
    assert analyze("verify", f"--root={root}", "--man=no", *names) == ""


def test_a_misspelt_key_would_be_noticed(root):
    unit = root / "etc/systemd/system/misspelt.service"
    unit.write_text("[Service]\nExecStart=/usr/local/bin/pitlane\nProtectHomes=yes\n")
    try:
        assert "ProtectHomes" in analyze("verify", f"--root={root}", "--man=no", unit.name)
    finally:
        unit.unlink()


@pytest.mark.parametrize("name", sorted(EXPOSURE))
def test_a_service_is_not_exposed_more_than_it_has_to_be(root, name):
    found = analyze("security", "--offline=true", f"--root={root}", "--json=short", name)
    assert json.loads(found)
    analyze("security", "--offline=true", f"--root={root}", f"--threshold={EXPOSURE[name]}", "--no-pager", name)


@pytest.mark.parametrize("name,words", [("pitlane.service", ["serve"]), ("pitlane-mcp.service", ["mcp", "serve"])])
def test_the_arguments_are_ones_that_the_program_takes(name, words):
    given = command(name)[1:]
    assert given[: len(words)] == words
    help_text = run(PITLANE, *words, "--help")
    for argument in given[len(words) :]:
        assert argument.split("=")[0] in help_text, argument


def test_a_restart_of_the_server_leaves_its_sandboxes_alone():
    found = settings("pitlane.service")
    assert found["KillMode"] == ["process"]
    assert found["RuntimeDirectoryPreserve"] == ["yes"]


def test_nothing_that_sandboxes_would_inherit_is_on_the_server():
    # Filters of system calls, and no-new-privileges: with them sandboxes have no sudo.
    inherited = {"NoNewPrivileges", "SystemCallFilter", "SystemCallArchitectures", "MemoryDenyWriteExecute"}
    inherited |= {"LockPersonality", "RestrictRealtime", "RestrictSUIDSGID", "RestrictNamespaces", "ProtectHostname"}
    inherited |= {"RestrictAddressFamilies", "ProtectKernelLogs", "ProtectKernelModules", "ProtectClock"}
    assert not inherited & settings("pitlane.service").keys()


def read_only(*writable):
    """A shell's line that makes every mount of its own namespace read-only, but for some folders and the kernel's own."""
    lines = [f"mount --bind '{folder}' '{folder}'" for folder in writable]
    lines += [
        "kept() { case \"$1\" in /proc|/proc/*|/sys|/sys/*|/dev|/dev/*%s) return 0;; esac; return 1; }"
        % "".join(f"|'{folder}'" for folder in writable),
        "while read -r _ _ _ _ point _; do",
        '  kept "$point" || mount -o remount,bind,ro "$point"',
        "done </proc/self/mountinfo",
    ]
    return "\n".join(["set -eu", *lines])


@pytest.fixture
def open_folder():
    with tempfile.TemporaryDirectory(prefix="pitlane-e2e-") as folder:
        os.chmod(folder, 0o755)
        yield pathlib.Path(folder)


def test_the_mcp_server_runs_as_nobody_on_a_read_only_file_system(watched, tmp_path, open_folder):
    """As both the unit and the container run it: no capability, no new privileges, nothing to write to."""
    server, _ = watched
    given = [argument for argument in command("pitlane-mcp.service")[1:] if not argument.startswith("--api-url=")]
    given = [re.sub(r"=127\.0\.0\.1:\d+$", "=127.0.0.1:0", argument) for argument in given]
    # Where the program is may be a folder that nobody else enters: a copy is started.
    program = open_folder / "pitlane"
    shutil.copy(PITLANE, program)
    drop = f"setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
    line = f"{read_only()}\nexec {drop} {program} {' '.join(given)} --api-url={server.url} --json"
    shell = ["unshare", "--mount", "--propagation", "private", "sh", "-c", line]
    mcp = Program(shell, tmp_path / "mcp.log", plain_environment())
    try:
        about = pathlib.Path(f"/proc/{mcp.process.pid}")
        status = dict(line.split(":\t", 1) for line in (about / "status").read_text().splitlines() if ":\t" in line)
        assert status["Uid"].split() == status["Gid"].split() == [str(NOBODY)] * 4
        assert {status[f"Cap{which}"].strip("0") for which in ["Inh", "Prm", "Eff", "Bnd", "Amb"]} == {""}
        assert status["NoNewPrivs"] == "1"
        mounts = [line.split() for line in (about / "mountinfo").read_text().splitlines()]
        writable = [fields[4] for fields in mounts if "rw" in fields[5].split(",")]
        assert all(re.match("/(proc|sys|dev)(/|$)", point) for point in writable), writable
        use(mcp.ready["url"], server.key)
        assert "pitlane_tool_calls_total" in ask(mcp.ready["metrics"])
    finally:
        mcp.close()


def test_the_server_makes_real_sandboxes_with_the_units_capabilities_and_folders(tmp_path, open_folder):
    """Under the bounding set of the unit, and with the file system as ProtectSystem=strict leaves it."""
    if os.geteuid() != 0:
        pytest.fail("this makes a real sandbox: run it as root")
    # The path of a socket is short.
    state, runtime = open_folder / "state", open_folder / "run"
    images = pathlib.Path(os.environ.get("PITLANE_IMAGE_CACHE") or ROOT / ".cache/images")
    for folder in [state, runtime, images]:
        folder.mkdir(exist_ok=True, parents=True)
    daemon = os.environ.get("PITLANE_DAEMON")
    if not daemon and "PITLANE_BIN" not in os.environ:
        daemon = str(ROOT / "target/x86_64-unknown-linux-musl/debug/pitlane-daemon")
    kept = ",".join("+" + name.lower().removeprefix("cap_") for name in capabilities("pitlane.service"))
    serve = [PITLANE, "serve", "--listen", "127.0.0.1:0", "--json", "--state", str(state), "--run-dir", str(runtime)]
    serve += ["--image-cache", str(images), "--image", "minimal", "--prepared", "1", "--stop-sandboxes"]
    serve += ["--daemon", daemon] if daemon else []
    line = f"{read_only(state, runtime, images)}\nexec setpriv --bounding-set=-all,{kept} -- {' '.join(serve)}"
    server = Program(
        ["unshare", "--mount", "--propagation", "slave", "sh", "-c", line], tmp_path / "log", plain_environment()
    )
    try:
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        bounding = int(re.search(r"^CapBnd:\t([0-9a-f]+)$", status, re.M).group(1), 16)
        own = int(re.search(r"^CapBnd:\t([0-9a-f]+)$", pathlib.Path("/proc/self/status").read_text(), re.M).group(1), 16)
        # This machine may lack one itself.
        assert 0 < bounding.bit_count() <= len(capabilities("pitlane.service")) < own.bit_count()
        key = pathlib.Path(server.ready["key_file"]).read_text().strip()
        environment = plain_environment(PITLANE_API_URL=server.ready["url"], PITLANE_API_KEY=key)
        made = json.loads(run(PITLANE, "--json", "sandbox", "create", env=environment))["id"]
        words = ["sandbox", "exec", made, "--", "sh", "-c", "id -un; touch here; ls"]
        said = run(PITLANE, *words, env=environment)
        assert said.startswith("daytona\n") and "here\n" in said
        run(PITLANE, "sandbox", "stop", made, env=environment)
        run(PITLANE, "sandbox", "start", made, env=environment)
        assert "here" in run(PITLANE, "sandbox", "exec", made, "--", "ls", env=environment)
        run(PITLANE, "sandbox", "rm", made, env=environment)
    finally:
        server.close()
