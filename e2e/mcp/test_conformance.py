"""The official conformance suite, for both revisions, without a failure."""

import json

import processes
import pytest

SUITE = processes.MODULES / "@modelcontextprotocol/conformance/dist/index.js"


# How many checks succeed is written down, so that a suite that suddenly checks nothing is noticed.
@pytest.mark.parametrize(("revision", "least"), [("2026-07-28", 180), ("2025-11-25", 75)])
def test_the_official_suite_finds_no_failure(revision, least, tmp_path):
    with processes.McpProcess("--conformance") as process:
        code, said, complained = processes.run_node(
            str(SUITE), "server", "--url", process.url, "--requirements", revision, "-o", str(tmp_path)
        )
    checks = [check for path in tmp_path.rglob("checks.json") for check in json.loads(path.read_text())]
    failed = [check for check in checks if check["status"] == "FAILURE"]
    succeeded = [check for check in checks if check["status"] == "SUCCESS"]
    assert failed == [], said
    assert code == 0, said + complained
    assert len(succeeded) >= least, said
