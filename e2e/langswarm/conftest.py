"""What the tests share: a Pitlane server with real sandboxes, `pitlane mcp serve` in front of it, and the name `daytona`."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import types

import pytest
import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "e2e/python"))

from server import Server  # noqa: E402

BINARY = os.environ.get("PITLANE_BIN") or str(ROOT / "target/debug/pitlane")


@pytest.fixture(scope="session")
def server():
    """A server; whatever is left of sandboxes goes with it."""
    running = Server()
    yield running
    headers = {"Authorization": f"Bearer {running.key}"}
    listed = requests.get(f"{running.url}/sandbox", headers=headers, timeout=60).json()
    for sandbox in listed["items"]:
        requests.delete(f"{running.url}/sandbox/{sandbox['id']}", headers=headers, timeout=60)
    running.close()


@pytest.fixture(scope="session")
def environment(server):
    """What a process is told: the server, and nothing of whoever runs the tests."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    told = {"DAYTONA_API_URL": server.url, "DAYTONA_API_KEY": server.key}
    return {**kept, **told, "HOME": server.state, "XDG_CONFIG_HOME": server.state}


@pytest.fixture(scope="session")
def serve(environment):
    """Starts `pitlane mcp serve` with more arguments; answers with its address. Stops them all in the end."""
    started = []

    def start(*arguments, **variables):
        command = [BINARY, "mcp", "serve", "--listen", "127.0.0.1:0", "--json", *arguments]
        told = {**environment, **variables}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=told)
        started.append(process)
        line = process.stdout.readline()
        assert line, f"it ended with {process.wait()}"
        return json.loads(line)["url"].removesuffix("/mcp")

    yield start
    for process in started:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        process.stdout.close()


@pytest.fixture(scope="session")
def address(serve):
    """A surface whose callers need no key of their own."""
    return serve("--share-key")


@pytest.fixture(scope="session")
def daytona(environment):
    """The name `daytona`, first on this process' path, with its server; runs it, too."""
    folder = tempfile.mkdtemp(prefix="pitlane-daytona-")
    os.symlink(BINARY, os.path.join(folder, "daytona"))
    before = dict(os.environ)
    os.environ.update(environment)
    os.environ["PATH"] = folder + os.pathsep + environment["PATH"]

    def run(*arguments):
        ran = subprocess.run(["daytona", *arguments], capture_output=True, text=True, check=False, timeout=120)
        return types.SimpleNamespace(code=ran.returncode, out=ran.stdout, err=ran.stderr)

    yield run
    os.environ.clear()
    os.environ.update(before)
    shutil.rmtree(folder)


def pytest_ignore_collect(collection_path):
    """Each version of the package has its own tests: the tests of the other one cannot be imported."""
    from importlib.metadata import version

    wanted = "old" if version("langswarm").startswith("0.0.54") else "new"
    is_test = collection_path.name.startswith("test_")
    return True if is_test and f"_{wanted}_" not in collection_path.name else None
