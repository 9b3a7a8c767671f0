"""Images from a registry: pulled, started from, named otherwise, removed."""

import contextlib
import json
import os
import subprocess
import uuid

import pytest
from daytona import (
    CreateSandboxFromImageParams,
    CreateSandboxFromSnapshotParams,
    CreateSnapshotParams,
    Daytona,
    DaytonaConfig,
    DaytonaError,
    DaytonaNotFoundError,
    Resources,
)
from registry import Archive, Registry, base_layer
from server import ROOT, Server
from waiting import eventually

BINARY = os.environ.get("PITLANE_BIN") or str(ROOT / "target/debug/pitlane")
CACHE = os.environ.get("PITLANE_IMAGE_CACHE") or str(ROOT / ".cache/images")


@pytest.fixture(scope="module")
def registry():
    running = Registry()
    yield running
    running.close()


@pytest.fixture(scope="module")
def image(registry):
    """An image of two layers that says everything an image can say."""
    top = Archive()
    top.folder("srv", owner=1000)
    top.file("srv/greeting", b"hello from the top\n", owner=1000)
    top.file("etc/.wh.secret", b"")
    top.file("usr/bin/serve", b'#!/bin/sh\necho "serving $1 as $(whoami) in $PWD, $MODE"\nexec sleep 1000\n', mode=0o755)
    says = {
        "User": "worker",
        "Env": ["PATH=/usr/bin:/bin", "MODE=of the image", "OTHER=kept"],
        "WorkingDir": "/srv",
        "Entrypoint": ["serve"],
        "Cmd": ["well"],
    }
    return registry.push("team/app", "1", [base_layer(), top.bytes()], says)


@pytest.fixture(scope="module")
def daytona(registry):
    running = Server(flags=["--registry-plain", registry.name])
    client = Daytona(DaytonaConfig(api_key=running.key, api_url=running.url))
    yield client
    for sandbox in list(client.list()):
        with contextlib.suppress(DaytonaNotFoundError):
            sandbox.delete()
    eventually(lambda: not list(client.list()), "sandboxes are left")
    for pulled in listed():
        for name in pulled["references"]:
            if name.startswith(registry.name):
                pitlane("image", "rm", "--force", name)
    running.close()


def pitlane(*arguments, flags=(), check=True):
    command = [BINARY, *arguments, "--image-cache", CACHE, "--json", *flags]
    return subprocess.run(command, capture_output=True, text=True, check=check)


def listed():
    return json.loads(pitlane("image", "ls").stdout)


def test_a_sandbox_starts_from_an_image_of_a_registry(daytona, image):
    made = daytona.snapshot.create(CreateSnapshotParams(name=f"app-{uuid.uuid4()}", image=image), timeout=60)
    assert (made.state, made.image_name, made.entrypoint) == ("active", image, ["serve", "well"])
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(snapshot=made.name, env_vars={"MODE": "of the owner"}))
    assert sandbox.user == "worker"
    run = sandbox.process.exec('whoami; pwd; cat greeting; echo "$MODE, $OTHER"; ls /etc/secret; stat -c %u:%a /srv/greeting /tmp')
    assert run.result.splitlines() == [
        "worker",
        "/srv",
        "hello from the top",
        "of the owner, kept",
        "ls: cannot access '/etc/secret': No such file or directory",
        "1000:644",
        "0:1777",
    ]
    said = "serving well as worker in /srv, of the owner\n"
    eventually(lambda: sandbox.process.get_entrypoint_logs().stdout == said, "the image's program does not run")
    sandbox.process.exec("echo mine > greeting && touch new")
    sandbox.stop()
    sandbox.start()
    assert sandbox.process.exec("cat greeting; ls").result == "mine\ngreeting\nnew\n"
    # Another sandbox of the same image has the image's files.
    other = daytona.create(CreateSandboxFromSnapshotParams(snapshot=made.name))
    assert other.process.exec("cat greeting").result == "hello from the top\n"
    used = [pulled for pulled in listed() if image in pulled["references"]]
    assert [(one["isUsed"], one["layers"]) for one in used] == [(True, 2)]
    sandbox.delete()
    other.delete()
    daytona.snapshot.delete(made)


