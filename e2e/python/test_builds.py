"""Images that are built for sandboxes and snapshots: the SDK's declarative images, their logs, failures and ends."""

import asyncio
import base64
import contextlib
import hashlib
import io
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import uuid
import zipfile

import httpx
import pytest
from daytona import (
    AsyncDaytona,
    CreateSandboxFromImageParams,
    CreateSandboxFromSnapshotParams,
    CreateSnapshotParams,
    DaytonaBadRequestError,
    DaytonaError,
    DaytonaNotFoundError,
    Image,
    Resources,
)
from daytona_api_client import ApiClient, Configuration, SandboxApi, SnapshotsApi
from daytona_api_client.exceptions import NotFoundException
from daytona_api_client.models import CreateBuildInfo, CreateSandbox
from server import Server
from waiting import eventually

# Longer than any build here takes.
SECONDS = 120


def unique():
    """A word that no earlier build has seen, so that nothing of it is cached."""
    return uuid.uuid4().hex[:12]


def slow(word, seconds=3):
    """An image whose second step takes a while."""
    return Image.base("default").run_commands(f"echo begun {word}", f"sleep {seconds}; echo over {word}")


@pytest.fixture
def snapshot(daytona):
    """Makes snapshots that do not outlive the test."""
    made = []

    def create(image, **options):
        name = f"e2e/{uuid.uuid4()}:1"
        made.append(name)
        logs = options.pop("on_logs", None)
        return daytona.snapshot.create(
            CreateSnapshotParams(name=name, image=image, **options), on_logs=logs, timeout=SECONDS
        )

    yield create
    for name in made:
        with contextlib.suppress(DaytonaError):
            daytona.snapshot.delete(daytona.snapshot.get(name))


@pytest.fixture
def api(server):
    with ApiClient(Configuration(host=server.url, access_token=server.key)) as client:
        yield SandboxApi(client)


def request(dockerfile, **options):
    return CreateSandbox(build_info=CreateBuildInfo(dockerfile_content=dockerfile), **options)


def wheel():
    """A package of one module, as pip installs it."""
    name, data = "e2e_greeting-1.0", io.BytesIO()
    files = {
        "e2e_greeting.py": b"WORD = 'hello from a wheel'\n",
        f"{name}.dist-info/METADATA": b"Metadata-Version: 2.1\nName: e2e-greeting\nVersion: 1.0\n",
        f"{name}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: e2e\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode().rstrip('=')},{len(text)}\n"
        for path, text in files.items()
    )
    files[f"{name}.dist-info/RECORD"] = (record + f"{name}.dist-info/RECORD,,\n").encode()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{name}-py3-none-any.whl", data.getvalue()


@pytest.fixture(scope="module")
def forge():
    """A server of its own that has object storage over https, which the SDK uploads files to."""
    running = Server(["--storage-listen", "127.0.0.1:0"])
    yield running
    running.close()


def with_trust(server, script, *arguments):
    """Runs a script that trusts the server's certificate: the SDK's library reads the machine's list alone."""
    system = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
    bundle = pathlib.Path(server.state, "trusted.pem")
    bundle.write_bytes(system.read_bytes() + pathlib.Path(server.state, "state/tls/authority.pem").read_bytes())
    mount = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    command = ["unshare", "--mount", "sh", "-ec", mount, "sh", str(bundle), str(system), sys.executable, "-c", script]
    environment = {**os.environ, "DAYTONA_API_URL": server.url, "DAYTONA_API_KEY": server.key}
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=SECONDS, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


DECLARATIVE = """
import json, os, sys, time
from daytona import CreateSandboxFromImageParams, Daytona, Image, Resources

os.chdir(sys.argv[1])
image = (
    Image.base("default")
    .dockerfile_commands(["USER root"])
    .add_local_dir("wheels", "/wheels")
    .pip_install("e2e-greeting", find_links=["/wheels"], extra_options="--no-index --break-system-packages")
    .add_local_file("one.txt", "/srv/one.txt")
    .add_local_dir("tree", "/srv/tree")
    .run_commands("mkdir -p /srv/made && echo made > /srv/made/by-run", ["sh", "-c", "echo as a list > /srv/list"])
    .env({"COLOUR": "deep blue"})
    .workdir("/srv")
    .dockerfile_commands(["LABEL e2e=yes", "EXPOSE 8000"])
    .entrypoint(["sh", "-c", "echo runs by itself; sleep 1000"])
)
logs = []
sandbox = Daytona().create(
    CreateSandboxFromImageParams(image=image, resources=Resources(cpu=2, memory=2, disk=4)),
    timeout=100,
    on_snapshot_create_logs=logs.append,
)
shell = lambda command: sandbox.process.exec(command).result
deadline = time.monotonic() + 20
while not sandbox.process.get_entrypoint_logs().stdout and time.monotonic() < deadline:
    time.sleep(0.05)
print(json.dumps({
    "state": [sandbox.state, sandbox.cpu, sandbox.memory, sandbox.disk],
    "is_told": sandbox.build_info.dockerfile_content == image.dockerfile(),
    "contexts": len(sandbox.build_info.context_hashes),
    "variables": shell("pwd; echo $COLOUR"),
    "files": shell("cat one.txt tree/deep/leaf.txt made/by-run list"),
    "package": shell("python3 -c 'import e2e_greeting; print(e2e_greeting.WORD)'"),
    "entrypoint": sandbox.process.get_entrypoint_logs().stdout,
    "logs": "\\n".join(logs),
}))
sandbox.delete()
"""

