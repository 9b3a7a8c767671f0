"""openapi/compat.toml tells the truth: about what the clients know, and about what works."""

import importlib
import pathlib
import re
import tomllib

import httpx
import pytest
import recorded

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = tomllib.loads((ROOT / "openapi/compat.toml").read_text(encoding="utf-8"))
# Known to no published client: older clients and WebSockets use them.
UNPUBLISHED = {
    "control": {"GET /sandbox/paginated"},
    "toolbox": {"GET /process/pty/create-connect", "POST /files/upload", "GET /project-dir"},
}


@pytest.mark.parametrize(
    "interface, package", [("control", "daytona_api_client"), ("toolbox", "daytona_toolbox_api_client")]
)
def test_the_list_has_a_row_for_every_operation_of_the_published_client(interface, package):
    folder = pathlib.Path(importlib.import_module(package).__file__).parent / "api"
    operations = set()
    for file in folder.glob("*.py"):
        text = file.read_text(encoding="utf-8")
        operations.update(f"{m} {p}" for m, p in re.findall(r"method='(\w+)',\s*resource_path='([^']+)'", text))
    assert operations
    assert operations | UNPUBLISHED[interface] == set(ROWS[interface])


def test_a_toolbox_operation_that_is_not_there_says_so(server, sandbox):
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=f"{sandbox.toolbox_proxy_url}/{sandbox.id}", headers=headers) as client:
        for key, row in ROWS["toolbox"].items():
            method, path = key.split()
            answer = client.request(method, re.sub(r"{\w+}", "x", path))
            body = answer.json() if "json" in answer.headers.get("content-type", "") else {}
            if row["status"] in ("implemented", "partial"):
                assert answer.status_code != 501, key
            else:
                assert (answer.status_code, body.get("statusCode")) == (501, 501), f"{key}: {answer.status_code} {body}"
                assert body["message"], key


@pytest.mark.parametrize("interface", ["control", "toolbox"])
def test_every_operation_said_to_work_was_called_with_success(interface, request):
    run = {item.path.name for item in request.session.items}
    needed = {"test_sandboxes.py", "test_code.py", "test_files.py", "test_keys.py", "test_previews.py", "test_lsp.py"}
    needed |= {"test_images.py", "test_git.py", "test_interpreter.py", "test_signed_files.py", "test_sessions.py"}
    needed |= {"test_storage.py", "test_builds.py", "test_registries.py"}
    assert needed <= run, f"this counts what the whole suite called: run it with {needed - run}"
    served = {key for key, row in ROWS[interface].items() if row["status"] in ("implemented", "partial")}
    called = {
        key
        for key in served
        for kind, method, path in recorded.calls
        if kind == interface and method == key.split()[0] and recorded.matches(key.split()[1], path)
    }
    assert served - called == set()
