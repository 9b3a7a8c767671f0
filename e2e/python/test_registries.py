"""Registries that organizations have passwords for, and whose images are that come for them."""

import json
import os
import subprocess
import uuid

import pytest
import recorded
from daytona import CreateSandboxFromSnapshotParams, CreateSnapshotParams, Daytona, DaytonaConfig, DaytonaError
from daytona_api_client import (
    ApiClient,
    ApiException,
    ApiKeysApi,
    Configuration,
    CreateApiKey,
    CreateDockerRegistry,
    CreateOrganization,
    DockerRegistryApi,
    OrganizationsApi,
    UpdateDockerRegistry,
)
from registry import Archive, Guard, Registry, base_layer
from server import ROOT, Server

BINARY = os.environ.get("PITLANE_BIN") or str(ROOT / "target/debug/pitlane")
CACHE = os.environ.get("PITLANE_IMAGE_CACHE") or str(ROOT / ".cache/images")
EVERYTHING = [
    "write:sandboxes",
    "delete:sandboxes",
    "write:snapshots",
    "delete:snapshots",
    "write:registries",
    "delete:registries",
    "manage:keys",
]


@pytest.fixture(scope="module")
def guard():
    """A registry that wants a password, with an image in it."""
    registry = Registry()
    guarded = Guard(registry)
    layer = Archive()
    layer.file("usr/share/secret", uuid.uuid4().bytes)
    registry.push("team/app", "1", [base_layer(), layer.bytes()], {"User": "worker"})
    yield guarded
    guarded.close()
    registry.close()


@pytest.fixture(scope="module")
def running(guard):
    server = Server(flags=["--registry-plain", guard.name])
    recorded.watch(server.url)
    yield server
    pitlane("image", "rm", "--force", f"{guard.name}/team/app:1")
    log = server.log()
    server.close()
    assert guard.password not in log


def api_client(server, key):
    client = ApiClient(Configuration(host=server.url))
    client.default_headers["Authorization"] = f"Bearer {key}"
    return client


@pytest.fixture(scope="module")
def registries(running):
    return DockerRegistryApi(api_client(running, running.key))


@pytest.fixture(scope="module")
def stranger(running):
    """A key of another organization."""
    client = api_client(running, running.key)
    other = OrganizationsApi(client).create_organization(CreateOrganization(name="other", default_region_id="us"))
    return ApiKeysApi(client).create_api_key(CreateApiKey(name="everything", permissions=EVERYTHING), other.id).value


