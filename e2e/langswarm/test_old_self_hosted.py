"""LangSwarm 0.0.54.dev24's self-hosted tool, unmodified: its functions run `daytona`, which is this binary."""

import pytest
from waiting import eventually
from langswarm.mcp.tools.daytona_self_hosted import main as tool


@pytest.fixture(scope="module")
def box(daytona):
    assert daytona("version").code == 0
    made = tool.create_sandbox(name="ml-project", environment_vars={"ENV": "it's development"})
    assert (made["status"], made["message"]) == ("running", f"Successfully created workspace {made['sandbox_id']}"), made
    assert (made["name"], len(made["sandbox_id"])) == ("ml-project", 36)
    yield made["sandbox_id"]
    deleted = tool.delete_sandbox(sandbox_id=made["sandbox_id"])
    assert (deleted["success"], deleted["message"]) == (True, f"Successfully deleted workspace {made['sandbox_id']}")


def test_code_runs_with_two_outputs_and_its_exit_code(box):
    code = 'import os, sys\nprint(os.environ["ENV"])\nprint("aside", file=sys.stderr)'
    ran = tool.execute_code(sandbox_id=box, code=code)
    assert (ran["exit_code"], ran["stdout"], ran["stderr"]) == (0, "it's development\n", "aside\n")
    assert ran["message"] == "Code executed successfully"
    failed = tool.execute_code(sandbox_id=box, code="raise SystemExit(3)")
    assert (failed["exit_code"], failed["message"]) == (3, "Code execution failed")
    script = tool.execute_code(sandbox_id=box, code="console.log(6 * 7)", language="javascript")
    assert (script["exit_code"], script["stdout"]) == (0, "42\n")


def test_commands_are_for_a_shell(box):
    ran = tool.execute_shell(sandbox_id="ml-project", command="printf 'b\\na\\n' | sort && exit 0")
    assert (ran["exit_code"], ran["stdout"], ran["message"]) == (0, "a\nb\n", "Command executed successfully")
    failed = tool.execute_shell(sandbox_id=box, command="echo no >&2; exit 7")
    assert (failed["exit_code"], failed["stderr"], failed["message"]) == (7, "no\n", "Command execution failed")


def test_files_are_written_read_and_listed(box):
    path = "/tmp/it's.txt".replace("'", "")  # The tool quotes contents, but not paths.
    wrote = tool.file_operation(sandbox_id=box, operation="write", file_path=path, content="it's 1")
    assert (wrote["success"], wrote["message"]) == (True, f"Successfully wrote to file {path}")
    read = tool.file_operation(sandbox_id=box, operation="read", file_path=path)
    assert (read["content"], read["message"]) == ("it's 1\n", f"Successfully read file {path}")
    listed = tool.file_operation(sandbox_id=box, operation="list", file_path="/tmp")
    assert listed["message"] == "Successfully listed directory /tmp"
    assert any(line.endswith("its.txt") for line in listed["files"])
    gone = tool.file_operation(sandbox_id=box, operation="read", file_path="/nope")
    assert gone["message"].startswith("Failed to read file: cat: /nope") and not gone["success"], gone
    unknown = tool.file_operation(sandbox_id=box, operation="chmod", file_path="/tmp")
    assert unknown["message"] == "Unsupported file operation: chmod"


def test_git_works_on_a_repository(box):
    setup = "git init -q -b main repo && cd repo && git config user.name t && git config user.email t && echo 1 > a"
    assert tool.execute_shell(sandbox_id=box, command=setup)["exit_code"] == 0
    inside = {"sandbox_id": box, "working_directory": "repo"}
    done = tool.git_operation(**inside, operation="commit", commit_message="first")
    assert (done["success"], done["message"]) == (True, "Git operation completed successfully"), done
    assert "nothing to commit" in tool.git_operation(**inside, operation="status")["output"]
    failed = tool.git_operation(**inside, operation="checkout", branch="nope")
    assert not failed["success"] and failed["message"].startswith("Git operation failed: error: pathspec 'nope'")
    missing = tool.git_operation(**inside, operation="clone")
    assert missing["message"] == "Error performing git operation: Repository URL is required for clone operation"
    unknown = tool.git_operation(**inside, operation="rebase")
    assert unknown["message"] == "Unsupported git operation: rebase"


def test_sandboxes_are_listed_and_shown(box):
    listed = tool.list_sandboxes()
    assert listed["message"] == f"Found {listed['count']} workspaces"
    found = [sandbox for sandbox in listed["sandboxes"] if sandbox["sandbox_id"] == "ml-project"]
    assert [sandbox["status"] for sandbox in found] == ["started"]
    info = tool.get_sandbox_info(sandbox_id="ml-project")
    assert (info["name"], info["status"], info["language"]) == ("ml-project", "started", "python")
    assert info["message"] == "Retrieved information for workspace ml-project"
    assert "unknown" not in (info["created_at"], info["last_accessed"])
    assert info["environment_vars"] == {}


def test_failures_are_told(box):
    ran = tool.execute_shell(sandbox_id="nope", command="true")
    assert (ran["exit_code"], ran["message"]) == (125, "Command execution failed")
    assert ran["stderr"].startswith("error: Sandbox with ID or name nope not found"), ran
    for function, message in ((tool.delete_sandbox, "deleting workspace"), (tool.get_sandbox_info, "getting workspace info")):
        assert function(sandbox_id="nope")["message"].startswith(f"Error {message}: error: Sandbox with ID or name nope")
    failed = tool.create_sandbox(git_repo="/nowhere/at/all", git_branch="main")
    assert failed["status"] == "error" and failed["message"].startswith("Error creating workspace: "), failed
    assert "the repository was not cloned" in failed["message"]
    left = lambda: {sandbox["sandbox_id"] for sandbox in tool.list_sandboxes()["sandboxes"]} - {"ml-project"}  # noqa: E731
    eventually(lambda: not left(), "a sandbox without its repository is left")


def test_daytonas_own_forms_work_beside(box, daytona):
    ran = daytona("exec", box, "--cwd", "/tmp", "--timeout", "30", "--", "printf", "%s|", "a b", "$HOME")
    assert (ran.code, ran.out, ran.err) == (0, "a b|$HOME|", "")
    late = daytona("exec", box, "--timeout", "1", "--", "sleep", "60")
    assert late.code != 0
    assert daytona("stop", "ml-project").out == "Sandbox ml-project stopped\n"
    assert daytona("start", "ml-project").out == "Sandbox ml-project started\n"
    assert daytona("exec", box, "cat /tmp/its.txt").out in ("", "it's 1\n")
