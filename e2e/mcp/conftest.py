"""What the tests share: one server for all of them, and ways to reach its tools."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import processes  # noqa: E402


@pytest.fixture(scope="session")
def server():
    from server import Server

    running = Server()
    yield running
    running.close()


@pytest.fixture(scope="session")
def mcp_url(server):
    """MCP beside the API, on the same port."""
    return server.url.removesuffix("/api") + "/mcp"


@pytest.fixture(scope="session")
def apart(server):
    """MCP as a process of its own, whose callers bring keys."""
    with processes.McpProcess("--metrics", "127.0.0.1:0", api_url=server.url) as process:
        yield process


@pytest.fixture
def stdio(server):
    """How a client starts `pitlane mcp start`: a command, its arguments, its environment."""
    environment = {"DAYTONA_API_URL": server.url, "DAYTONA_API_KEY": server.key, "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}
    return processes.binary(), ["mcp", "start"], environment
