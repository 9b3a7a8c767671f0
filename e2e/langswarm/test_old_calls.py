"""LangSwarm 0.0.54.dev24's `mcp_call` and `mcp_fetch_schema`, unmodified, and its own REST routes."""

import threading

import pytest
import requests
import uvicorn
from langswarm.core.utils.workflows.functions import mcp_call, mcp_fetch_schema
from langswarm.mcp.server_base import BaseMCPToolServer
from langswarm.mcp.tools.daytona_self_hosted import main as theirs
from pydantic import BaseModel
from waiting import eventually


def test_the_schema_has_the_form_of_langswarms_own_server(address):
    from fastapi.testclient import TestClient  # Here, since only this test needs its client.

    with TestClient(theirs.app) as langswarm:
        wanted, schema = langswarm.get("/schema").json(), mcp_fetch_schema(address)
        assert wanted.keys() == schema.keys()
        assert {frozenset(task) for task in schema["tasks"]} == {frozenset(task) for task in wanted["tasks"]}
        ours = {task["name"]: task for task in schema["tasks"]}
        for task in wanted["tasks"]:
            assert (task["path"], task["schema_path"]) == (ours[task["name"]]["path"], ours[task["name"]]["schema_path"])
            theirs_of_task = langswarm.get(task["schema_path"]).json()
            ours_of_task = mcp_fetch_schema(address + task["path"])
            assert theirs_of_task.keys() == ours_of_task.keys()
            for half in ("input_schema", "output_schema"):
                fields = [schema[half].get("properties", {}).keys() for schema in (theirs_of_task, ours_of_task)]
                assert fields[0] <= fields[1], task["name"]
            required = set(theirs_of_task["input_schema"].get("required", []))
            assert required == set(ours_of_task["input_schema"].get("required", [])), task["name"]
        wrong = [langswarm.post("/execute_code", json={}), requests.post(f"{address}/execute_code", json={}, timeout=9)]
        assert [answer.status_code for answer in wrong] == [422, 422]
        details = [{(error["type"], *error["loc"]) for error in answer.json()["detail"]} for answer in wrong]
        assert details[0] == details[1]
        for path in ("/nope", "/create_sandbox/nope"):
            both = langswarm.get(path), requests.get(address + path, timeout=9)
            if path != "/nope":
                assert [answer.status_code for answer in both] == [404, 404]
                assert both[0].json() == both[1].json()


def test_mcp_call_works_with_either_payload(address):
    made = mcp_call(address, {"name": "create_sandbox", "arguments": {}})
    sandbox = made["sandbox_id"]
    assert made["message"] == f"Successfully created sandbox {sandbox}"
    try:
        code = {"sandbox_id": sandbox, "code": "print(6 * 7)"}
        for payload in ({"name": "execute_code", "arguments": code}, {"name": "execute_code", "args": code}):
            assert mcp_call(address, payload)["stdout"] == "42\n"
        called = mcp_call(address, {"method": "tools/call", "params": {"name": "execute_code", "arguments": code}})
        assert called["result"]["structuredContent"]["stdout"] == "42\n"
        assert mcp_call(address, {"method": "execute_code", "params": code})["stdout"] == "42\n"
    finally:
        deleted = mcp_call(address, {"name": "delete_sandbox", "arguments": {"sandbox_id": sandbox}})
        assert deleted["success"], deleted
    assert mcp_call(address, {"name": "nope"})["error"] == "Method 'nope' is not available"


