"""openapi/compat.toml tells the truth: about what the clients know, and about what works."""

import importlib
import pathlib
import re
import tomllib

import pytest
import recorded

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROWS = tomllib.loads((ROOT / "openapi/compat.toml").read_text(encoding="utf-8"))
# Known to no published client: older clients and WebSockets use them.
UNPUBLISHED = {
    "control": {"GET /sandbox/paginated"},
    "toolbox": {"GET /process/pty/create-connect", "POST /files/upload", "GET /project-dir"},
}
# Called by no method of the SDK; tested where the server itself is tested.
OTHERWISE_TESTED = {
    "control": {"GET /sandbox/paginated"},
    "toolbox": {"POST /files/upload", "GET /project-dir", "GET /version"},
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


@pytest.mark.parametrize("interface", ["control", "toolbox"])
def test_every_operation_said_to_work_was_called_with_success(interface, request):
    run = {item.path.name for item in request.session.items}
    needed = {"test_sandboxes.py", "test_code.py", "test_files.py", "test_keys.py"}
    assert needed <= run, f"this counts what the whole suite called: run it with {needed - run}"
    served = {key for key, row in ROWS[interface].items() if row["status"] in ("implemented", "partial")}
    called = {
        key
        for key in served
        for kind, method, path in recorded.calls
        if kind == interface and method == key.split()[0] and recorded.matches(key.split()[1], path)
    }
    assert served - called == OTHERWISE_TESTED[interface]