def test_a_sandbox_names_an_image_and_its_own_limits(daytona, registry, image):
    params = CreateSandboxFromImageParams(image=image, resources=Resources(cpu=2, memory=2, disk=5))
    sandbox = daytona.create(params)
    assert (sandbox.state, sandbox.user, sandbox.cpu, sandbox.memory, sandbox.disk) == ("started", "worker", 2, 2, 5)
    assert sandbox.process.exec("cat greeting").result == "hello from the top\n"
    sandbox.delete()
    assert daytona.create(CreateSandboxFromImageParams(image="default")).process.exec("whoami").result == "daytona\n"
    with pytest.raises(DaytonaError, match="has no image"):
        daytona.create(CreateSandboxFromImageParams(image=f"{registry.name}/team/nothing:1"))
    with pytest.raises(DaytonaError, match="needs a tag other than latest"):
        daytona.create(CreateSandboxFromImageParams(image=f"{registry.name}/team/app"))


def test_an_image_that_is_not_there_is_said(daytona, registry):
    for name, reason in [
        (f"{registry.name}/team/nothing:1", "has no image"),
        ("127.0.0.1:9/team/app:1", "is not public, and the operator has not allowed it"),
        ("169.254.169.254/latest/meta-data:1", "is not public, and the operator has not allowed it"),
    ]:
        with pytest.raises(DaytonaError, match=reason):
            daytona.snapshot.create(CreateSnapshotParams(name=f"x-{uuid.uuid4()}", image=name), timeout=60)


def test_an_alias_leads_programs_to_another_image(daytona, registry, image):
    flags = ["--registry-plain", registry.name]
    pulled = json.loads(pitlane("image", "pull", image, flags=flags).stdout)
    assert (pulled["reference"], pulled["layers"]) == (image, 2)
    alias = f"python:{uuid.uuid4().hex}"
    pitlane("image", "alias", alias, image)
    try:
        made = daytona.snapshot.create(CreateSnapshotParams(name=f"alias-{uuid.uuid4()}", image=alias), timeout=60)
        sandbox = daytona.create(CreateSandboxFromSnapshotParams(snapshot=made.name))
        assert sandbox.process.exec("cat /srv/greeting").result == "hello from the top\n"
        sandbox.delete()
        aliases = json.loads(pitlane("image", "alias").stdout)
        assert {"alias": f"docker.io/library/{alias}", "target": image} in aliases
    finally:
        pitlane("image", "alias", "--remove", alias)
    with pytest.raises(DaytonaError):
        daytona.snapshot.create(CreateSnapshotParams(name=f"gone-{uuid.uuid4()}", image=f"{registry.name}/{alias}"), timeout=60)


def test_what_is_removed_is_gone_unless_a_sandbox_needs_it(daytona, registry):
    layer = Archive()
    layer.file("usr/bin/only-here", uuid.uuid4().bytes)
    name = registry.push("team/short", "1", [base_layer(), layer.bytes()], {"User": "worker"})
    snapshot = daytona.snapshot.create(CreateSnapshotParams(name=f"short-{uuid.uuid4()}", image=name), timeout=60)
    sandbox = daytona.create(CreateSandboxFromSnapshotParams(snapshot=snapshot.name))
    refused = pitlane("image", "rm", name, check=False)
    assert refused.returncode != 0
    assert f"sandbox {sandbox.id}" in refused.stderr and f"snapshot {snapshot.name}" in refused.stderr
    [kept_image] = [one["image"] for one in listed() if name in one["references"]]
    kept = json.loads(pitlane("image", "rm", "--force", name).stdout)
    assert kept["forgotten"] == [name]
    assert [one["isUsed"] for one in listed() if one["image"] == kept_image] == [True]
    sandbox.stop()
    sandbox.start()
    assert sandbox.process.exec("ls /usr/bin/only-here").exit_code == 0
    sandbox.delete()
    # Sandboxes can still start from the snapshot, so the image stays.
    pitlane("image", "gc")
    other = daytona.create(CreateSandboxFromSnapshotParams(snapshot=snapshot.name))
    other.delete()
    daytona.snapshot.delete(snapshot)

    def is_freed():
        # Others may use the same cache, and collect what is not theirs.
        foretold = json.loads(pitlane("image", "gc", "--dry-run").stdout)
        pitlane("image", "gc")
        is_gone = all(one["image"] != kept_image for one in listed())
        return is_gone and foretold.keys() == {"images", "layers", "bytes"}

    eventually(is_freed, "the image is not removed")
    refused = pitlane("image", "rm", name, check=False)
    assert refused.returncode != 0 and "no image was pulled by the name" in refused.stderr