def test_rest_answers_with_langswarms_models(address):
    def post(task, **parameters):
        answer = requests.post(f"{address}/{task}", json=parameters, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    made = theirs.CreateSandboxOutput(**post("create_sandbox", name="rest"))
    box = {"sandbox_id": made.sandbox_id}
    try:
        ran = theirs.ExecuteShellOutput(**post("execute_shell", **box, command="echo it's 1 2>&1 || echo no; exit 4"))
        assert (ran.exit_code != 0, ran.message) == (True, "Command execution failed")
        wrote = theirs.FileOperationOutput(**post("file_operation", **box, operation="write", file_path="a", content="x"))
        assert wrote.success and wrote.message == "Successfully wrote to file a"
        read = theirs.FileOperationOutput(**post("file_operation", **box, operation="read", file_path="a"))
        assert read.content == "x"
        assert theirs.ListSandboxesOutput(**post("list_sandboxes")).count >= 1
        assert theirs.SandboxInfoOutput(**post("get_sandbox_info", **box)).name == "rest"
        status = theirs.GitOperationOutput(**post("git_operation", **box, operation="status"))
        assert (status.success, status.message.startswith("Git operation failed")) == (False, True), status
    finally:
        assert theirs.DeleteSandboxOutput(**post("delete_sandbox", **box)).success
    assert requests.get(f"{address}/health", timeout=9).json() == {"status": "healthy"}


def test_a_file_of_tools_decides_which_server_and_which_operations(serve, server, tmp_path):
    file = tmp_path / "tools.yaml"
    file.write_text(
        "tools:\n"
        "  - id: look\n"
        "    type: daytona_environment\n"
        "    methods: [list_sandboxes, create_sandbox]\n"
        "    permission: anonymous\n"
        "    config: {api_url: '${SANDBOXES}', api_key: '${SANDBOXES_KEY}'}\n"
    )
    variables = {"SANDBOXES": server.url, "SANDBOXES_KEY": server.key, "DAYTONA_API_URL": "http://127.0.0.1:1/api"}
    url = serve("--config", str(file), "--share-key", **variables)
    assert [task["name"] for task in mcp_fetch_schema(url)["tasks"]] == ["create_sandbox", "list_sandboxes"]
    assert mcp_call(url, {"name": "list_sandboxes"})["message"].startswith("Found ")
    refused = mcp_call(url, {"name": "create_sandbox"})
    assert refused["status"] == "error" and "permission" in refused["message"], refused


@pytest.fixture(scope="module")
def langswarms_server():
    """LangSwarm's own HTTP server. That of its self-hosted tool cannot run its tools, so these are simpler ones."""

    def fail(**_parameters):
        raise ValueError("no such sandbox")

    nothing = type("Nothing", (BaseModel,), {})
    listed = {"sandboxes": [{"sandbox_id": "x"}], "count": 1, "message": "Found 1 sandboxes"}
    tools = BaseMCPToolServer(name="far", description="for tests")
    tools.add_task("list_sandboxes", "", nothing, theirs.ListSandboxesOutput, lambda **_parameters: listed)
    tools.add_task("delete_sandbox", "", theirs.DeleteSandboxInput, theirs.DeleteSandboxOutput, fail)
    running = uvicorn.Server(uvicorn.Config(tools.build_app(), host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=running.run)
    thread.start()
    eventually(lambda: running.started, "LangSwarm's server does not start")
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}"
    running.should_exit = True
    thread.join(30)


@pytest.fixture
def far(serve, tmp_path):
    """A surface whose file of tools names another server."""

    def start(line, **variables):
        file = tmp_path / "tools.yaml"
        file.write_text(f"tools:\n- {{id: far, {line}}}\n")
        # The API of this name is nobody's: what works came from the other server.
        return serve("--config", str(file), "--share-key", DAYTONA_API_URL="http://127.0.0.1:1/api", **variables)

    return start


@pytest.mark.parametrize("path", ["/", "/mcp"])
def test_tools_of_another_server_are_passed_on(far, server, address, path):
    auth = "auth: {type: api_key, header: X-API-Key, key: '${FAR_KEY}'}"
    url = far(f"type: remote_mcp, url: '{address}{path}', {auth}", FAR_KEY=server.key)
    made = mcp_call(url, {"name": "create_sandbox"})
    assert made["message"] == f"Successfully created sandbox {made['sandbox_id']}", made
    box = {"sandbox_id": made["sandbox_id"]}
    try:
        ran = mcp_call(url, {"name": "execute_shell", "arguments": {**box, "command": "echo far; exit 5"}})
        assert (ran["exit_code"], ran["stdout"], ran["message"]) == (5, "far\n", "Command execution failed")
        gone = mcp_call(url, {"name": "execute_shell", "arguments": {"sandbox_id": "nope", "command": "true"}})
        assert gone["message"] == "Error executing command: Sandbox 'nope' not found", gone
    finally:
        assert mcp_call(url, {"name": "delete_sandbox", "arguments": box})["success"]
    with_key = requests.post(f"{url}/list_sandboxes", headers={"X-API-Key": "x"}, json={}, timeout=9)
    assert with_key.status_code == 401, with_key.text


def test_tools_of_langswarms_own_server_are_passed_on(far, langswarms_server):
    url = far(f"type: mcpremote, mcp_url: '{langswarms_server}'")
    listed = mcp_call(url, {"name": "list_sandboxes"})
    assert (listed["count"], listed["sandboxes"]) == (1, [{"sandbox_id": "x"}])
    failed = mcp_call(url, {"name": "delete_sandbox", "arguments": {"sandbox_id": "x"}})
    assert (failed["success"], failed["message"]) == (False, "Error deleting sandbox: no such sandbox"), failed
    absent = mcp_call(url, {"name": "get_sandbox_info", "arguments": {"sandbox_id": "x"}})
    assert absent["message"].startswith("Error getting sandbox info: "), absent


def test_a_server_that_is_not_there_is_told(far):
    listed = mcp_call(far("type: remote_mcp, url: 'http://127.0.0.1:1'"), {"name": "list_sandboxes"})
    assert listed["message"].startswith("Error listing sandboxes: cannot reach http://127.0.0.1:1"), listed
