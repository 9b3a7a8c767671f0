"""The last official client for Python that knows the handshake only, on real sandboxes."""

import asyncio
import pathlib
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]

from journey import TOOLS, journey  # noqa: E402
from mcp import ClientSession, StdioServerParameters  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402
from mcp.client.streamable_http import streamablehttp_client  # noqa: E402


async def work(session, name):
    async def call(tool, arguments):
        result = await session.call_tool(tool, arguments)
        return result.structuredContent, result.content[0].text, bool(result.isError)

    began = await session.initialize()
    assert began.protocolVersion == "2025-11-25"
    assert [tool.name for tool in (await session.list_tools()).tools] == TOOLS
    await session.send_ping()
    await journey(call, name)


def test_over_http(server, mcp_url):
    async def scenario():
        headers = {"Authorization": f"Bearer {server.key}"}
        async with streamablehttp_client(mcp_url, headers=headers) as (read, write, _), ClientSession(read, write) as session:
            await work(session, "old-client-http")

    asyncio.run(scenario())


def test_over_standard_input(stdio):
    command, arguments, environment = stdio

    async def scenario():
        parameters = StdioServerParameters(command=command, args=arguments, env=environment)
        async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
            await work(session, "old-client-stdio")

    asyncio.run(scenario())
