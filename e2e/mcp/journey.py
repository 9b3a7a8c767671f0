"""What a coding agent does, through whatever client: `call(name, arguments)` answers (structured, text, is_error)."""

import asyncio
import pathlib

GIT_SERVER = pathlib.Path(__file__).resolve().parents[1] / "git_server.py"
SEED = """
export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=s GIT_AUTHOR_EMAIL=s GIT_COMMITTER_NAME=s GIT_COMMITTER_EMAIL=s
mkdir -p served && cd served && git init -q -b main seed && cd seed && seq 9 > file && git add file && git commit -qm first
cd .. && git clone -q --bare seed public/a.git
"""
TOOLS = [
    "create_sandbox",
    "execute_code",
    "execute_shell",
    "file_operation",
    "git_operation",
    "list_sandboxes",
    "delete_sandbox",
    "get_sandbox_info",
    "get_preview_url",
    "exec_session",
]


async def journey(call, name):
    """Create, run, write, read, clone, commit, look, delete: everything is seen to have happened."""

    async def done(tool, **arguments):
        structured, text, is_error = await call(tool, arguments)
        assert not is_error, (tool, text)
        return structured

    created = await done("create_sandbox", name=name, environment_vars={"GREETING": "hello"})
    sandbox = created["sandbox_id"]
    try:
        assert created["status"] == "started"
        code = "import os\nprint(os.environ['GREETING'], 'it\\'s', \"quoted\")"
        ran = await done("execute_code", sandbox_id=sandbox, code=code)
        assert (ran["exit_code"], ran["stdout"]) == (0, "hello it's quoted\n")
        # A program's own failure is a result.
        ran = await done("execute_shell", sandbox_id=name, command="echo out; echo err >&2; exit 3")
        assert (ran["exit_code"], ran["stdout"], ran["stderr"]) == (3, "out\n", "err\n")

        for operation, arguments in [("write", {"content": "no newline at the end"}), ("read", {}), ("list", {})]:
            path = "notes" if operation == "list" else "notes/a b.txt"
            answer = await done("file_operation", sandbox_id=sandbox, operation=operation, file_path=path, **arguments)
            assert answer["success"], answer
            if operation == "read":
                assert answer["content"] == "no newline at the end"
            if operation == "list":
                assert any("a b.txt" in file for file in answer["files"]), answer

        await done("execute_shell", sandbox_id=sandbox, command=SEED)
        source = GIT_SERVER.read_text(encoding="utf-8")
        await done("file_operation", sandbox_id=sandbox, operation="write", file_path="git_server.py", content=source)
        start = "(setsid python3 git_server.py served > port 2>/dev/null < /dev/null &); until test -s port; do :; done; cat port"
        port = (await done("execute_shell", sandbox_id=sandbox, command=start))["stdout"].strip()
        url = f"http://127.0.0.1:{port}/public/a.git"
        git = {"sandbox_id": sandbox, "working_directory": "work"}
        cloned = await done("git_operation", operation="clone", repository_url=url, **git)
        assert cloned["success"], cloned
        await done("file_operation", sandbox_id=sandbox, operation="write", file_path="work/new", content="x\n")
        status = await done("git_operation", operation="status", **git)
        assert "new" in status["output"], status
        committed = await done("git_operation", operation="commit", commit_message="it's \"new\" $(id)", **git)
        assert committed["success"], committed
        log = await done("execute_shell", sandbox_id=sandbox, command="git log -1 --format=%s", working_directory="work")
        assert log["stdout"] == "it's \"new\" $(id)\n"

        listed = await done("list_sandboxes")
        assert sandbox in [one["sandbox_id"] for one in listed["sandboxes"]]
        info = await done("get_sandbox_info", sandbox_id=sandbox)
        assert (info["name"], info["status"]) == (name, "started")
    finally:
        deleted, text, is_error = await call("delete_sandbox", {"sandbox_id": sandbox})
    assert not is_error and deleted["success"], text
    # It goes away behind the answer.
    for _ in range(1000):
        gone, text, is_error = await call("get_sandbox_info", {"sandbox_id": sandbox})
        if is_error:
            break
        assert gone["status"] in ("destroying", "destroyed"), gone
        await asyncio.sleep(0.02)
    assert is_error and "not found" in text, (gone, text)
