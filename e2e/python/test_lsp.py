"""Language servers of the default image, and what a sandbox says of itself."""

import httpx
import pytest
from daytona import (
    AsyncDaytona,
    CreateSandboxFromSnapshotParams,
    DaytonaBadRequestError,
    DaytonaLspServerNotInitializedError,
    DaytonaNotFoundError,
    DaytonaRateLimitError,
    LspCompletionPosition,
    Resources,
)
from waiting import eventually

PYTHON = """import os

class Greeter:
    def greet(self, name):
        return name

Greeter().gr
crab = "🦀🦀"; crab.upp
"""
TYPESCRIPT = """export interface User { name: string; age: number }
export class Greeter {
  greet(user: User): string { return user.name }
}
const user: User = { name: '🦀', age: 1 }; user.
"""


@pytest.fixture(scope="module")
def projects(daytona):
    """A sandbox with a project in each language, and a server for each."""
    sandbox = daytona.create()
    sandbox.fs.upload_file(PYTHON.encode(), "py/greeter.py")
    sandbox.fs.upload_file(b"from greeter import Greeter\n\ndef make_greeter():\n    return Greeter()\n", "py/use.py")
    sandbox.fs.upload_file(TYPESCRIPT.encode(), "ts/src/greeter.ts")
    sandbox.fs.upload_file(b'{"compilerOptions": {"strict": true}}', "ts/tsconfig.json")
    sandbox.fs.upload_file(b"export function greet(user) { return user }\nMath.ma\n", "js/greeter.js")
    yield sandbox
    sandbox.delete()


def started(sandbox, language, project):
    server = sandbox.create_lsp_server(language, project)
    server.start()
    return server


def test_python_is_completed_and_its_symbols_are_found(projects):
    server = started(projects, "python", "/home/daytona/py")
    server.did_open("/home/daytona/py/greeter.py")
    found = server.completions("/home/daytona/py/greeter.py", LspCompletionPosition(line=6, character=12))
    assert ([item.insert_text for item in found.items], found.is_incomplete) == (["greet"], False)
    # After two characters that take two units each.
    found = server.completions("/home/daytona/py/greeter.py", LspCompletionPosition(line=7, character=24))
    assert [item.insert_text for item in found.items] == ["upper"]
    symbols = server.document_symbols("/home/daytona/py/greeter.py")
    uri = "file:///home/daytona/py/greeter.py"
    seen = [(s.name, s.kind, s.location.uri, s.location.range.start.line) for s in symbols]
    wanted = [("os", 2, uri, 0), ("Greeter", 5, uri, 2), ("greet", 6, uri, 3), ("crab", 13, uri, 7)]
    assert seen == wanted
    seen = {(s.name, s.location.uri.rsplit("/", 1)[1]) for s in server.sandbox_symbols("greeter")}
    assert seen == {("Greeter", "greeter.py"), ("Greeter", "use.py"), ("make_greeter", "use.py")}
    server.did_close("/home/daytona/py/greeter.py")
    server.stop()


def test_typescript_is_completed_and_its_symbols_are_found(projects):
    server = started(projects, "typescript", "ts")
    assert "Greeter" in {symbol.name for symbol in server.sandbox_symbols("Greet")}
    server.did_open("src/greeter.ts")
    found = server.completions("src/greeter.ts", LspCompletionPosition(line=4, character=49))
    assert {item.label for item in found.items} == {"name", "age"}
    symbols = server.document_symbols("/home/daytona/ts/src/greeter.ts")
    assert {symbol.name for symbol in symbols} >= {"User", "Greeter", "greet", "user", "name", "age"}
    assert {symbol.location.uri for symbol in symbols} == {"file:///home/daytona/ts/src/greeter.ts"}
    server.did_close("src/greeter.ts")
    server.stop()


def test_javascript_is_completed(projects):
    server = started(projects, "javascript", "js")
    found = server.completions("greeter.js", LspCompletionPosition(line=1, character=7))
    assert {"max", "abs"} <= {item.label for item in found.items}
    assert "greet" in {symbol.name for symbol in server.document_symbols("greeter.js")}
    server.stop()


