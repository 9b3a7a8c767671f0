"""The official client for TypeScript, the inspector, and the size of the list of tools."""

import json

import processes
import pytest

INSPECTOR = processes.MODULES / "@modelcontextprotocol/inspector/clients/launcher/build/index.js"
MAX_TOKENS = 2500


@pytest.mark.parametrize("era", ["modern", "legacy"])
@pytest.mark.parametrize("way", ["http", "stdio"])
def test_the_client_for_typescript_does_an_agents_work(way, era, server, mcp_url, stdio):
    where = [mcp_url, server.key] if way == "http" else [stdio[0]]
    code, said, complained = processes.run_node("client.mjs", way, era, *where, environment=stdio[2])
    assert (code, said) == (0, "done\n"), said + complained


def inspect(url, key, tmp_path, *arguments):
    catalog = {"MCP_CATALOG_PATH": str(tmp_path / "catalog.json"), "HOME": str(tmp_path)}
    reach = ["--cli", url, "--transport", "http", "--header", f"X-API-Key: {key}", "--format", "json"]
    return processes.run_node(str(INSPECTOR), *reach, *arguments, environment=catalog)


@pytest.mark.parametrize("toolset", ["default", "daytona", "minimal"])
@pytest.mark.parametrize("era", ["modern", "legacy"])
def test_the_inspector_finds_nothing_to_complain_about(toolset, era, server, tmp_path):
    with processes.McpProcess("--toolset", toolset, api_url=server.url) as process:
        wanted = ["--method", "tools/list", "--strict", "--protocol-era", era]
        code, said, complained = inspect(process.url, server.key, tmp_path, *wanted)
        assert code == 0, said + complained
        listed = json.loads(said)
    tools = (listed.get("result") or listed)["tools"]
    assert len(tools) == {"default": 10, "daytona": 12, "minimal": 5}[toolset]
    for tool in tools:
        assert set(tool["annotations"]) >= {"readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"}


@pytest.mark.parametrize("toolset", ["default", "daytona", "minimal"])
def test_the_list_of_tools_is_short(toolset, server, tmp_path):
    with processes.McpProcess("--toolset", toolset, api_url=server.url) as process:
        _, said, _ = inspect(process.url, server.key, tmp_path, "--method", "tools/list", "--protocol-era", "modern")
    listed = json.loads(said)
    tools = json.dumps((listed.get("result") or listed)["tools"], separators=(",", ":"), ensure_ascii=False)
    # A model's own tokenizer, which has its table with it.
    count = "import { countTokens } from 'gpt-tokenizer/encoding/o200k_base'; process.stdout.write(String(countTokens(process.argv[1])))"
    code, tokens, complained = processes.run_node("--input-type=module", "--eval", count, tools)
    assert code == 0, complained
    assert int(tokens) < MAX_TOKENS, f"{tokens} tokens:\n{tools}"
