#!/usr/bin/env python3
"""A language server for tests. What it does wrong is in the variable MISDEED; what it was told is in the file told."""
import json
import os
import sys
import time

MISDEED = os.environ.get("MISDEED", "")
told = open("told", "a", buffering=1)
documents = {}


def send(message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    sys.stdout.buffer.flush()


def receive():
    length = 0
    while True:
        line = sys.stdin.buffer.readline()
        if not line:
            sys.exit(0)
        if line == b"\r\n":
            return json.loads(sys.stdin.buffer.read(length))
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])


def place(line, character):
    return {"line": line, "character": character}


def answer(method, params):
    uri = params.get("textDocument", {}).get("uri", "")
    if method == "initialize":
        return {"capabilities": {"workspaceSymbolProvider": MISDEED != "no-search"}}
    if method == "textDocument/completion":
        position = params["position"]
        label = f"{documents.get(uri)}@{position['line']}:{position['character']}"
        return {"isIncomplete": False, "items": [{"label": label, "documentation": "plain"}, 7]}
    if method == "textDocument/documentSymbol":
        # One for each word, as editors get them: in each other.
        text = documents.get(uri)
        if text is None:
            text = open(uri.removeprefix("file://"), encoding="utf-8").read()
        symbol = None
        for number, word in reversed(list(enumerate(text.split()))):
            range = {"start": place(number, 0), "end": place(number, len(word))}
            inner = [symbol] if symbol else []
            symbol = {"name": word, "kind": 12, "range": range, "selectionRange": range, "children": inner}
        return [symbol] if symbol else None
    if method == "workspace/symbol":
        location = {"uri": "file:///somewhere"}
        return [{"name": "found " + params["query"], "kind": 5, "location": location}]
    return None


if MISDEED == "dies-at-once":
    print("ImportError: no module named jedi", file=sys.stderr)
    sys.exit(3)
if MISDEED == "garbage":
    print("Welcome to the language server!\r\n\r\n", flush=True)
LENGTHS = {
    "giant-length": b"Content-Length: 16777217\r\n\r\n",
    "overflowing-length": b"Content-Length: 184467440737095516170\r\n\r\n",
    "negative-length": b"Content-Length: -1\r\n\r\n",
    "two-lengths": b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n",
    "binary": bytes(range(256)) * 64,
    "endless-header": b"X: " + b"x" * 5000,
}
if MISDEED in LENGTHS:
    sys.stdout.buffer.write(LENGTHS[MISDEED])
    sys.stdout.buffer.flush()
    time.sleep(1000)
if MISDEED == "child":
    if os.fork() == 0:
        while True:
            time.sleep(1000)
if MISDEED == "daemon":
    # Twice away from its parent, in a session of its own.
    if os.fork() == 0:
        os.setsid()
        if os.fork() != 0:
            os._exit(0)
        with open("child.new", "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        os.rename("child.new", "child")
        while True:
            time.sleep(1000)
if MISDEED == "asks-first":
    for number, method in enumerate(
        ["workspace/configuration", "client/registerCapability", "workspace/applyEdit", "made/up"]
    ):
        send({"id": f"q{number}", "method": method, "params": {"items": [{}, {}]}})
        reply = receive()
        while "method" in reply:
            initialize = reply
            reply = receive()
        told.write(json.dumps({key: reply.get(key) for key in ("id", "result", "error")}) + "\n")
    send({"id": initialize["id"], "result": answer("initialize", {})})
if MISDEED == "deaf":
    time.sleep(1000)
if MISDEED == "asks-without-end":
    while True:
        send({"id": 1, "method": "workspace/configuration", "params": {"items": [{}] * 1000}})

while True:
    message = receive()
    method, params = message.get("method", ""), message.get("params", {})
    if method.startswith("textDocument/did"):
        item = params["textDocument"]
        if method == "textDocument/didOpen":
            documents[item["uri"]] = item["text"]
        elif method == "textDocument/didChange":
            documents[item["uri"]] = params["contentChanges"][0]["text"]
        else:
            documents.pop(item["uri"], None)
        told.write(f"{method} {item['uri']} {item.get('languageId')} {item.get('version')}\n")
        continue
    if method.startswith("$/"):
        told.write(f"{method} {params}\n")
        continue
    if "id" not in message:
        continue
    if method == "textDocument/completion":
        if MISDEED == "crashes":
            print("thread 'main' panicked", file=sys.stderr)
            os.kill(os.getpid(), 9)
        if MISDEED == "hangs":
            told.write("asked\n")
            continue
        if MISDEED == "refuses":
            send({"id": message["id"], "error": {"code": -32603, "message": "index out of range"}})
            continue
        if MISDEED == "nonsense":
            send({"id": message["id"], "result": 7})
            continue
        if MISDEED == "flood":
            noise = {"method": "window/logMessage", "params": {"message": "x" * 60_000}}
            for _ in range(2000):
                send(noise)
    send({"id": message["id"], "result": answer(method, params)})