def pitlane(*arguments, check=True):
    command = [BINARY, *arguments, "--image-cache", CACHE, "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=check)


def wish(guard, **changes):
    named = {"name": f"r-{uuid.uuid4()}", "url": f"http://{guard.name}", "username": guard.user}
    return CreateDockerRegistry(**{**named, "password": guard.password, **changes})


def refusal(call):
    with pytest.raises(ApiException) as raised:
        call()
    body = json.loads(raised.value.body)
    return raised.value.status, body["message"]


def test_a_registry_comes_changes_and_goes(registries, guard):
    made = registries.create_registry(wish(guard, name="ours", project="team"))
    assert (made.name, made.url, made.username) == ("ours", f"http://{guard.name}", guard.user)
    assert (made.project, made.registry_type) == ("team", "organization")
    assert registries.get_registry(made.id) == made
    assert made in registries.list_registries()
    change = UpdateDockerRegistry(name="renamed", url=f"http://{guard.name}", username=guard.user)
    changed = registries.update_registry(made.id, change)
    assert (changed.name, changed.project) == ("renamed", "team")
    elsewhere = UpdateDockerRegistry(name="renamed", url="ghcr.io", username=guard.user)
    status, message = refusal(lambda: registries.update_registry(made.id, elsewhere))
    assert (status, "password has to be given again" in message) == (400, True)
    registries.delete_registry(made.id)
    assert refusal(lambda: registries.get_registry(made.id))[0] == 404
    assert refusal(lambda: registries.delete_registry(made.id))[0] == 404
    assert refusal(lambda: registries.update_registry(made.id, change))[0] == 404


def test_what_is_no_registry_is_refused(running, registries, guard):
    made = registries.create_registry(wish(guard))
    for changes, status, told in [
        ({"name": made.name}, 409, "already exists"),
        ({"name": ""}, 400, "name has 1 to 255"),
        ({"url": "https://10.0.0.1"}, 400, "its address is not public"),
        ({"url": "https://169.254.169.254"}, 400, "its address is not public"),
        ({"url": "http://registry.example"}, 400, "without encryption"),
        ({"url": "https://me:word@registry.example"}, 400, "is a host with an optional port"),
        ({"username": "a:b"}, 400, "username has"),
        ({"password": ""}, 400, "password has"),
        ({"project": "Not a path"}, 400, "project is"),
    ]:
        refused = refusal(lambda changes=changes: registries.create_registry(wish(guard, **changes)))
        assert (refused[0], told in refused[1]) == (status, True), refused
    registries.delete_registry(made.id)
    status, message = refusal(registries.get_transient_push_access)
    assert (status, "no registry to push images into" in message) == (501, True)
    keys = ApiKeysApi(api_client(running, running.key))
    reader = keys.create_api_key(CreateApiKey(name="sandboxes only", permissions=["write:sandboxes"])).value
    powerless = DockerRegistryApi(api_client(running, reader))
    for call in (powerless.list_registries, lambda: powerless.create_registry(wish(guard))):
        assert refusal(call)[0] == 403


def test_an_image_comes_for_whom_the_password_is_and_for_nobody_else(running, registries, guard, stranger):
    mine = Daytona(DaytonaConfig(api_key=running.key, api_url=running.url))
    theirs = Daytona(DaytonaConfig(api_key=stranger, api_url=running.url))
    image = f"{guard.name}/team/app:1"
    refused = "lets nobody without other credentials"
    with pytest.raises(DaytonaError, match=refused):
        mine.snapshot.create(CreateSnapshotParams(name="without", image=image), timeout=60)
    wrong = registries.create_registry(wish(guard, password="wrong"))
    with pytest.raises(DaytonaError, match=refused):
        mine.snapshot.create(CreateSnapshotParams(name="wrong", image=image), timeout=60)
    registries.delete_registry(wrong.id)

    kept = registries.create_registry(wish(guard))
    snapshot = mine.snapshot.create(CreateSnapshotParams(name="right", image=image), timeout=60)
    assert snapshot.state == "active"
    sandbox = mine.create(CreateSandboxFromSnapshotParams(snapshot="right"))
    assert sandbox.process.exec("stat -c %s /usr/share/secret").result == "16\n"
    # Nothing of the password is in there.
    assert guard.password not in sandbox.process.exec("env; cat /proc/self/environ").result

    # It is on the machine, and the other organization is asked for a password as if it were not.
    assert DockerRegistryApi(api_client(running, stranger)).list_registries() == []
    with pytest.raises(DaytonaError, match=refused):
        theirs.snapshot.create(CreateSnapshotParams(name="theirs", image=image), timeout=60)
    listed = [one for one in json.loads(pitlane("image", "ls").stdout) if any(it["reference"] == image for it in one["owned"])]
    assert [(one["references"], one["isUsed"]) for one in listed] == [([], True)]
    with pytest.raises(DaytonaError):
        theirs.snapshot.create(CreateSnapshotParams(name="by-digest", image=listed[0]["image"] + ":1"), timeout=60)

    # Who needs it is said, and nothing of it goes meanwhile.
    told = pitlane("image", "rm", image, check=False)
    assert told.returncode != 0
    assert f"sandbox {sandbox.id}" in told.stderr and "snapshot right" in told.stderr
    sandbox.delete()
    registries.delete_registry(kept.id)
    again = mine.create(CreateSandboxFromSnapshotParams(snapshot="right"))
    assert again.process.exec("whoami").result == "worker\n"
    again.delete()
    mine.snapshot.delete(snapshot)


def test_passwords_are_given_on_the_command_line(running, guard):
    def registry(*arguments, text=""):
        environment = {**os.environ, "PITLANE_API_URL": running.url, "PITLANE_API_KEY": running.key}
        command = [BINARY, "registry", *arguments, "--json"]
        return subprocess.run(command, input=text, capture_output=True, text=True, env=environment, check=False)

    address = f"http://{guard.name}"
    refused = registry("add", address, "--user", guard.user, "--name", "cli")
    assert refused.returncode != 0 and "no password on standard input" in refused.stderr
    made = registry("add", address, "--user", guard.user, "--name", "cli", text=guard.password + "\n")
    assert made.returncode == 0, made.stderr
    listed = registry("ls")
    assert [one["name"] for one in json.loads(listed.stdout)] == ["cli"]
    assert guard.password not in made.stdout + listed.stdout
    assert registry("rm", "nothing").returncode != 0
    assert json.loads(registry("rm", "cli").stdout) == {"deleted": ["cli"]}
    assert json.loads(registry("ls").stdout) == []
