"""Calls that take their time: progress, cancellation that ends the command, tasks."""

import json
import pathlib
import time
import urllib.request

import processes
import pytest
import wire
from waiting import eventually

TASKS = {"extensions": {"io.modelcontextprotocol/tasks": {}}}


@pytest.fixture(params=["beside", "apart"])
def url(request, mcp_url, apart):
    return {"beside": mcp_url, "apart": apart.url}[request.param]


@pytest.fixture
def box(server, mcp_url):
    created = wire.call(mcp_url, server.key, "create_sandbox", {})["structuredContent"]["sandbox_id"]
    yield created
    wire.call(mcp_url, server.key, "delete_sandbox", {"sandbox_id": created})


def runs(server, mcp_url, box, seconds):
    """Whether `sleep` of so many seconds runs in the sandbox."""
    look = {"sandbox_id": box, "command": f"ps -eo args | grep -c '^slee[p] {seconds}$'"}
    return wire.call(mcp_url, server.key, "execute_shell", look)["structuredContent"]["stdout"].strip() == "1"


def sleeping(box, seconds, number=1, **capabilities):
    wanted = {"name": "execute_shell", "arguments": {"sandbox_id": box, "command": f"sleep {seconds}"}}
    return wire.message("tools/call", wanted, number, **capabilities)


def test_closing_the_stream_ends_the_command(url, server, mcp_url, box):
    sent = sleeping(box, 4001)
    connection = wire.connection(url)
    connection.request("POST", "/mcp", json.dumps(sent), wire.headers(sent, server.key))
    eventually(lambda: runs(server, mcp_url, box, 4001), "the command did not begin")
    connection.close()
    eventually(lambda: not runs(server, mcp_url, box, 4001), "the command goes on")


def test_a_word_on_standard_input_ends_the_command(server, mcp_url, stdio, box):
    client = wire.Stdio(stdio)
    try:
        client.send(sleeping(box, 4002, 7))
        eventually(lambda: runs(server, mcp_url, box, 4002), "the command did not begin")
        cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}
        client.send(cancelled)
        eventually(lambda: not runs(server, mcp_url, box, 4002), "the command goes on")
        # The next call is answered as if nothing had been.
        client.send(wire.message("tools/call", {"name": "list_sandboxes", "arguments": {}}, 8))
        answer = client.receive()
        assert answer["id"] == 8, answer
    finally:
        assert client.close() == 0


def test_hanging_up_on_standard_input_ends_the_command(server, mcp_url, stdio, box):
    client = wire.Stdio(stdio)
    client.send(sleeping(box, 4003))
    eventually(lambda: runs(server, mcp_url, box, 4003), "the command did not begin")
    assert client.close() == 0
    eventually(lambda: not runs(server, mcp_url, box, 4003), "the command goes on")


def test_a_cancelled_call_of_an_earlier_revision_ends_the_command(url, server, mcp_url, box):
    legacy = {"MCP-Protocol-Version": "2025-11-25"}
    params = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "w", "version": "1"}}
    begin = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    _, headers, _ = wire.post(url, begin, server.key, legacy)
    legacy["Mcp-Session-Id"] = headers["mcp-session-id"]
    sent = {**sleeping(box, 4004, 5)}
    del sent["params"]["_meta"]
    connection = wire.connection(url)
    connection.request("POST", "/mcp", json.dumps(sent), {**wire.headers(sent, server.key), **legacy})
    eventually(lambda: runs(server, mcp_url, box, 4004), "the command did not begin")
    cancelled = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 5}}
    assert wire.post(url, cancelled, server.key, legacy)[0] == 202
    eventually(lambda: not runs(server, mcp_url, box, 4004), "the command goes on")
    connection.close()


def test_a_process_that_stops_says_so_to_whoever_waits_and_ends_their_commands(server, mcp_url, box):
    process = processes.McpProcess(api_url=server.url)
    sent = sleeping(box, 4007)
    connection = wire.connection(process.url)
    connection.request("POST", "/mcp", json.dumps(sent), wire.headers(sent, server.key))
    rest = wire.connection(process.url)
    asked = {"sandbox_id": box, "command": "sleep 4008"}
    headers = {"X-API-Key": server.key, "Content-Type": "application/json"}
    rest.request("POST", "/execute_shell", json.dumps(asked), headers)
    for seconds in (4007, 4008):
        eventually(lambda seconds=seconds: runs(server, mcp_url, box, seconds), "the command did not begin")
    process.close()
    told = json.load(connection.getresponse())["result"]
    assert told["isError"] and "this server stops" in told["content"][0]["text"], told
    assert "this server stops" in json.load(rest.getresponse())["message"]
    for seconds in (4007, 4008):
        eventually(lambda seconds=seconds: not runs(server, mcp_url, box, seconds), "the command goes on")


def test_progress_is_told_while_the_call_goes_on(url, server, box):
    wanted = {"sandbox_id": box, "command": "for i in 1 2 3; do echo line $i; sleep 1.2; done"}
    sent = wire.message("tools/call", {"name": "execute_shell", "arguments": wanted})
    sent["params"]["_meta"]["progressToken"] = "p"
    status, headers, events = wire.post(url, sent, server.key)
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    told = [event["params"] for event in events if event.get("method") == "notifications/progress"]
    assert told and all(one["progressToken"] == "p" for one in told), events
    progress = [one["progress"] for one in told]
    assert progress == sorted(set(progress))
    assert events[-1]["result"]["structuredContent"]["stdout"] == "line 1\nline 2\nline 3\n"


