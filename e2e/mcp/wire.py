"""MCP as it travels: for what no client would send, and for going away at the wrong moment."""

import http.client
import json
import subprocess
import urllib.parse

MODERN = "2026-07-28"


def meta(**capabilities):
    prefix = "io.modelcontextprotocol"
    return {
        f"{prefix}/protocolVersion": MODERN,
        f"{prefix}/clientCapabilities": capabilities,
        f"{prefix}/clientInfo": {"name": "wire", "version": "1"},
    }


def message(method, params=None, number=1, **capabilities):
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": {**(params or {}), "_meta": meta(**capabilities)}}


def headers(sent, key=None):
    wanted = {
        "Accept": "application/json, text/event-stream",
        "Content-Type": "application/json",
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": sent["method"],
    }
    name = sent["params"].get("name") or sent["params"].get("uri") or sent["params"].get("taskId")
    if name:
        wanted["Mcp-Name"] = name
    if key:
        wanted["X-API-Key"] = key
    return wanted


def connection(url):
    place = urllib.parse.urlsplit(url)
    return http.client.HTTPConnection(place.hostname, place.port, timeout=60)


def post(url, sent, key=None, extra=None, body=None):
    """Sends a message and reads the answer: its status, its headers, its JSON if it is any."""
    open_connection = connection(url)
    try:
        content = json.dumps(sent) if body is None else body
        path = urllib.parse.urlsplit(url).path
        open_connection.request("POST", path, content, {**headers(sent, key), **(extra or {})})
        answer = open_connection.getresponse()
        text = answer.read().decode()
        kind = answer.headers.get("content-type", "")
        if kind.startswith("text/event-stream"):
            events = [json.loads(line[5:]) for line in text.splitlines() if line.startswith("data:") and line[5:].strip()]
            return answer.status, answer.headers, events
        return answer.status, answer.headers, json.loads(text) if kind.startswith("application/json") else text
    finally:
        open_connection.close()


def call(url, key, name, arguments, **capabilities):
    """Calls a tool: its result."""
    status, _, answer = post(url, message("tools/call", {"name": name, "arguments": arguments}, **capabilities), key)
    assert status == 200, answer
    answer = answer[-1] if isinstance(answer, list) else answer
    return answer["result"]


class Stdio:
    """A process that speaks MCP on its standard input and output."""

    def __init__(self, stdio):
        command, arguments, environment = stdio
        self.process = subprocess.Popen(
            [command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, bufsize=1
        )

    def send(self, sent):
        self.process.stdin.write(json.dumps(sent) + "\n")
        self.process.stdin.flush()

    def receive(self):
        return json.loads(self.process.stdout.readline())

    def close(self):
        """Hangs up and waits for its end: its exit code."""
        self.process.stdin.close()
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.process.stdout.close()