def test_what_changes_in_a_file_is_known_at_once(projects):
    server = started(projects, "python", "py")
    projects.fs.upload_file(b"def one(): pass\n", "py/changing.py")
    server.did_open("changing.py")
    projects.process.exec("echo 'def two(): pass' > py/changing.py")
    assert [symbol.name for symbol in server.document_symbols("changing.py")] == ["two"]
    projects.fs.delete_file("py/changing.py")
    with pytest.raises(DaytonaNotFoundError):
        server.document_symbols("changing.py")
    server.stop()


def test_without_a_server_and_in_wrong_words_the_answer_is_clear(projects):
    server = projects.create_lsp_server("python", "elsewhere")
    for ask in [
        lambda: server.did_open("a.py"),
        lambda: server.did_close("a.py"),
        lambda: server.document_symbols("a.py"),
        lambda: server.sandbox_symbols("a"),
        lambda: server.completions("a.py", LspCompletionPosition(line=0, character=0)),
        server.stop,
    ]:
        with pytest.raises(DaytonaLspServerNotInitializedError, match="start it first"):
            ask()
    with pytest.raises(DaytonaBadRequestError, match="pathToProject cannot be entered"):
        server.start()
    with pytest.raises(DaytonaBadRequestError, match="languageId must be python, typescript or javascript"):
        projects.create_lsp_server("cobol", "py").start()


def test_there_is_a_limit_to_servers(server, make):
    sandbox = make()
    sandbox.process.exec("mkdir p0 p1 p2 p3 p4 p5 p6 p7 p8; printf '#!/bin/sh\nexec sleep 4351' > sleeper")
    # Small ones, which do not answer: they count from their start.
    sandbox.process.exec("sudo install -m 755 sleeper /usr/local/bin/pylsp")
    headers = {"Authorization": f"Bearer {server.key}"}
    url = f"{sandbox.toolbox_proxy_url}/{sandbox.id}/lsp/start"
    for number in range(8):
        body = {"languageId": "python", "pathToProject": f"p{number}"}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(url, json=body, headers=headers, timeout=0.5)
    with pytest.raises(DaytonaRateLimitError, match="8 language servers run already"):
        sandbox.create_lsp_server("python", "p8").start()
    sandbox.create_lsp_server("python", "p0").stop()
    assert sandbox.process.exec("pgrep -c -f '^sleep 435[1]'").result == "7\n"


def test_a_server_runs_as_the_user_and_ends_with_its_stop(projects):
    server = started(projects, "python", "/home/daytona/py")
    assert projects.process.exec("ps -o user= -C pylsp").result == "daytona\n"
    server.stop()
    assert projects.process.exec("pgrep -c pylsp").result == "0\n"
    with pytest.raises(DaytonaLspServerNotInitializedError):
        server.stop()


def test_an_image_without_the_program_says_how_to_get_it(make):
    sandbox = make()
    sandbox.process.exec("sudo mv /usr/bin/pylsp /usr/local/bin/typescript-language-server /tmp/")
    with pytest.raises(DaytonaLspServerNotInitializedError, match="pip install python-lsp-server"):
        sandbox.create_lsp_server("python", "/home/daytona").start()
    with pytest.raises(DaytonaLspServerNotInitializedError, match="npm install -g typescript typescript-language-server"):
        sandbox.create_lsp_server("typescript", "/home/daytona").start()


async def test_the_asynchronous_client_works_as_well(server):
    async with AsyncDaytona() as daytona:
        sandbox = await daytona.create()
        try:
            await sandbox.fs.upload_file(PYTHON.encode(), "py/greeter.py")
            lsp = sandbox.create_lsp_server("python", "py")
            await lsp.start()
            await lsp.did_open("greeter.py")
            found = await lsp.completions("greeter.py", LspCompletionPosition(line=6, character=12))
            assert [item.insert_text for item in found.items] == ["greet"]
            assert "Greeter" in [symbol.name for symbol in await lsp.document_symbols("greeter.py")]
            assert "Greeter" in [symbol.name for symbol in await lsp.sandbox_symbols("Greeter")]
            await lsp.did_close("greeter.py")
            await lsp.stop()
            metrics = await sandbox.get_metrics_latest()
            assert metrics.cpu_count == 1
            await sandbox.update_env({"NEW": "grün", "GOES": "1"})
            await sandbox.update_env({}, unset=["GOES"])
            assert (await sandbox.process.exec('echo "$NEW|$GOES"')).result == "grün|\n"
            assert await sandbox.get_user_home_dir() == await sandbox.get_work_dir() == "/home/daytona"
        finally:
            await sandbox.delete()


