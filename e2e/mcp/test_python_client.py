"""The official client for Python, in both eras, over HTTP and standard input, on real sandboxes."""

import asyncio
import contextlib

import httpx2
import pytest
from journey import TOOLS, journey
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import ElicitResult


def over_http(url, key, **options):
    headers = {"X-API-Key": key}
    return Client(streamable_http_client(url, http_client=httpx2.AsyncClient(headers=headers, timeout=120)), **options)


def over_stdio(stdio, **options):
    command, arguments, environment = stdio
    return Client(StdioServerParameters(command=command, args=arguments, env=environment), **options)


def calling(client):
    async def call(name, arguments):
        result = await client.call_tool(name, arguments)
        return result.structured_content, result.content[0].text, bool(result.is_error)

    return call


@pytest.fixture(params=["beside", "apart", "stdio"])
def connect(request, server, mcp_url):
    """How a client connects: to the server's own MCP, to that of a process of its own, or to one that it starts."""
    if request.param == "beside":
        return lambda **options: over_http(mcp_url, server.key, **options)
    if request.param == "apart":
        url = request.getfixturevalue("apart").url
        return lambda **options: over_http(url, server.key, **options)
    return lambda **options: over_stdio(request.getfixturevalue("stdio"), **options)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_agents_work_is_done_in_both_eras(connect, mode, request):
    async def scenario():
        async with connect(mode=mode) as client:
            assert client.protocol_version == {"auto": "2026-07-28", "legacy": "2025-11-25"}[mode]
            assert "sandbox" in client.instructions
            assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
            await journey(calling(client), f"journey-{abs(hash(request.node.name)) % 10**8}")

    asyncio.run(scenario())


@contextlib.asynccontextmanager
async def sandbox(client):
    created = await client.call_tool("create_sandbox", {})
    name = created.structured_content["sandbox_id"]
    try:
        yield name
    finally:
        await client.call_tool("delete_sandbox", {"sandbox_id": name})


def test_files_and_logs_are_resources(connect):
    async def scenario():
        async with connect() as client, sandbox(client) as box:
            templates = (await client.list_resource_templates()).resource_templates
            assert [one.uri_template for one in templates] == ["sandbox://{id}/files/{+path}", "sandbox://{id}/logs/{execution}"]
            wanted = {"sandbox_id": box, "operation": "write", "file_path": "a b.txt", "content": "grüße\n"}
            await client.call_tool("file_operation", wanted)
            read = await client.read_resource(f"sandbox://{box}/files/a%20b.txt")
            assert read.contents[0].text == "grüße\n"
            # Output that is cut says where all of it is.
            long = {"sandbox_id": box, "command": "seq 20000"}
            result = await client.call_tool("execute_shell", long)
            assert len(result.content[0].text) < 40_000
            assert result.structured_content["stdout"].endswith("20000\n")
            link = next(block for block in result.content if block.type == "resource_link")
            log = await client.read_resource(link.uri)
            assert log.contents[0].text.startswith("1\n2\n3\n")

    asyncio.run(scenario())


def test_a_missing_argument_is_asked_for_and_the_call_goes_on(connect):
    asked = []

    async def answer(_context, params):
        asked.append(params.requested_schema["required"])
        return ElicitResult(action="accept", content={"command": "echo from the user"})

    async def scenario(mode):
        async with connect(mode=mode, elicitation_callback=answer) as client, sandbox(client) as box:
            result = await client.call_tool("execute_shell", {"sandbox_id": box})
            assert result.structured_content["stdout"] == "from the user\n", result

    for mode in ["auto", "legacy"]:
        asyncio.run(scenario(mode))
    assert asked == [["command"], ["command"]]


def test_who_cannot_be_asked_is_told_what_to_send(connect):
    async def scenario():
        async with connect() as client:
            result = await client.call_tool("execute_shell", {"sandbox_id": "x"})
            assert result.is_error
            assert "command" in result.content[0].text and "Example" in result.content[0].text
            missing = await client.call_tool("get_sandbox_info", {"sandbox_id": "no-such-sandbox"})
            assert missing.is_error
            assert "Sandbox 'no-such-sandbox' not found" in missing.content[0].text
            assert "list_sandboxes" in missing.content[0].text

    asyncio.run(scenario())


def test_prompts_are_filled(connect):
    async def scenario():
        async with connect() as client:
            names = [prompt.name for prompt in (await client.list_prompts()).prompts]
            assert names == ["try_in_sandbox", "work_on_repository", "tidy_sandboxes"]
            prompt = await client.get_prompt("try_in_sandbox", {"task": "count to three"})
            assert "count to three" in prompt.messages[0].content.text

    asyncio.run(scenario())