def test_a_log_is_polled_bit_by_bit_however_long_it_is(server, box):
    with processes.McpProcess(api_url=server.url) as process:

        def session(action, **more):
            result = wire.call(process.url, server.key, "exec_session", {"sandbox_id": box, "action": action, **more})
            assert not result.get("isError"), result
            return result["structuredContent"]

        begun = session("start", command="seq 20000; head -c 30000000 /dev/zero | tr '\\0' a; echo; echo end")["session_id"]
        eventually(lambda: not session("poll", session_id=begun)["running"], "it does not end")
        said, offset = "", 0
        while len(said) < 100_000:
            piece = session("poll", session_id=begun, offset=offset)
            said, offset = said + piece["output"], piece["next_offset"]
        assert said.startswith("".join(f"{number}\n" for number in range(1, 15_000)))
        last = session("poll", session_id=begun)
        assert last["output"].endswith("a\nend\n") and last["exit_code"] == 0
        assert session("poll", session_id=begun, offset=last["next_offset"])["output"] == ""
        # All of it would be 30 MB, several times.
        status = pathlib.Path(f"/proc/{process.process.pid}/status").read_text(encoding="ascii")
        peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1024
        assert peak < 80, peak


def task(url, key, method, task_id, **params):
    sent = wire.message(method, {"taskId": task_id, **params}, **TASKS)
    return wire.post(url, sent, key)[2]


def test_a_long_call_becomes_a_task_and_its_result_is_kept(url, server, box):
    wanted = {"sandbox_id": box, "command": "sleep 9; echo worked"}
    began = wire.call(url, server.key, "execute_shell", wanted, **TASKS)
    assert began["resultType"] == "task", began
    assert wire.call(url, server.key, "execute_shell", {"sandbox_id": box, "command": "echo quick"}, **TASKS)["resultType"] == "complete"

    def is_over():
        return task(url, server.key, "tasks/get", began["taskId"])["result"]["status"] != "working"

    eventually(is_over, "the task does not end")
    ended = task(url, server.key, "tasks/get", began["taskId"])["result"]
    assert ended["status"] == "completed"
    assert ended["result"]["structuredContent"]["stdout"] == "worked\n"


def test_a_cancelled_task_ends_its_command_and_belongs_to_its_key(url, server, mcp_url, box):
    sent = sleeping(box, 4005, **TASKS)
    _, _, answer = wire.post(url, sent, server.key)
    task_id = answer["result"]["taskId"]
    assert runs(server, mcp_url, box, 4005)
    other = wire.post(url, wire.message("tasks/get", {"taskId": task_id}, **TASKS), "dtn_nobodys")
    assert other[0] == 401
    assert task(url, server.key, "tasks/cancel", task_id)["result"]["resultType"] == "complete"
    eventually(lambda: not runs(server, mcp_url, box, 4005), "the command goes on")
    assert task(url, server.key, "tasks/get", task_id)["result"]["status"] == "cancelled"


def test_a_client_that_does_not_read_delays_nobody(url, server, box):
    silent = []
    for number in range(20):
        wanted = {"sandbox_id": box, "command": "seq 30000"}
        sent = wire.message("tools/call", {"name": "execute_shell", "arguments": wanted}, number)
        connection = wire.connection(url)
        connection.request("POST", "/mcp", json.dumps(sent), wire.headers(sent, server.key))
        silent.append(connection)
    began = time.monotonic()
    result = wire.call(url, server.key, "execute_shell", {"sandbox_id": box, "command": "echo heard"})
    assert result["structuredContent"]["stdout"] == "heard\n"
    assert time.monotonic() - began < 20
    for connection in silent:
        connection.close()


def test_calls_leave_room_for_the_requests_that_they_make():
    from server import Server

    server = Server(["--max-connections", "8"])
    try:
        url = server.url.removesuffix("/api") + "/mcp"
        box = wire.call(url, server.key, "create_sandbox", {})["structuredContent"]["sandbox_id"]

        def count():
            command = {"command": "ps -eo args | grep -c '^slee[p] 4006$'"}
            place = f"{server.url.removesuffix('/api')}/toolbox/{box}/process/execute"
            headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
            request = urllib.request.Request(place, json.dumps(command).encode(), headers)
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)["result"].strip()

        sleeping_calls = []
        for number in range(2):
            sent = sleeping(box, 4006, number)
            connection = wire.connection(url)
            connection.request("POST", "/mcp", json.dumps(sent), wire.headers(sent, server.key))
            sleeping_calls.append(connection)
        eventually(lambda: count() == "2", "the two calls do not go on")

        def is_refused():
            result = wire.call(url, server.key, "list_sandboxes", {})
            return result["isError"] and "Too many calls" in result["content"][0]["text"]

        assert is_refused()
        for connection in sleeping_calls:
            connection.close()
        eventually(lambda: not is_refused(), "no call is made any more")
        wire.call(url, server.key, "delete_sandbox", {"sandbox_id": box})
    finally:
        server.close()
