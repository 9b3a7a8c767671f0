"""Callers who want more than their share, and sandboxes that say what nobody should read as it is."""

import base64
import json
import pathlib
import time
import urllib.request

import processes
import pytest
import wire
from waiting import eventually

MOST_OF_ONE = 128


@pytest.fixture
def box(server, mcp_url):
    created = wire.call(mcp_url, server.key, "create_sandbox", {})["structuredContent"]["sandbox_id"]
    yield created
    wire.call(mcp_url, server.key, "delete_sandbox", {"sandbox_id": created})


def another_key(server):
    create = urllib.request.Request(
        f"{server.url}/api-keys",
        json.dumps({"name": f"mcp-{time.time_ns()}", "permissions": ["write:sandboxes"]}).encode(),
        {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(create, timeout=10) as answer:
        return json.load(answer)["value"]


def controls(text):
    return [c for c in text if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 or c in "\u202e\u2066"]


def test_what_a_command_says_steers_no_terminal_and_hides_nothing(server, mcp_url, box):
    command = r"printf '\033]0;title\007\033[2Jred \342\200\256 50%%\r100%%\n'; sleep 1.5"
    sent = wire.message("tools/call", {"name": "execute_shell", "arguments": {"sandbox_id": box, "command": command}})
    sent["params"]["_meta"]["progressToken"] = "p"
    _, _, events = wire.post(mcp_url, sent, server.key)
    told = [event["params"]["message"] for event in events if event.get("method") == "notifications/progress"]
    result = events[-1]["result"]
    text = result["content"][0]["text"]
    assert not controls(text), text
    assert "␛]0;title␇␛[2Jred \\u{202e} 50%␍100%" in text
    assert told and not any(controls(message) or "\n" in message for message in told), told
    # Programs get every byte.
    assert result["structuredContent"]["stdout"] == "\x1b]0;title\x07\x1b[2Jred \u202e 50%\r100%\n"


def test_a_name_of_a_file_cannot_pass_for_several(server, mcp_url, box):
    wire.call(mcp_url, server.key, "execute_shell", {"sandbox_id": box, "command": "mkdir d && touch d/$'a\\nsecret (7 bytes)'"})
    listed = wire.call(mcp_url, server.key, "file_operation", {"sandbox_id": box, "operation": "list", "file_path": "d"})
    assert listed["content"][0]["text"] == "Successfully listed directory d\na␊secret (7 bytes) (0 bytes)"
    assert listed["structuredContent"]["files"] == ["a\nsecret (7 bytes)"]


def test_one_key_cannot_take_the_room_of_another(server):
    other = another_key(server)
    listing = wire.message("tools/list")
    with processes.McpProcess(api_url=server.url) as process:
        assert wire.post(process.url, listing, other)[0] == 200
        # Requests whose bodies do not come.
        held = []

        def hold():
            connection = wire.connection(process.url)
            connection.putrequest("POST", "/mcp")
            for name, value in {**wire.headers(listing, server.key), "Content-Length": "1000"}.items():
                connection.putheader(name, value)
            connection.endheaders(b"{")
            held.append(connection)

        for _ in range(MOST_OF_ONE):
            hold()

        def is_full(path):
            connection = wire.connection(process.url)
            connection.request("POST", path, json.dumps(listing), wire.headers(listing, server.key))
            answer = connection.getresponse()
            told = answer.status, answer.headers.get("retry-after")
            connection.close()
            return told == (429, "1")

        # One that was let in had the place of one of those that were sent before it.
        eventually(lambda: is_full("/mcp") or hold(), "one more is let in")
        assert is_full("/")
        assert wire.post(process.url, listing, other)[0] == 200
        for connection in held:
            connection.close()
        eventually(lambda: wire.post(process.url, listing, server.key)[0] == 200, "nothing is let in any more")


def test_a_task_of_another_key_is_as_one_that_there_is_not(server, mcp_url, box):
    tasks = {"extensions": {"io.modelcontextprotocol/tasks": {}}}
    wanted = {"sandbox_id": box, "command": "sleep 4100"}
    began = wire.call(mcp_url, server.key, "execute_shell", wanted, **tasks)
    other = another_key(server)
    answers = []
    for method in ["tasks/get", "tasks/cancel", "tasks/update"]:
        for name in [began["taskId"], "00000000-0000-4000-8000-000000000000"]:
            sent = wire.message(method, {"taskId": name, "inputResponses": {}}, **tasks)
            answers.append(wire.post(mcp_url, sent, other)[2]["error"]["code"])
    assert answers == [-32602] * 6
    sent = wire.message("tasks/get", {"taskId": began["taskId"]}, **tasks)
    assert wire.post(mcp_url, sent, server.key)[2]["result"]["status"] == "working"
    wire.post(mcp_url, wire.message("tasks/cancel", {"taskId": began["taskId"]}, **tasks), server.key)


def test_outputs_without_end_are_not_held_however_many(server, box):
    def resident(process):
        status = pathlib.Path(f"/proc/{process.process.pid}/status").read_text(encoding="ascii")
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) // 1024

    with processes.McpProcess(api_url=server.url) as process:
        wanted = {"sandbox_id": box, "command": "head -c 9000000 /dev/zero | tr '\\0' a; echo; sleep 4101"}
        sent = wire.message("tools/call", {"name": "execute_shell", "arguments": wanted})
        held = []
        for _ in range(40):
            connection = wire.connection(process.url)
            connection.request("POST", "/mcp", json.dumps(sent), wire.headers(sent, server.key))
            held.append(connection)
        count = {"sandbox_id": box, "command": "ps -eo args | grep -c '^slee[p] 4101$'"}

        def all_said():
            return wire.call(process.url, server.key, "execute_shell", count)["structuredContent"]["stdout"] == "40\n"

        eventually(all_said, "some did not say it all", 60)
        # All of it would be 360.
        assert resident(process) < 250, resident(process)
        for connection in held:
            connection.close()


def test_a_file_that_is_too_large_for_a_folder_of_this_machine_is_not_begun(server, tmp_path):
    with processes.McpProcess("--folder", str(tmp_path), api_url=server.url) as process:
        box = wire.call(process.url, server.key, "create_sandbox", {})["structuredContent"]["sandbox_id"]
        wire.call(process.url, server.key, "execute_shell", {"sandbox_id": box, "command": "truncate -s 2500M holes"})
        wanted = {"sandbox_id": box, "operation": "download", "file_path": "holes", "local_path": "holes"}
        refused = wire.call(process.url, server.key, "file_operation", wanted)
        assert refused["isError"] and "has more than 2147483648 bytes" in refused["content"][0]["text"], refused
        wire.call(process.url, server.key, "delete_sandbox", {"sandbox_id": box})
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_shared_with_a_whole_network_is_told(server):
    own = {"PITLANE_API_KEY": server.key, "PITLANE_LOG": "warn"}
    everywhere = {**own, "PITLANE_MCP_LISTEN": "0.0.0.0:0"}
    with processes.McpProcess("--share-key", api_url=server.url, environment=everywhere) as process:
        assert "everybody who reaches this address" in process.said()
    with processes.McpProcess("--share-key", api_url=server.url, environment=own) as process:
        assert "everybody" not in process.said()


def test_documents_of_the_other_set_come_whole_and_are_json_whatever_is_in_them(server, box):
    with processes.McpProcess("--toolset", "daytona", api_url=server.url) as process:

        def call(name, **arguments):
            result = wire.call(process.url, server.key, name, {"id": box, **arguments})
            assert not result.get("isError"), result
            return json.loads(result["content"][0]["text"])

        said = call("execute_command", command=r"printf '\033[2J\342\200\256\177'; head -c 1000000 /dev/urandom > big")
        assert said["stdout"] == "\x1b[2J\u202e\x7f"
        [content] = call("download_file", filePath="big")
        assert len(base64.b64decode(content["data"])) == 1_000_000


def test_an_image_is_asked_for_at_no_address_of_this_machine_or_its_network(server, mcp_url):
    for image in ["127.0.0.1:9/x:1", "169.254.169.254/latest:1", f"{server.url.split('/')[2]}/x:1"]:
        refused = wire.call(mcp_url, server.key, "create_sandbox", {"image": image, "name": "from-inside"})
        assert refused["isError"] and "may not be asked" in refused["content"][0]["text"], refused
    # And nothing of it is left.
    gone = {"sandbox_id": "from-inside"}
    eventually(lambda: wire.call(mcp_url, server.key, "get_sandbox_info", gone)["isError"], "it is left")
