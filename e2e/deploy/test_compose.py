"""The containers, as docker-compose reads them. No container engine can fetch an image where these tests run."""

import os
import pathlib
import re
import shutil
import stat
import subprocess
import urllib.error

import pytest
import yaml
from conftest import DEPLOY, PITLANE, TOOLS, ask, run, tool

UNPRIVILEGED = ["mcp", "prometheus", "grafana"]


@pytest.fixture(scope="module")
def configuration(tmp_path_factory):
    """What docker-compose makes of the file, in a copy of deploy/ that was prepared as the documentation says."""
    copy = tmp_path_factory.mktemp("compose") / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("bin", "secrets", ".env"))
    said = run(str(copy / "compose/prepare"), PITLANE)
    assert "up --build --detach" in said
    program = tool("docker-compose")
    # The older one is a script: Debian's own Python, for Debian's own libraries.
    is_script = pathlib.Path(program).read_bytes()[:2] == b"#!"
    command = ["/usr/bin/python3", program] if is_script and str(TOOLS) in program else [program]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{TOOLS}/usr/lib/python3/dist-packages"}
    text = run(*command, "--file", str(copy / "compose/docker-compose.yml"), "config", env=environment)
    assert "WARNING" not in text, text
    return copy, yaml.safe_load(text)


def test_docker_compose_accepts_the_file_and_finds_what_it_names(configuration):
    copy, read = configuration
    assert list(read["services"]) == ["grafana", "mcp", "pitlane", "prometheus"]
    for service in read["services"].values():
        if "build" in service:
            context = pathlib.Path(service["build"]["context"])
            assert {"pitlane", "server-entrypoint"} <= {file.name for file in context.iterdir()}
            dockerfile = (context / service["build"]["dockerfile"]).resolve()
            stages = re.findall(r"^FROM \S+ AS (\S+)$", dockerfile.read_text(), re.M)
            assert service["build"]["target"] in stages
            for copied in re.findall(r"^COPY (?:--\S+ )?(\S+) ", dockerfile.read_text(), re.M):
                assert (context / copied).exists(), copied
        for volume in service.get("volumes", []):
            source = volume.split(":")[0] if isinstance(volume, str) else volume["source"]
            if source.startswith("/") and source != "/dev":
                assert pathlib.Path(source).exists(), volume
    assert pathlib.Path(read["secrets"]["grafana-admin-password"]["file"]).parent == copy / "compose/secrets"


@pytest.mark.parametrize("name", UNPRIVILEGED)
def test_everything_but_the_server_has_no_privilege_and_a_read_only_file_system(configuration, name):
    service = configuration[1]["services"][name]
    user = service["user"].split(":")[0]
    assert user.isdigit() and int(user) != 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] and service["mem_limit"]
    assert not {"privileged", "devices", "pid", "ipc", "network_mode"} & service.keys()


def test_only_the_server_is_privileged(configuration):
    services = configuration[1]["services"]
    assert [name for name, service in services.items() if service.get("privileged")] == ["pitlane"]


def test_every_service_is_asked_whether_it_is_well_and_is_reached_from_this_machine_alone(configuration):
    for name, service in configuration[1]["services"].items():
        check = service["healthcheck"]
        assert check["test"][0] == "CMD" and check["interval"] and check["timeout"] and check["retries"], name
        for port in service["ports"]:
            published = port if isinstance(port, str) else f"{port.get('host_ip')}:{port['published']}:{port['target']}"
            assert published.startswith("127.0.0.1:"), (name, published)
        assert service["logging"]["options"]["max-size"], name
        assert service["restart"] == "unless-stopped", name


def test_no_secret_stands_in_the_file(configuration):
    for name, service in configuration[1]["services"].items():
        for variable, value in (service.get("environment") or {}).items():
            words = {"PASSWORD", "SECRET", "TOKEN", "KEY"} & set(re.split("_+", variable))
            assert not words or variable.endswith("__FILE"), (name, variable, value)


def test_the_password_is_made_once_and_is_nobody_elses(configuration):
    copy, _ = configuration
    secret = copy / "compose/secrets/grafana-admin-password"
    first = secret.read_text()
    assert len(first) == 32
    assert stat.S_IMODE(secret.parent.stat().st_mode) == 0o700
    run(str(copy / "compose/prepare"), PITLANE)
    assert secret.read_text() == first
    ignored = (DEPLOY / "compose/.gitignore").read_text().split()
    assert {"/bin/", "/secrets/", "/.env"} <= set(ignored)


def test_prepare_says_what_is_missing(tmp_path):
    command = [str(DEPLOY / "compose/prepare"), str(tmp_path / "none")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1 and "hint: make build" in ended.stderr
    assert not (DEPLOY / "compose/bin").exists() or os.environ.get("CI") != "true"


def test_the_arguments_are_ones_that_the_program_takes(configuration):
    services = configuration[1]["services"]
    for name, words in [("pitlane", ["serve"]), ("mcp", ["mcp", "serve"])]:
        command = services[name]["command"]
        assert command[: len(words)] == words
        help_text = run(PITLANE, *words, "--help")
        for argument in command[len(words) :]:
            assert argument.split("=")[0] in help_text, argument
    for name in services["mcp"]["environment"]:
        assert name.startswith("PITLANE_MCP_"), name


def test_the_checks_ask_for_what_the_processes_answer(configuration, watched):
    server, mcp = watched
    doors = {3986: server.url.removesuffix("/api"), 8001: mcp.ready["url"].removesuffix("/mcp")}
    doors[9465] = mcp.ready["metrics"].removesuffix("/metrics")
    for name in ["pitlane", "mcp"]:
        address = configuration[1]["services"][name]["healthcheck"]["test"][-1]
        port, path = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/\S*)", address).groups()
        assert ask(doors[int(port)] + path)
        with pytest.raises(urllib.error.HTTPError):
            ask(doors[int(port)] + "/nothing/here")


def test_what_prometheus_scrapes_are_services_with_these_ports(configuration):
    scraped = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    services = configuration[1]["services"]
    for job in scraped:
        for target in job["static_configs"][0]["targets"]:
            name, port = target.split(":")
            assert f"--metrics=0.0.0.0:{port}" in services[name]["command"]
            assert set(services[name]["networks"]) & set(services["prometheus"]["networks"])


def test_the_servers_container_leaves_the_root_of_its_control_groups(tmp_path):
    # A folder that looks like version 2 of control groups; the kernel's own would move this test.
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.procs").write_text("4\n5\n")
    (tmp_path / "server").mkdir()
    (tmp_path / "server/cgroup.procs").write_text("")
    entrypoint = str(DEPLOY / "compose/server-entrypoint")
    environment = {"PATH": os.environ["PATH"], "CGROUP_ROOT": str(tmp_path), "PITLANE_PROGRAM": "/bin/echo"}
    assert run(entrypoint, "serve", "--uplink=none", env=environment) == "serve --uplink=none\n"
    # The last one that was moved: the file of the kernel takes one at a time.
    assert (tmp_path / "server/cgroup.procs").read_text() == "5\n"
    (tmp_path / "cgroup.controllers").unlink()
    (tmp_path / "server/cgroup.procs").write_text("")
    assert run(entrypoint, "serve", env=environment) == "serve\n"
    assert (tmp_path / "server/cgroup.procs").read_text() == ""
