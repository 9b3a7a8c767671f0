"""Alerts and dashboard, against what a running server really shows."""

import json
import re
import shutil
import socket
import subprocess
import urllib.parse

import yaml
from conftest import DEPLOY, ROOT, ask, metric_names, queries, rules, run, tool, use, wait_for

# Shown by processes only after what a quiet test has none of: failures, WebSockets, clients that leave, tasks, resources.
RARE = {
    "pitlane_event_sockets_open",
    "pitlane_http_requests_unfinished_total",
    "pitlane_tool_backend_failures_total",
    "pitlane_mcp_resource_reads_total",
    "pitlane_mcp_sessions",
    "pitlane_mcp_tasks_total",
    "pitlane_rate_limited_total",
    "pitlane_sandbox_failures_total",
    "pitlane_streams_open",
    "pitlane_toolbox_cancelled_total",
}


def names_in(query):
    return set(re.findall(r"\b(?:pitlane|process)_[a-z0-9_]+\b", re.sub(r'"[^"]*"', '""', query)))


def documented():
    """Names in the documentation's tables, and their labels."""
    names = {}
    for line in (ROOT / "docs/metrics.md").read_text().splitlines():
        row = re.match(r"\| `([a-z0-9_]+)` \| (counter|gauge|histogram) \| ([^|]+) \|", line)
        if row:
            name, kind, labels = row.groups()
            ends = ["_bucket", "_sum", "_count"] if kind == "histogram" else [""]
            for end in ends:
                names[name + end] = set(re.findall(r"`([a-z]+)`", labels)) | ({"le"} if end == "_bucket" else set())
    return names


def test_prometheus_accepts_its_configuration():
    assert "SUCCESS" in run(tool("promtool"), "check", "config", str(DEPLOY / "prometheus/prometheus.yml"))


def test_each_alert_fires_when_it_should_and_not_otherwise():
    assert "SUCCESS" in run(tool("promtool"), "test", "rules", str(DEPLOY / "prometheus/alerts.test.yml"))


def test_each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not():
    tests = yaml.safe_load((DEPLOY / "prometheus/alerts.test.yml").read_text())["tests"]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    fires = {case["alertname"] for case in cases if case["exp_alerts"]}
    silent = {case["alertname"] for case in cases if not case["exp_alerts"]}
    alerts = {rule["alert"] for rule in rules()}
    assert (fires, silent) == (alerts, alerts)


def test_an_alert_that_is_changed_fails_its_cases(tmp_path):
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    alerts = tmp_path / "prometheus/alerts.yml"
    alerts.write_text(alerts.read_text().replace("> 0.05\n", "> 0.5\n", 1))
    command = [tool("promtool"), "test", "rules", str(tmp_path / "prometheus/alerts.test.yml")]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0


def test_each_alert_says_what_happened_what_to_do_and_how_urgent_it_is():
    for rule in rules():
        assert rule["labels"]["severity"] in {"page", "look"}, rule["alert"]
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], rule["alert"]


def test_every_figure_in_a_query_is_documented_with_its_labels():
    known = documented()
    # Of Prometheus itself, of how it is told of us, and of the alerts' own.
    common = {"job", "instance", "alertname", "severity"}
    for where, query in queries():
        for name in names_in(query):
            assert name in known, f"{where}: {name} is not in docs/metrics.md"
        for selector in re.findall(r"((?:pitlane|process)_[a-z0-9_]+)\{([^}]*)\}", query):
            name, labels = selector
            used = set(re.findall(r"([a-z_]+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', labels)))
            assert used <= known[name] | common, f"{where}: {name} has no label {used - known[name] - common}"


def test_every_figure_in_a_query_is_shown_by_a_running_process(watched):
    server, mcp = watched
    shown = metric_names(ask(server.ready["metrics"])) | metric_names(ask(mcp.ready["metrics"]))
    asked = set().union(*(names_in(query) for _, query in queries()))
    assert asked - shown - RARE == set()
    # What is excused is at least documented.
    assert RARE <= documented().keys()


def test_a_real_prometheus_reads_both_processes_and_answers_every_query(watched, tmp_path):
    server, mcp = watched
    configuration = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    configuration["rule_files"] = [str(DEPLOY / "prometheus/alerts.yml")]
    targets = {"pitlane": server.ready["metrics"], "pitlane-mcp": mcp.ready["metrics"]}
    assert {job["job_name"] for job in configuration["scrape_configs"]} == targets.keys()
    for job in configuration["scrape_configs"]:
        host = urllib.parse.urlsplit(targets[job["job_name"]]).netloc
        job["static_configs"] = [{"targets": [host]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = "127.0.0.1:%d" % free.getsockname()[1]
    command = [tool("prometheus"), f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data"]
    command += [f"--web.listen-address={address}"]

    def query(text):
        asked = urllib.parse.urlencode({"query": text})
        return json.loads(ask(f"http://{address}/api/v1/query?{asked}"))["data"]["result"]

    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for("both processes are read", lambda: len(query("up == 1")) == 2)
        use(mcp.ready["url"], server.key)
        # Those that have nothing to show on a server that works: what they ask for is RARE.
        idle = {"Failures", "Share of failures", "Tasks and resources", "Backend failures and refusals", "Refused"}
        idle |= {"Clients that gave up"}
        panels = [(where, text) for where, text in queries() if where.startswith("panel")]
        seen = set()

        def all_seen():
            seen.update(where for where, text in panels if query(text))
            missing = {where for where, _ in panels} - seen - {f"panel {title}" for title in idle}
            if missing:
                raise KeyError(missing)
            return True

        wait_for("something in each panel", all_seen)
        loaded = json.loads(ask(f"http://{address}/api/v1/rules"))["data"]["groups"]
        evaluated = wait_for(
            "all rules are evaluated",
            lambda: [
                rule
                for group in json.loads(ask(f"http://{address}/api/v1/rules"))["data"]["groups"]
                for rule in group["rules"]
                if rule["health"] == "ok"
            ],
        )
        assert len(loaded) == 2
        wait_for("no alert", lambda: all(rule["state"] == "inactive" for rule in evaluated))
    finally:
        process.terminate()
        process.wait(60)
