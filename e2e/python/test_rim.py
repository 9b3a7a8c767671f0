"""What stands between clients and sandboxes: limits, crowds, clients that leave, health and figures, for real."""

import asyncio
import contextlib
import json
import re

import httpx
import pytest
from daytona import AsyncDaytona, Daytona, DaytonaConfig, DaytonaRateLimitError
from server import Server
from waiting import eventually

CROWD = 1000


@pytest.fixture(scope="module")
def limited():
    """A server that limits requests and tells figures."""
    flags = ["--limit-create-per-key", "1/hour", "--limit-toolbox-per-organization", "5/hour"]
    running = Server([*flags, "--metrics", "127.0.0.1:0"])
    yield running
    running.close()


def test_a_limit_is_an_error_of_its_own_in_the_sdk_and_says_when_to_come_again(limited):
    daytona = Daytona(DaytonaConfig(api_url=limited.url, api_key=limited.key))
    sandbox = daytona.create()
    with pytest.raises(DaytonaRateLimitError) as refused:
        daytona.create()
    assert refused.value.status_code == 429
    headers = {name.lower(): value for name, value in refused.value.headers.items()}
    assert headers["x-ratelimit-limit-sandbox-create"] == "1"
    assert headers["x-ratelimit-remaining-sandbox-create"] == "0"
    assert 3000 < int(headers["retry-after"]) <= 3600
    with pytest.raises(DaytonaRateLimitError):
        for _ in range(6):
            sandbox.process.exec("true")
    assert daytona.get(sandbox.id).state == "started"
    sandbox.delete()
    figures = httpx.get(limited.ready["metrics"]).text
    assert 'pitlane_rate_limited_total{class="create"} 1' in figures
    assert 'pitlane_rate_limited_total{class="toolbox"} 1' in figures
    assert re.search(r'pitlane_sandbox_change_seconds_count\{change="create"\} 1', figures)
    assert sandbox.id not in figures


def test_a_server_with_all_its_parts_is_ready(server):
    answer = httpx.get(f"{server.url}/health/ready")
    assert answer.status_code == 200
    assert set(answer.json()["details"]) == {"database", "disk", "launcher"}


def test_the_log_has_a_line_for_a_request_with_all_its_ids(server, sandbox):
    answer = httpx.post(
        f"{sandbox.toolbox_proxy_url}/{sandbox.id}/process/execute?token=verysecret",
        json={"command": "echo verysecretoutput"},
        headers={"Authorization": f"Bearer {server.key}"},
    )
    request = answer.headers["x-request-id"]
    lines = [json.loads(line) for line in server.log().splitlines() if line.startswith("{")]
    (line,) = [line for line in lines if line.get("request") == request and line["message"] == "request"]
    assert (line["sandbox"], line["route"], line["status"]) == (sandbox.id, "/toolbox/{id}/process/execute", 200)
    assert line["organization"] == sandbox.organization_id
    assert line["sent"] == len(answer.content)
    assert "verysecret" not in server.log()
    assert server.key not in server.log()


def running(sandbox, command):
    """How many processes in the sandbox have this command line; the shell that counts them is not among them."""
    counted = sandbox.process.exec(f"pgrep -fxc '{command}' || true")
    return int(counted.result.strip() or 0)


def test_a_command_ends_when_its_client_goes_away_and_others_run_on(server, sandbox):
    url = f"{sandbox.toolbox_proxy_url}/{sandbox.id}/process/execute"
    headers = {"Authorization": f"Bearer {server.key}"}

    async def leave():
        async with httpx.AsyncClient(headers=headers, timeout=60) as stays, httpx.AsyncClient(headers=headers) as leaves:
            staying = asyncio.create_task(stays.post(url, json={"command": "sleep 7; echo done"}))
            with pytest.raises(httpx.ReadTimeout):
                await leaves.post(url, json={"command": "sleep 86431"}, timeout=1.5)
            await asyncio.to_thread(
                eventually, lambda: running(sandbox, "sleep 86431") == 0, "the command outlived its client"
            )
            answer = (await staying).json()
            assert (answer["exitCode"], answer["result"]) == (0, "done\n")

    assert running(sandbox, "sleep 86431") == 0
    asyncio.run(leave())


class Wire:
    """A connection of one's own: a thousand of them in a client library measure the library."""

    async def __aenter__(self):
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        return self

    def __init__(self, url, key):
        parts = httpx.URL(url)
        self.host, self.port, self.key = parts.host, parts.port, key

    async def ask(self, method, path, body=None):
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {self.key}\r\ncontent-length: {len(content)}\r\n\r\n"
        self.writer.write(head.encode() + content)
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        length = int(re.search(r"content-length: (\d+)", head).group(1))
        return int(head.split(" ")[1]), await self.reader.readexactly(length)

    async def __aexit__(self, *_):
        self.writer.close()
        await self.writer.wait_closed()


async def test_a_thousand_requests_on_one_sandbox_are_all_answered_and_memory_stays(server):
    async with AsyncDaytona() as daytona, contextlib.AsyncExitStack() as stack:
        sandbox = await daytona.create()
        path = f"/toolbox/{sandbox.id}"
        try:
            wires = [await stack.enter_async_context(Wire(server.url, server.key)) for _ in range(CROWD)]
            sizes = []
            for _ in range(4):
                asked = (wire.ask("GET", f"{path}/files/info?path=/etc/hostname") for wire in wires)
                answers = await asyncio.gather(*asked)
                assert {status for status, _ in answers} == {200}
                sizes.append(server.memory_kib())
            assert sizes[-1] <= sizes[1] + 24 * 1024, sizes
            commands = (
                wire.ask("POST", f"{path}/process/execute", {"command": f"echo {n}"}) for n, wire in enumerate(wires[:200])
            )
            answers = [(status, json.loads(body)["result"]) for status, body in await asyncio.gather(*commands)]
            assert answers == [(200, f"{n}\n") for n in range(200)]
        finally:
            await sandbox.delete()
