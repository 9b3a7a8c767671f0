"""Who is let in, and with what: keys, names, origins, bodies, sessions, figures."""

import json
import os
import pathlib
import re
import shutil
import tempfile
import time
import urllib.error
import urllib.request

import processes
import pytest
import wire
from waiting import eventually

LIST = wire.message("tools/list")


@pytest.fixture(params=["beside", "apart"])
def url(request, mcp_url, apart):
    return {"beside": mcp_url, "apart": apart.url}[request.param]


def test_a_key_is_needed_in_either_header(url, server):
    status, headers, answer = wire.post(url, LIST)
    assert (status, headers["www-authenticate"]) == (401, 'Bearer realm="pitlane"')
    assert "X-API-Key" in answer["error_description"]
    assert wire.post(url, LIST, "dtn_nobodys")[0] == 401
    assert wire.post(url, LIST, server.key)[0] == 200
    assert wire.post(url, LIST, extra={"Authorization": f"Bearer {server.key}"})[0] == 200


def test_a_name_or_an_origin_that_is_not_ours_is_refused(url, server):
    port = url.rsplit(":", 1)[1].split("/")[0]
    for host in ["evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}"]:
        assert wire.post(url, LIST, server.key, {"Host": host})[0] == 403, host
    for origin in ["http://evil.example", "null", "https://127.0.0.1.evil.example"]:
        assert wire.post(url, LIST, server.key, {"Origin": origin})[0] == 403, origin
    for origin in [f"http://localhost:{port}", "http://127.0.0.1:6274", "http://[::1]"]:
        assert wire.post(url, LIST, server.key, {"Origin": origin})[0] == 200, origin


def test_a_body_has_a_bound_and_must_make_sense(url, server):
    large = wire.message("tools/call", {"name": "execute_code", "arguments": {"code": "x" * (5 << 20)}})
    assert wire.post(url, large, server.key)[0] == 413
    for body in ["", "{", "[]", "null", "1", '{"jsonrpc": "2.0"}', "[" * 10_000, '"\\ud800"']:
        assert 400 <= wire.post(url, LIST, server.key, body=body)[0] < 500, body[:20]
    assert wire.post(url, LIST, server.key)[0] == 200


def test_a_tool_or_a_resource_that_there_is_not_is_an_error_that_says_so(url, server):
    _, _, answer = wire.post(url, wire.message("tools/call", {"name": "rm_rf", "arguments": {}}), server.key)
    assert answer["error"]["code"] == -32602
    assert "create_sandbox" in answer["error"]["message"]
    for uri in ["file:///etc/passwd", "sandbox://../../etc/passwd", "sandbox://x/files//etc/passwd", "x"]:
        _, _, answer = wire.post(url, wire.message("resources/read", {"uri": uri}), server.key)
        assert answer["error"]["code"] == -32602, (uri, answer)


def test_no_tool_reads_a_file_of_the_host(url, server, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the host's own")
    created = wire.call(url, server.key, "create_sandbox", {})["structuredContent"]["sandbox_id"]
    try:
        for place in [str(secret), f"/proc/self/root{secret}", f"file://{secret}"]:
            for operation in ["upload", "read", "download"]:
                wanted = {"sandbox_id": created, "operation": operation, "file_path": place, "local_path": place}
                result = wire.call(url, server.key, "file_operation", wanted)
                assert result["isError"], result
                assert "the host's own" not in json.dumps(result)
    finally:
        wire.call(url, server.key, "delete_sandbox", {"sandbox_id": created})
    assert secret.read_text() == "the host's own"


def initialize(url, key):
    begin = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "w", "version": "1"}},
    }
    status, headers, _ = wire.post(url, begin, key, {"MCP-Protocol-Version": "2025-06-18", "Mcp-Method": "initialize"})
    return status, headers["mcp-session-id"]