def test_metrics_are_the_sandboxs_own(make):
    sandbox = make(CreateSandboxFromSnapshotParams())
    first = sandbox.get_metrics_latest()
    gib = 1 << 30
    assert (first.cpu_count, first.mem_total) == (1, gib)
    assert 2.5 * gib < first.disk_total <= 3 * gib
    assert first.disk_used < first.disk_total / 10
    assert 0 <= first.mem_used < gib / 2  # Nothing was started yet.
    sandbox.process.exec("head -c 300M /dev/zero > file; python3 -c 'sum(range(20_000_000))'")
    used = sandbox.get_metrics_latest()
    assert used.disk_used - first.disk_used > 290 << 20
    assert 20 < used.cpu_used_pct <= 100
    assert 0 <= used.mem_cache <= gib
    # Memory that a program holds is in use, as long as it holds it.
    sandbox.process.exec("setsid python3 -c 'import time; x = bytearray(400 << 20); time.sleep(600)' >/dev/null 2>&1 &")
    eventually(lambda: sandbox.get_metrics_latest().mem_used - first.mem_used > 350 << 20, "it is not counted", 30)
    sandbox.process.exec("pkill -f bytearray")
    eventually(lambda: sandbox.get_metrics_latest().mem_used < 300 << 20, "it is still counted", 30)
    sandbox.resize(Resources(cpu=2, memory=2))
    larger = sandbox.get_metrics_latest()
    assert (larger.cpu_count, larger.mem_total) == (2, 2 * gib)


@pytest.fixture
def toolbox(server, sandbox):
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=f"{sandbox.toolbox_proxy_url}/{sandbox.id}", headers=headers, timeout=30) as client:
        yield client


def test_ports_are_those_that_programs_listen_on(toolbox, sandbox):
    command = "python3 -m http.server {port} --bind {address} >/dev/null 2>&1 &"
    for port, address in [(3001, "127.0.0.1"), (9999, "0.0.0.0"), (2999, "127.0.0.1"), (10000, "127.0.0.1")]:
        sandbox.process.exec("setsid " + command.format(port=port, address=address))
    eventually(lambda: toolbox.get("/port").json() == {"ports": [3001, 9999]}, "they are not listed", 30)
    assert toolbox.get("/port/3001/in-use").json() == {"isInUse": True}
    assert toolbox.get("/port/3002/in-use").json() == {"isInUse": False}
    assert toolbox.get("/port/2999/in-use").status_code == 400
    sandbox.process.exec("pkill -f http.server")
    eventually(lambda: toolbox.get("/port").json() == {"ports": []}, "they are still listed", 30)


def test_variables_are_forgotten_by_name_and_by_value(toolbox, sandbox):
    before = toolbox.post("/env", json={}).json()
    try:
        after = toolbox.post("/env", json={"set": {"A": "secret-1", "B": "secret-2", "C": "3"}}).json()
        assert after == before | {"A": "secret-1", "B": "secret-2", "C": "3"}
        change = {"set": {"B": "secret-3"}, "unset": ["C", "unknown"], "unsetValuePrefix": "secret-"}
        assert toolbox.post("/env", json=change).json() == before | {"B": "secret-3"}
        assert sandbox.process.exec('echo "$A|$B|$C"').result == "|secret-3|\n"
        for wrong in [{"set": {"A-B": "1"}}, {"set": {"A": 1}}, {"set": {"A": "\0"}}, {"unset": "A"}, [], "A"]:
            assert toolbox.post("/env", json=wrong).status_code == 400, wrong
    finally:
        assert toolbox.post("/env", json={"unset": ["A", "B", "C"]}).json() == before


def test_calls_between_the_hosted_service_and_its_daemon_are_answered(toolbox):
    assert toolbox.post("/init", json={"token": "secret"}).json() == {"message": "the daemon needs no credential"}
    assert toolbox.post("/init", json=[]).status_code == 400
    assert set(toolbox.get("/version").json()) == {"version"}
    assert toolbox.get("/project-dir").json() == toolbox.get("/user-home-dir").json()
