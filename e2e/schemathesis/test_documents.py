"""Our descriptions are OpenAPI, and the server does what they say."""

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator
from server import Server

from conftest import ROOT, ask, call


@pytest.mark.parametrize("document", ["control.json", "toolbox.json"])
def test_a_description_is_openapi_3_1(document):
    described = json.loads((ROOT / "openapi" / document).read_text(encoding="utf-8"))
    assert [error.message for error in OpenAPIV31SpecValidator(described).iter_errors()] == []


def test_the_control_plane_does_what_its_description_says(tmp_path):
    server = Server(["--driver", "fake"])
    try:
        kept, doomed = (call(server, "POST", "/sandbox", {})["id"] for _ in range(2))
        parameters = {
            "": {"path.sandboxIdOrName": kept, "path.sandboxId": kept, "path.id": "default"},
            "deleteSandbox": {"path.sandboxIdOrName": doomed},
        }
        ask(server, "control.json", server.url, tmp_path, parameters, "coverage,fuzzing")
        # What one answer names is asked for in the next: created, read, deleted, read again.
        ask(server, "control.json", server.url, tmp_path, {}, "stateful")
    finally:
        server.close()


def test_a_toolbox_does_what_its_description_says(tmp_path):
    server = Server()
    try:
        sandbox = call(server, "POST", "/sandbox", {"autoStopInterval": 0})
        url = f"{sandbox['toolboxProxyUrl']}/{sandbox['id']}"
        ask(server, "toolbox.json", url, tmp_path, {}, "coverage,fuzzing")
        call(server, "DELETE", f"/sandbox/{sandbox['id']}")
    finally:
        server.close()