def in_session(url, key, session, method="tools/list"):
    sent = {"jsonrpc": "2.0", "id": 2, "method": method, "params": {}}
    # Clients of 2025-06-18 need not say which revision they speak.
    legacy = {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-06-18", "Mcp-Method": method}
    return wire.post(url, sent, key, legacy)[0]


def test_a_session_is_for_the_key_that_opened_it(url, server):
    status, session = initialize(url, server.key)
    assert status == 200
    assert in_session(url, server.key, session) == 200
    create = urllib.request.Request(
        f"{server.url}/api-keys",
        json.dumps({"name": f"mcp-{time.time_ns()}", "permissions": ["write:sandboxes"]}).encode(),
        {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(create, timeout=10) as answer:
        other = json.load(answer)["value"]
    assert in_session(url, other, session) == 404
    assert in_session(url, None, session) == 401
    assert in_session(url, server.key, session) == 200
    for _ in range(64):
        assert initialize(url, server.key)[0] == 200
    assert in_session(url, server.key, session) == 404


def test_clients_are_told_where_to_get_tokens_if_there_is_a_place(server):
    flags = ["--issuer", "https://login.example.org", "--public-url", "https://tools.example.org"]
    with processes.McpProcess(*flags, api_url=server.url) as process:
        base = process.url.removesuffix("/mcp")
        status, headers, _ = wire.post(process.url, LIST)
        assert status == 401
        document = "https://tools.example.org/.well-known/oauth-protected-resource/mcp"
        assert headers["www-authenticate"] == f'Bearer resource_metadata="{document}", scope="sandboxes"'
        for path in ["", "/mcp"]:
            with urllib.request.urlopen(f"{base}/.well-known/oauth-protected-resource{path}", timeout=10) as answer:
                told = json.load(answer)
            assert told["resource"] == "https://tools.example.org/mcp"
            assert told["authorization_servers"] == ["https://login.example.org"]


def test_without_an_issuer_there_is_no_such_document(apart):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(apart.url.removesuffix("/mcp") + "/.well-known/oauth-protected-resource", timeout=10)


def test_an_own_key_is_shared_only_if_the_operator_wants_it(server):
    own = {"PITLANE_API_KEY": server.key}
    with processes.McpProcess("--share-key", api_url=server.url, environment=own) as process:
        assert wire.post(process.url, LIST)[0] == 200
        assert not wire.call(process.url, None, "list_sandboxes", {}).get("isError")
        # Who brings a key is who it says.
        assert wire.post(process.url, LIST, "dtn_nobodys")[0] == 401
    with processes.McpProcess(api_url=server.url, environment=own) as process:
        assert wire.post(process.url, LIST)[0] == 401


def test_a_backend_that_is_away_is_told_apart_from_a_wrong_key():
    with processes.McpProcess() as process:
        status, _, answer = wire.post(process.url, LIST, "dtn_x")
    assert (status, answer["error"]) == (502, "backend_unreachable")


def test_it_needs_no_privilege(server):
    nobody = 65534
    # The checkout may be where nobody else may look.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        program = shutil.copy(processes.binary(), folder)
        with processes.McpProcess(api_url=server.url, program=program, user=nobody) as process:
            assert not wire.call(process.url, server.key, "list_sandboxes", {}).get("isError")
            status = pathlib.Path(f"/proc/{process.process.pid}/status").read_text(encoding="ascii")
    assert re.search(r"^Uid:\t65534\t65534\t65534\t65534$", status, re.M)
    assert re.search(r"^CapEff:\t0+$", status, re.M)


def test_figures_tell_what_was_called(apart, server):
    def figures():
        with urllib.request.urlopen(apart.ready["metrics"], timeout=10) as answer:
            return answer.read().decode()

    wire.call(apart.url, server.key, "list_sandboxes", {})
    wire.call(apart.url, server.key, "get_sandbox_info", {"sandbox_id": "no-such-sandbox"})
    wire.call(apart.url, server.key, "get_sandbox_info", {})
    wire.post(apart.url, LIST)
    for line in [
        'pitlane_tool_calls_total{tool="list_sandboxes",outcome="ok"}',
        'pitlane_tool_calls_total{tool="get_sandbox_info",outcome="failed"}',
        'pitlane_tool_calls_total{tool="get_sandbox_info",outcome="invalid"}',
        'pitlane_mcp_refusals_total{reason="key"}',
        "pitlane_tool_calls_in_flight 0",
        'pitlane_tool_call_seconds_count{tool="list_sandboxes"}',
    ]:
        eventually(lambda line=line: line in figures(), f"no {line}")
    assert "no-such-sandbox" not in figures()
    assert server.key not in figures()
    assert server.key not in apart.said()


def test_the_log_tells_of_calls_and_not_what_was_in_them(server, mcp_url):
    secret = f"word-{time.time_ns()}"
    wire.call(mcp_url, server.key, "execute_shell", {"sandbox_id": secret, "command": f"echo {secret}"})
    wire.post(mcp_url, wire.message("tools/call", {"name": secret, "arguments": {}}), server.key)
    eventually(lambda: "/mcp" in server.log(), "no line")
    assert secret not in server.log()
    assert server.key not in server.log()
    assert "rmcp" not in server.log()
