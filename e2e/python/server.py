"""A Pitlane server of the tests' own: real binary, real sandboxes, a state folder that goes away with it."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 600  # The first start on a machine bootstraps the default image.


class Server:
    """Started by `Server()`, stopped by `close()`; `url` and `key` are what a user would export."""

    def __init__(self, flags=()):
        if os.geteuid() != 0:
            raise RuntimeError("these tests make real sandboxes: run them as root")
        named = os.environ.get("PITLANE_BIN")
        binary = named or str(ROOT / "target/debug/pitlane")
        if not os.access(binary, os.X_OK):
            raise RuntimeError(f"no server at {binary}: run `cargo build -p pitlane` or set PITLANE_BIN")
        self.state = tempfile.mkdtemp(prefix="pitlane-e2e-")
        self.log_path = os.path.join(self.state, "server.log")
        command = [binary, "serve", "--state", os.path.join(self.state, "state"), "--listen", "127.0.0.1:0", "--json"]
        command += ["--run-dir", os.path.join(self.state, "run")]
        daemon = os.environ.get("PITLANE_DAEMON")
        if daemon or not named:  # A binary that was named has its daemon inside, or the daemon is named as well.
            command += ["--daemon", daemon or str(ROOT / "target/x86_64-unknown-linux-musl/debug/pitlane-daemon")]
        cache = os.environ.get("PITLANE_IMAGE_CACHE") or str(ROOT / ".cache/images")
        command += ["--image-cache", cache, *flags]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=self.state)
        try:
            ready = self._ready()
        except BaseException:
            self.close()
            raise
        self.ready = ready
        self.url = ready["url"]
        self.key = ready.get("key") or pathlib.Path(ready["key_file"]).read_text(encoding="ascii").strip()

    def _ready(self):
        """The server's ready line. A server that ends first tells why in its log."""
        signal.signal(signal.SIGALRM, _too_late)
        signal.alarm(START_SECONDS)
        try:
            line = self.process.stdout.readline()
        finally:
            signal.alarm(0)
        if not line:
            raise RuntimeError(f"the server ended with {self.process.wait()}:\n{self.log()}")
        return json.loads(line)

    def log(self):
        """What the server has written to its log so far."""
        return pathlib.Path(self.log_path).read_text(encoding="utf-8", errors="replace")

    def memory_kib(self, kind="VmRSS"):
        """The server's memory, from /proc."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(re.search(rf"^{kind}:\s+(\d+) kB", status, re.M).group(1))

    def close(self):
        """Asks the server to stop and removes its state. A server that does not stop in 30 s is killed and reported."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError(f"the server did not stop:\n{self.log()}") from None
        finally:
            self.process.stdout.close()
        if status != 0:
            raise RuntimeError(f"the server ended with {status}:\n{self.log()}")
        shutil.rmtree(self.state, ignore_errors=True)


def _too_late(_signal, _frame):
    raise RuntimeError(f"the server was not ready after {START_SECONDS} s")
