"""The server that is asked what its description promises, and the program that asks."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "e2e/python"))

# The same questions every time; set both to look further.
SEED = os.environ.get("SCHEMATHESIS_SEED", "1")
EXAMPLES = os.environ.get("SCHEMATHESIS_EXAMPLES", "20")

# Left out, and why: what is valid by its schema may still be refused, since a name is taken or a file is not there. Of
# methods that are not described, the control plane is only sent one that the reference has nowhere: others are answered
# 501, which the Rust tests hold the server to. A daemon, like the reference's, answers 404 to them.
LEFT_OUT = "positive_data_acceptance"
UNEXPECTED_METHODS = {"control.json": ["TRACE"], "toolbox.json": []}


def call(server, method, path, body=None):
    """Asks the server for what the tests need; gives the answer's JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
    request = urllib.request.Request(server.url + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def ask(server, document, url, folder, parameters, phases):
    """Asks what `document` promises of the interface at `url`; fails with what was found.

    `parameters` holds values that exist, by operation; "" is for all operations.
    """
    lines = ["[phases.coverage]", f"unexpected-methods = {json.dumps(UNEXPECTED_METHODS[document])}"]
    for operation, values in parameters.items():
        if operation:
            lines += ["[[operations]]", f'include-operation-id = "{operation}"']
        lines += ["[operations.parameters]" if operation else "[parameters]"]
        lines += [f'"{name}" = {json.dumps(value)}' for name, value in values.items()]
    configuration = folder / "schemathesis.toml"
    configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")
    program = pathlib.Path(sys.executable).with_name("schemathesis")
    command = [str(program), "--no-color", "--config-file", str(configuration), "run", str(ROOT / "openapi" / document)]
    command += ["--url", url, "--header", f"Authorization: Bearer {server.key}"]
    command += ["--seed", SEED, "--max-examples", EXAMPLES, "--generation-database", "none", "--phases", phases]
    command += ["--exclude-checks", LEFT_OUT, "--continue-on-failure", "--request-timeout", "30", "--warnings", "off"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE)}
    run = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment, timeout=600
    )
    assert run.returncode == 0, run.stdout