FROM_FILE = """
import json, sys
from daytona import CreateSandboxFromImageParams, Daytona, Image

image = Image.from_dockerfile(sys.argv[1])
sandbox = Daytona().create(CreateSandboxFromImageParams(image=image), timeout=100)
print(json.dumps(sandbox.process.exec("cat /stage /greeting; whoami").result))
sandbox.delete()
"""


def test_a_declarative_image_becomes_what_it_says(forge, tmp_path):
    (tmp_path / "wheels").mkdir()
    name, content = wheel()
    (tmp_path / "wheels" / name).write_bytes(content)
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    (tmp_path / "tree" / "deep" / "leaf.txt").write_text("leaf\n")
    (tmp_path / "one.txt").write_text("one file\n")
    seen = with_trust(forge, DECLARATIVE, str(tmp_path))
    logs = seen.pop("logs")
    assert seen == {
        "state": ["started", 2, 2, 4],
        "is_told": True,
        "contexts": 3,
        "variables": "/srv\ndeep blue\n",
        "files": "one file\nleaf\nmade\nas a list\n",
        "package": "hello from a wheel\n",
        "entrypoint": "runs by itself\n",
    }
    assert "FROM default" in logs and "pip install" in logs, logs


def test_a_dockerfile_from_a_file_is_built(forge, tmp_path):
    (tmp_path / "Dockerfile").write_text(
        "FROM default AS first\nUSER root\nRUN echo from the first stage > /stage\n"
        "FROM default\nUSER root\nARG WHO=world\nCOPY --from=first /stage /stage\nCOPY greeting.txt /greeting\n"
        "RUN echo hello $WHO >> /greeting\nUSER daytona\n"
    )
    (tmp_path / "greeting.txt").write_text("a greeting:\n")
    seen = with_trust(forge, FROM_FILE, str(tmp_path / "Dockerfile"))
    assert seen == "from the first stage\na greeting:\nhello world\ndaytona\n"


def test_a_build_is_told_of_at_once_and_goes_through_its_states(daytona, api, server):
    word, seen = unique(), []
    begun = time.monotonic()
    made = api.create_sandbox(request(slow(word).dockerfile()))
    assert made.state == "pending_build" and time.monotonic() - begun < 2
    assert made.build_info.snapshot_ref == made.snapshot

    def is_started():
        state = api.get_sandbox(made.id).state
        if not seen or seen[-1] != state:
            seen.append(state)
        assert state not in ("error", "build_failed"), api.get_sandbox(made.id).error_reason
        return state == "started"

    eventually(is_started, "it does not start", SECONDS)
    assert "building_snapshot" in seen
    url = api.get_build_logs_url(made.id).url
    assert "?" not in url
    head = {"Authorization": f"Bearer {server.key}"}
    kept = httpx.get(url + "?follow=true", headers=head)
    assert kept.status_code == 200 and f"over {word}" in kept.text
    assert httpx.get(url, headers=head).text == kept.text
    assert httpx.get(url).status_code == 401
    daytona.delete(daytona.get(made.id))


def test_logs_come_while_the_build_goes_on(make, server, api):
    word = unique()
    made = api.create_sandbox(request(slow(word, seconds=4).dockerfile()))
    head = {"Authorization": f"Bearer {server.key}"}
    times = {}
    with httpx.stream("GET", api.get_build_logs_url(made.id).url + "?follow=true", headers=head, timeout=60) as answer:
        text = ""
        for piece in answer.iter_text():
            text += piece
            # The instruction itself is in the log, too: only what the commands say counts.
            for line in (f"\nbegun {word}", f"\nover {word}"):
                if line in text:
                    times.setdefault(line.strip(), time.monotonic())
    assert times[f"over {word}"] - times[f"begun {word}"] > 2, text
    eventually(lambda: api.get_sandbox(made.id).state == "started", "it does not start", SECONDS)
    api.delete_sandbox(made.id)


