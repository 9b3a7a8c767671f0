"""What the tests of deploy/ share: the programs that check it, and a server with its MCP server to watch."""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / ".cache/deploy-tools"
PITLANE = os.environ.get("PITLANE_BIN") or str(ROOT / "target/debug/pitlane")
DEADLINE_SECONDS = 60


def tool(name):
    """A program of the machine's, else the one that setup.sh unpacked."""
    path = shutil.which(name) or shutil.which(name, path=f"{TOOLS}/usr/bin:{TOOLS}/usr/sbin:{TOOLS}/bin")
    assert path, f"no {name}: run e2e/deploy/setup.sh"
    return path


def run(*command, **more):
    """Runs a program to its end; fails with what it said."""
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, **more
    )
    assert ended.returncode == 0, f"{' '.join(map(str, command))} ended with {ended.returncode}:\n{ended.stdout}"
    return ended.stdout


def ask(url, body=None, headers=None):
    """An answer's text."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers or {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def wait_for(what, condition):
    """Asks until there is an answer that is true, and gives it."""
    until = time.monotonic() + DEADLINE_SECONDS
    while True:
        last = None
        try:
            last = condition()
        except (urllib.error.URLError, ConnectionError, KeyError, IndexError) as failure:
            last = failure
        if last and not isinstance(last, Exception):
            return last
        assert time.monotonic() < until, f"{what} did not come about; at last: {last}"
        time.sleep(0.05)


class Program:
    """A process that says in one line of JSON when it is ready, and ends with the test."""

    def __init__(self, command, log, environment=None):
        self.log = log
        with open(log, "wb") as said:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, env=environment)
        line = self.process.stdout.readline()
        assert line, f"{command} ended with {self.process.wait()}:\n{log.read_text()}"
        self.ready = json.loads(line)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(60) == 0, self.log.read_text()
        finally:
            self.process.kill()
            self.process.stdout.close()


def plain_environment(**more):
    """Variables without those of whoever runs the tests."""
    return {"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": "/nowhere", **more}


@contextlib.contextmanager
def pitlane_server(folder, *flags):
    """A server whose sandboxes are made up; `url` and `key` are what a user would export."""
    command = [PITLANE, "serve", "--driver", "fake", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--json"]
    command += ["--state", str(folder / "state"), "--run-dir", str(folder / "run"), *flags]
    server = Program(command, folder / "server.log", plain_environment())
    try:
        server.url = server.ready["url"]
        server.key = pathlib.Path(server.ready["key_file"]).read_text().strip()
        yield server
    finally:
        server.close()


def call_tool(url, key, name, **arguments):
    """Calls a tool of an MCP server, as clients of the latest revision do."""
    revision = "2026-07-28"
    about = {"io.modelcontextprotocol/protocolVersion": revision, "io.modelcontextprotocol/clientCapabilities": {}}
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": name, "arguments": arguments, "_meta": about},
    }
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": revision,
        "Mcp-Method": "tools/call",
        "Mcp-Name": name,
        "X-API-Key": key,
    }
    text = ask(url, body, headers)
    # One answer, or a stream of events of which the last is the answer.
    lines = [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
    answer = json.loads([line for line in lines if line][-1] if lines else text)
    assert "result" in answer and not answer["result"].get("isError"), answer
    return answer["result"]


def use(url, key):
    """What an agent does: a sandbox, a command, and no sandbox any more."""
    made = call_tool(url, key, "create_sandbox")
    sandbox = made["structuredContent"]["sandbox_id"]
    ran = call_tool(url, key, "execute_shell", sandbox_id=sandbox, command="echo hello")
    assert ran["structuredContent"]["exit_code"] == 0, ran
    assert "hello" in ran["structuredContent"]["stdout"], ran
    gone = call_tool(url, key, "delete_sandbox", sandbox_id=sandbox)
    assert gone["structuredContent"]["success"] is True, gone


def metric_names(text):
    """The names that queries can ask for, out of what a process shows: a histogram has three."""
    names = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
        names |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
    return names


@pytest.fixture(scope="session")
def watched(tmp_path_factory):
    """A server and an MCP server that have been used a little, with something refused and something failed."""
    folder = tmp_path_factory.mktemp("watched")
    with pitlane_server(folder, "--limit-control-per-key", "1000/hour", "--limit-create-per-key", "30/hour") as server:
        command = [PITLANE, "mcp", "serve", "--api-url", server.url, "--listen", "127.0.0.1:0"]
        command += ["--metrics", "127.0.0.1:0", "--json"]
        mcp = Program(command, folder / "mcp.log", plain_environment())
        try:
            use(mcp.ready["url"], server.key)
            call_tool(mcp.ready["url"], server.key, "create_sandbox")
            with contextlib.suppress(urllib.error.HTTPError):
                call_tool(mcp.ready["url"], "dtn_wrong", "list_sandboxes")
            with contextlib.suppress(urllib.error.HTTPError):
                ask(f"{server.url}/sandbox/nobody", None, {"Authorization": f"Bearer {server.key}"})
            ask(f"{server.url}/health/ready")
            yield server, mcp
        finally:
            mcp.close()


def rules():
    """Every alert."""
    groups = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard():
    """The dashboard's JSON."""
    return json.loads((DEPLOY / "grafana/dashboards/pitlane.json").read_text())


def queries():
    """Every query of the dashboard and the alerts, with where it stands; variables filled in."""
    found = [(f"alert {rule['alert']}", rule["expr"]) for rule in rules()]
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            found.append((f"panel {panel['title']}", target["expr"]))
    return [
        (where, query.replace("$__rate_interval", "1m").replace("$instance", ".*")) for where, query in found
    ]
