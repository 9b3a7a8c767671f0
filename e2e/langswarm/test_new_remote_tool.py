"""LangSwarm 0.1.0's RemoteMCPTool, unmodified: it sends JSON-RPC without `jsonrpc`, sessions or parameters."""

import pytest
from langswarm.tools.mcp.remote.main import RemoteMCPTool

EIGHT = {
    "create_sandbox",
    "execute_code",
    "execute_shell",
    "file_operation",
    "git_operation",
    "list_sandboxes",
    "delete_sandbox",
    "get_sandbox_info",
}


@pytest.fixture(scope="module", params=["/", "/mcp"])
def tool(request, address):
    remote = RemoteMCPTool(identifier="sandboxes", mcp_url=address + request.param, retry_count=0, timeout=60)
    assert EIGHT <= set(remote.run({"method": "list_tools"})["tools"])
    return remote


@pytest.fixture
def call(tool):
    def call(tool_name, /, **arguments):
        answer = tool.run({"method": "call_tool", "params": {"tool_name": tool_name, "arguments": arguments}})
        assert answer["success"], answer
        return answer["result"]["structuredContent"]

    return call


@pytest.fixture
def sandbox(call):
    made = call("create_sandbox", environment_vars={"TOKEN": "t"})
    assert made["message"] == f"Successfully created sandbox {made['sandbox_id']}", made
    yield made["sandbox_id"]
    deleted = call("delete_sandbox", sandbox_id=made["sandbox_id"])
    assert deleted["success"] and deleted["message"] == f"Successfully deleted sandbox {made['sandbox_id']}"


def test_it_is_connected_and_knows_the_tools(tool):
    checked = tool.run({"method": "check_connection"})
    assert checked["connected"] and checked["available_tools"] >= len(EIGHT), checked
    schema = tool.run({"method": "get_schema", "params": {"tool_name": "execute_code"}})
    assert {"sandbox_id", "code"} == set(schema["inputSchema"]["required"])


def test_code_runs_whatever_quotes_it_has(call, sandbox):
    code = """import os, sys\nprint('it\\'s "so"', os.environ["TOKEN"])\nprint("aside", file=sys.stderr)"""
    ran = call("execute_code", sandbox_id=sandbox, code=code)
    assert (ran["exit_code"], ran["stdout"], ran["stderr"]) == (0, 'it\'s "so" t\n', "aside\n")
    assert ran["message"] == "Code executed successfully" and ran["execution_time"] > 0
    failed = call("execute_code", sandbox_id=sandbox, code="raise SystemExit(3)")
    assert (failed["exit_code"], failed["message"]) == (3, "Code execution failed")
    script = call("execute_code", sandbox_id=sandbox, code="console.log('js'.length)", language="javascript")
    assert (script["exit_code"], script["stdout"]) == (0, "2\n")


def test_commands_run_in_the_folder_that_was_named(call, sandbox):
    ran = call("execute_shell", sandbox_id=sandbox, command="pwd; ls | wc -l >&2", working_directory="/tmp")
    assert (ran["exit_code"], ran["stdout"], ran["message"]) == (0, "/tmp\n", "Command executed successfully")
    failed = call("execute_shell", sandbox_id=sandbox, command="exit 7")
    assert (failed["exit_code"], failed["message"]) == (7, "Command execution failed")


def test_files_are_kept_byte_for_byte(call, sandbox):
    def files(what, path, **more):
        return call("file_operation", **{"sandbox_id": sandbox, "operation": what, "file_path": path, **more})

    text = "no newline at its end: it's \"quoted\" $HOME `id`"
    assert files("write", "a.txt", content=text)["message"] == "Successfully wrote to file a.txt"
    read = files("read", "a.txt")
    assert (read["content"], read["message"]) == (text, "Successfully read file a.txt")
    listed = files("list", ".")
    assert "a.txt" in listed["files"] and listed["message"] == "Successfully listed directory ."
    assert files("delete", "a.txt")["message"] == "Successfully deleted a.txt"
    gone = files("read", "a.txt")
    assert not gone["success"] and gone["message"].startswith("Error performing file operation: "), gone
    unknown = files("chmod", "a.txt")
    assert not unknown["success"] and unknown["message"] == "Unsupported file operation: chmod"


def test_git_takes_any_message(call, sandbox):
    def git(what, **more):
        return call("git_operation", **{"sandbox_id": sandbox, "operation": what, "working_directory": "repo", **more})

    call("execute_shell", sandbox_id=sandbox, command="git init -q -b main repo && echo 1 > repo/a")
    done = git("commit", commit_message='it\'s "quoted"; $(id)')
    assert (done["success"], done["message"]) == (True, "Git operation completed successfully"), done
    log = call("execute_shell", sandbox_id=sandbox, command="git -C repo log -1 --format=%s")
    assert log["stdout"] == 'it\'s "quoted"; $(id)\n'
    assert git("status")["success"]
    cases = {
        "clone": "Error performing git operation: Repository URL is required for clone operation",
        "commit": "Error performing git operation: Commit message is required for commit operation",
        "checkout": "Error performing git operation: Branch name is required for checkout operation",
        "rebase": "Unsupported git operation: rebase",
    }
    for operation, message in cases.items():
        failed = git(operation)
        assert (failed["success"], failed["message"]) == (False, message)


def test_sandboxes_are_listed_and_shown_by_id_and_name(call):
    made = call("create_sandbox", name="langswarm-named")
    try:
        listed = call("list_sandboxes")
        assert listed["message"] == f"Found {listed['count']} sandboxes"
        assert made["sandbox_id"] in [sandbox["sandbox_id"] for sandbox in listed["sandboxes"]]
        for called in (made["sandbox_id"], "langswarm-named"):
            info = call("get_sandbox_info", sandbox_id=called)
            assert info["message"] == f"Retrieved information for sandbox {called}"
            assert (info["name"], info["language"], info["status"]) == ("langswarm-named", "python", "started")
    finally:
        call("delete_sandbox", sandbox_id="langswarm-named")


def test_what_is_not_there_is_told_and_nothing_is_tried_again(tool, call):
    ran = call("execute_shell", sandbox_id="nope", command="true")
    assert ran["exit_code"] == 1 and ran["message"] == "Error executing command: Sandbox 'nope' not found", ran
    wrong = call("execute_shell", command="true")
    assert wrong["error_type"] == "parameter_validation_error" and not wrong["success"]
    unknown = tool.call_remote_tool("nope", {})
    assert unknown["error"].startswith("Tool 'nope' not available. Available tools: ")


def test_a_key_is_needed_unless_it_is_shared(serve, server):
    url = serve()
    without = RemoteMCPTool(identifier="x", mcp_url=url, retry_count=0, auto_initialize=False)
    refused = without.run({"method": "check_connection"})
    assert refused["error"] == "Authentication failed - check API key or JWT token"
    for headers in ({"X-API-Key": server.key}, {"Authorization": f"Bearer {server.key}"}):
        brought = RemoteMCPTool(identifier="x", mcp_url=url, headers=headers, retry_count=0)
        listed = brought.run({"name": "list_sandboxes", "arguments": {}})
        assert listed["success"] and not listed["result"]["isError"], listed