def test_a_step_that_fails_says_which_and_why(make, snapshot):
    word = unique()
    image = Image.base("default").run_commands(f"echo {word}", "echo it broke >&2; exit 7", "echo never")
    logs = []
    with pytest.raises(DaytonaError, match=r"(?s)exit 7.*exit code 7"):
        make(CreateSandboxFromImageParams(image=image), timeout=SECONDS, on_snapshot_create_logs=logs.append)
    with pytest.raises(DaytonaError, match=r"(?s)exit 7.*exit code 7"):
        snapshot(image, on_logs=logs.append)
    assert "it broke" in "\n".join(logs)
    for dockerfile, why in [("FROM default\nNONSENSE x\n", "line 2"), ("RUN true\n", "FROM"), ("", "FROM")]:
        (broken := Image.base("default"))._dockerfile = dockerfile  # noqa: SLF001
        with pytest.raises(DaytonaBadRequestError, match=why):
            make(CreateSandboxFromImageParams(image=broken))


def test_a_base_image_that_cannot_be_had_is_named(make):
    with pytest.raises(DaytonaError, match="127.0.0.1:1/nothing:1"):
        make(CreateSandboxFromImageParams(image=Image.base("127.0.0.1:1/nothing:1").run_commands("true")), timeout=SECONDS)


def test_a_context_that_was_not_uploaded_is_named(api):
    info = CreateBuildInfo(dockerfile_content="FROM default\nCOPY a /a\n", context_hashes=["0" * 32])
    with pytest.raises(Exception, match="0" * 32):
        api.create_sandbox(CreateSandbox(build_info=info))


def test_a_sandbox_is_deleted_in_the_middle_of_its_build(daytona, api, server):
    word = unique()
    made = api.create_sandbox(request(slow(word, seconds=100).dockerfile()))
    eventually(lambda: api.get_sandbox(made.id).state == "building_snapshot", "it is not built", SECONDS)
    daytona.delete(daytona.get(made.id), wait=True)
    with pytest.raises(DaytonaNotFoundError):
        daytona.get(made.id)
    # The build has ended with it: as many others as are built at once go on.
    for number in range(3):
        quick = api.create_sandbox(request(f"FROM default\nRUN echo {word}{number}\n"))
        eventually(lambda made=quick: api.get_sandbox(made.id).state == "started", "it does not start", SECONDS)
        api.delete_sandbox(quick.id)


def test_two_sandboxes_of_one_build_are_built_once(make):
    word = unique()
    image = Image.base("default").run_commands(f"echo {word}; date +%s%N > ~/when; sleep 1")
    made = []
    threads = [
        threading.Thread(target=lambda: made.append(make(CreateSandboxFromImageParams(image=image), timeout=SECONDS)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first, second = (sandbox.process.exec("cat ~/when").result for sandbox in made)
    assert first == second
    # A third one finds what was built.
    third = make(CreateSandboxFromImageParams(image=image), timeout=SECONDS)
    assert third.process.exec("cat ~/when").result == first


def test_a_snapshot_is_built_with_its_logs(daytona, snapshot, make, server):
    word, logs = unique(), []
    made = snapshot(slow(word), on_logs=logs.append, resources=Resources(cpu=2, memory=2, disk=5))
    assert (made.state, made.cpu, made.mem, made.disk) == ("active", 2, 2, 5)
    assert f"over {word}" in "\n".join(logs)
    sandbox = make(CreateSandboxFromSnapshotParams(snapshot=made.name))
    assert sandbox.snapshot == made.name
    with ApiClient(Configuration(host=server.url, access_token=server.key)) as client:
        snapshots = SnapshotsApi(client)
        url = snapshots.get_snapshot_build_logs_url(made.id).url
        assert f"over {word}" in httpx.get(url, headers={"Authorization": f"Bearer {server.key}"}).text
        plain = daytona.snapshot.get("default")
        with pytest.raises(NotFoundException):
            snapshots.get_snapshot_build_logs_url(plain.id)
    with pytest.raises(NotFoundException):
        SandboxApi(ApiClient(Configuration(host=server.url, access_token=server.key))).get_build_logs_url(sandbox.id)


def test_the_async_sdk_builds_and_tells_logs(server):
    async def scenario():
        async with AsyncDaytona() as daytona:
            word, logs = unique(), []
            name = f"e2e/{uuid.uuid4()}:1"
            made = await daytona.snapshot.create(
                CreateSnapshotParams(name=name, image=slow(word)), on_logs=logs.append, timeout=SECONDS
            )
            assert made.state == "active" and f"over {word}" in "\n".join(logs)
            await daytona.snapshot.delete(made)
            logs.clear()
            sandbox = await daytona.create(
                CreateSandboxFromImageParams(image=slow(word + "x")),
                timeout=SECONDS,
                on_snapshot_create_logs=logs.append,
            )
            assert f"over {word}x" in "\n".join(logs)
            assert (await sandbox.process.exec("echo here")).result == "here\n"
            await sandbox.delete()

    asyncio.run(scenario())


def test_what_was_built_cannot_be_named_by_others(make, daytona):
    sandbox = make(CreateSandboxFromImageParams(image=slow(unique(), seconds=0)), timeout=SECONDS)
    with pytest.raises(DaytonaBadRequestError, match="unknown"):
        make(CreateSandboxFromImageParams(image=sandbox.snapshot))
