"""Volumes through the official SDK: made, listed, shared by sandboxes, kept, deleted, refused with a reason."""

import asyncio
import os
import subprocess
import uuid

import httpx
import pytest
from daytona import (
    AsyncDaytona,
    CreateSandboxFromImageParams,
    CreateSandboxFromSnapshotParams,
    DaytonaError,
    DaytonaNotFoundError,
    VolumeMount,
)
from daytona_api_client import ApiClient, Configuration, VolumesApi
from server import ROOT
from waiting import eventually


@pytest.fixture
def volume(daytona):
    """A volume that does not outlive the test, though its sandboxes may go a little later."""
    made = daytona.volume.create(f"e2e-{uuid.uuid4()}")
    yield made
    delete(daytona, made)


def delete(daytona, volume):
    def is_deleted():
        try:
            daytona.volume.delete(volume)
        except DaytonaNotFoundError:
            return True
        except DaytonaError as refused:
            return "deleted" in str(refused) or "delet" in str(refused) and "in use" not in str(refused)
        return True

    eventually(is_deleted, f"{volume.name} is still there")


@pytest.fixture
def volumes(server):
    """The generated client, for what the SDK has no method for."""
    client = ApiClient(Configuration(host=server.url))
    client.default_headers["Authorization"] = f"Bearer {server.key}"
    return VolumesApi(client)


@pytest.fixture
def http(server):
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}) as client:
        yield client


def mounting(*mounts):
    return CreateSandboxFromSnapshotParams(volumes=list(mounts))


def run(sandbox, command):
    done = sandbox.process.exec(command)
    assert done.exit_code == 0, done.result
    return done.result


def test_a_volume_is_made_found_listed_and_deleted(daytona, volumes):
    name = f"e2e {uuid.uuid4()}/ü"
    with pytest.raises(DaytonaNotFoundError):
        daytona.volume.get(name)
    made = daytona.volume.get(name, create=True)
    eventually(lambda: daytona.volume.get(name).state == "ready", "it is not ready")
    got = daytona.volume.get(name, create=True)
    assert (got.id, got.name, got.error_reason, got.last_used_at) == (made.id, name, None, None)
    assert volumes.get_volume(made.id).name == name
    assert [volume.name for volume in daytona.volume.list() if volume.id == made.id] == [name]
    with pytest.raises(DaytonaError, match="already exists") as refused:
        daytona.volume.create(name)
    assert refused.value.status_code == 400
    daytona.volume.delete(got)
    with pytest.raises(DaytonaNotFoundError):
        daytona.volume.get(name)
    assert made.id not in [volume.id for volume in daytona.volume.list()]
    with_deleted = {volume.id: volume.state for volume in volumes.list_volumes(include_deleted=True)}
    assert with_deleted[made.id] in ("pending_delete", "deleting", "deleted")
    eventually(lambda: volumes.get_volume(made.id).state == "deleted", "it is not deleted")
    with pytest.raises(DaytonaError) as refused:
        daytona.volume.delete(made)
    assert refused.value.status_code == 400
    # Its name is free.
    again = daytona.volume.create(name)
    assert again.id != made.id
    daytona.volume.delete(again)


def test_what_is_no_volume_is_not_found(http):
    for method, path in [
        ("GET", f"/volumes/{uuid.uuid4()}"),
        ("GET", "/volumes/..%2f..%2fetc"),
        ("GET", "/volumes/by-name/none"),
        ("DELETE", f"/volumes/{uuid.uuid4()}"),
        ("DELETE", "/volumes/by-name"),
    ]:
        answer = http.request(method, path)
        assert answer.status_code == 404, (path, answer.text)
        assert answer.json()["statusCode"] == 404
    for name in ["a\nb", "x" * 256, str(uuid.uuid4())]:
        answer = http.post("/volumes", json={"name": name})
        assert answer.status_code == 400, answer.text
    assert http.post("/volumes", json={}).status_code == 400
    unnamed = http.post("/volumes", json={"name": ""}).json()
    assert unnamed["name"] == unnamed["id"]
    assert http.delete(f"/volumes/{unnamed['id']}").status_code == 200


def test_sandboxes_share_a_volume_and_leave_it_behind(daytona, make, volume):
    first = make(mounting(VolumeMount(volume_id=volume.id, mount_path="/home/daytona/data")))
    # By name as well, and what is told is the id.
    second = make(mounting(VolumeMount(volume_id=volume.name, mount_path="/mnt/data")))
    mounted = [(mount.volume_id, mount.mount_path, mount.subpath) for mount in second.volumes]
    assert mounted == [(volume.id, "/mnt/data", None)]
    first.fs.upload_file(b"from the first", "/home/daytona/data/file")
    assert second.fs.download_file("/mnt/data/file") == b"from the first"
    run(second, "echo and the second >> /mnt/data/file")
    assert run(first, "cat ~/data/file") == "from the firstand the second\n"
    assert daytona.volume.get(volume.name).last_used_at

    with pytest.raises(DaytonaError, match="in use") as refused:
        daytona.volume.delete(volume)
    assert refused.value.status_code == 409
    first.delete()
    second.delete()
    third = make(mounting(VolumeMount(volume_id=volume.id, mount_path="/mnt/data/")))
    assert third.volumes[0].mount_path == "/mnt/data"
    assert "second" in run(third, "cat /mnt/data/file")
    # Sandboxes come and go, and so do their processes.
    for _ in range(2):
        third.stop()
        with pytest.raises(DaytonaError, match="in use"):
            daytona.volume.delete(volume)
        third.start()
        assert "second" in run(third, "cat /mnt/data/file; grep -c ' /mnt/data ext4 ' /proc/mounts")
    third.refresh_data()
    assert third.volumes[0].volume_id == volume.id
    third.delete()


def test_an_archived_sandbox_comes_back_with_its_volume(daytona, make, volume):
    sandbox = make(mounting(VolumeMount(volume_id=volume.id, mount_path="/data")))
    run(sandbox, "echo kept > /data/file")
    sandbox.stop()
    sandbox.archive()
    eventually(lambda: daytona.get(sandbox.id).state == "archived", "it is not archived")
    sandbox.start()
    assert run(sandbox, "cat /data/file") == "kept\n"
    sandbox.delete()


def test_a_sandbox_of_an_image_has_volumes_too(make, volume):
    mount = VolumeMount(volume_id=volume.id, mount_path="/data")
    sandbox = make(CreateSandboxFromImageParams(image="default", volumes=[mount]))
    assert run(sandbox, "touch /data/x && ls /data") == "x\n"
    sandbox.delete()


def test_a_folder_of_a_volume_is_made_and_is_all_that_is_seen(make, volume):
    alice = make(mounting(VolumeMount(volume_id=volume.id, mount_path="/data", subpath="users/alice")))
    bob = make(
        mounting(
            VolumeMount(volume_id=volume.id, mount_path="/data", subpath="users/bob"),
            VolumeMount(volume_id=volume.id, mount_path="/all"),
        )
    )
    run(alice, "echo hers > /data/file")
    assert run(bob, "ls -A /data; cat /all/users/alice/file") == "hers\n"
    assert run(alice, "ls -A /data /data/..  | grep -c users || true") == "0\n"
    assert alice.volumes[0].subpath == "users/alice"
    alice.delete()
    bob.delete()


def test_volumes_that_cannot_be_mounted_are_refused_with_the_reason(daytona, http, volume):
    def refusal(*mounts):
        body = [
            {"volumeId": mount[0], "mountPath": mount[1], **({"subpath": mount[2]} if len(mount) > 2 else {})}
            for mount in mounts
        ]
        answer = http.post("/sandbox", json={"volumes": body})
        return answer.status_code, answer.json()["message"]

    before = len(list(daytona.list()))
    for path, complaint in [
        ("data", "is not absolute"),
        ("", "is not absolute"),
        ("/", "empty part"),
        ("/a/../etc", "a part . or .."),
        ("/a//b", "empty part"),
        ("/a/./b", "a part . or .."),
        ("/a\nb", "control character"),
        ("/proc/x", "a folder of the system"),
        ("/sys", "a folder of the system"),
        ("/dev/shm", "a folder of the system"),
        ("/etc", "a folder of the system"),
        ("/bin", "a folder of the system"),
        ("/" + "x" * 600, "at most 512 bytes"),
        ("/etc/../usr", "a part . or .."),
        ("/usr/bin/env", "is, or leads through, a file"),
        ("/usr/bin/env/x", "is, or leads through, a file"),
    ]:
        status, message = refusal((volume.id, path))
        assert status == 400 and complaint in message, (path, status, message)
    for subpath in ["../x", "/x", "a/../..", "a//b"]:
        status, message = refusal((volume.id, "/data", subpath))
        assert status == 400 and "empty part" in message, (subpath, status, message)
    for mounts in [(("/a"), ("/a")), ("/a", "/a/b"), ("/a/b", "/a/")]:
        status, message = refusal(*((volume.id, path) for path in mounts))
        assert status == 400 and "the same or one is inside the other" in message, message
    status, message = refusal(*((volume.id, f"/v/{number}") for number in range(11)))
    assert status == 400 and "at most 10 volumes" in message
    for missing in [str(uuid.uuid4()), "nothing", "../../etc", f"{volume.id}/x"]:
        assert refusal((missing, "/data"))[0] == 404
    with pytest.raises(DaytonaNotFoundError):
        daytona.create(mounting(VolumeMount(volume_id="nothing", mount_path="/data")))
    # Nothing was made, and nothing holds the volume.
    eventually(lambda: len(list(daytona.list())) <= before, "a sandbox is left")


def test_a_sandbox_whose_mount_path_went_bad_says_so_and_is_mended(daytona, make, volume):
    sandbox = make(mounting(VolumeMount(volume_id=volume.id, mount_path="/new/data")))
    run(sandbox, "echo kept > /new/data/file")
    # The sandbox's own user puts a link where the way to its volume was.
    run(sandbox, "sudo sh -c 'mv /new /old && ln -s /proc /new'")
    sandbox.stop()
    with pytest.raises(DaytonaError, match="leads into another volume or a file system of the system"):
        sandbox.start()
    sandbox.refresh_data()
    assert sandbox.state == "stopped"
    assert "/new/data" in sandbox.error_reason
    sandbox.delete()
    # What was in the volume is there for the next one.
    another = make(mounting(VolumeMount(volume_id=volume.id, mount_path="/x")))
    assert run(another, "cat /x/file") == "kept\n"
    another.delete()


def test_a_volume_of_another_organization_does_not_exist(daytona, server, volume):
    from daytona import Daytona, DaytonaConfig
    from daytona_api_client import ApiKeysApi, CreateApiKey, CreateOrganization, OrganizationsApi

    client = ApiClient(Configuration(host=server.url))
    client.default_headers["Authorization"] = f"Bearer {server.key}"
    organizations = OrganizationsApi(client)
    other = organizations.create_organization(CreateOrganization(name=f"e2e-{uuid.uuid4()}", default_region_id="us"))
    permissions = ["write:sandboxes", "read:volumes", "write:volumes", "delete:volumes"]
    key = ApiKeysApi(client).create_api_key(CreateApiKey(name="theirs", permissions=permissions), other.id).value
    stranger = Daytona(DaytonaConfig(api_key=key, api_url=server.url))
    assert stranger.volume.list() == []
    with pytest.raises(DaytonaNotFoundError):
        stranger.volume.get(volume.name)
    with pytest.raises(DaytonaNotFoundError):
        stranger.volume.delete(volume)
    for called in [volume.id, volume.name]:
        with pytest.raises(DaytonaNotFoundError):
            stranger.create(mounting(VolumeMount(volume_id=called, mount_path="/data")))
    theirs = stranger.volume.create(volume.name)
    assert theirs.id != volume.id
    stranger.volume.delete(theirs)
    eventually(lambda: not stranger.volume.list(), "theirs is not deleted")
    eventually(lambda: _succeeds(lambda: organizations.delete_organization(other.id)), "it still owns something")

    weak = ApiKeysApi(client).create_api_key(CreateApiKey(name=f"weak-{uuid.uuid4()}", permissions=["read:volumes"]))
    looker = Daytona(DaytonaConfig(api_key=weak.value, api_url=server.url))
    assert looker.volume.get(volume.name).id == volume.id
    for attempt in [lambda: looker.volume.create("x"), lambda: looker.volume.delete(volume)]:
        with pytest.raises(DaytonaError) as refused:
            attempt()
        assert refused.value.status_code == 403


def _succeeds(action):
    try:
        action()
    except Exception:
        return False
    return True


def test_many_sandboxes_are_made_with_one_volume_at_once(server, volume):
    async def all_of_them():
        async with AsyncDaytona() as client:
            mount = VolumeMount(volume_id=volume.id, mount_path="/data")
            made = await asyncio.gather(
                *(client.create(CreateSandboxFromSnapshotParams(volumes=[mount])) for _ in range(12))
            )
            await asyncio.gather(
                *(one.process.exec("for i in 1 2 3; do echo $(hostname) >> /data/log; done") for one in made)
            )
            counted = (await made[0].process.exec("wc -l < /data/log")).result
            found = await client.volume.get(volume.name)
            listed = [one.id for one in await client.volume.list()]
            await asyncio.gather(*(one.delete() for one in made))
            own = await client.volume.get(f"e2e-{uuid.uuid4()}", create=True)
            await client.volume.delete(own)
            return counted, found.id, volume.id in listed

    assert asyncio.run(all_of_them()) == ("36\n", volume.id, True)


def test_the_command_line_makes_lists_mounts_and_deletes(server, volume):
    import json

    program = os.environ.get("PITLANE_BIN") or str(ROOT / "target/debug/pitlane")
    environment = {**os.environ, "DAYTONA_API_URL": server.url, "DAYTONA_API_KEY": server.key}

    def pitlane(*words, code=0):
        done = subprocess.run([program, *words], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout if code == 0 else done.stderr

    name = f"cli-{uuid.uuid4()}"
    identity = pitlane("volume", "create", name).strip()
    assert json.loads(pitlane("volume", "info", identity, "--json"))["name"] == name
    assert name in pitlane("volume", "ls") and "ready" in pitlane("volume", "info", name)
    assert identity in [row["id"] for row in json.loads(pitlane("--json", "volume", "ls"))]
    sandbox = pitlane("sandbox", "create", "--volume", f"{name}:/data", "--volume", f"{volume.name}:/mnt/x:sub").strip()
    pitlane("sandbox", "exec", sandbox, "--", "sh", "-c", "echo 1 > /data/f && echo 2 > /mnt/x/f")
    assert "in use" in pitlane("volume", "rm", name, code=1)
    pitlane("sandbox", "rm", sandbox)
    assert pitlane("volume", "rm", name).strip() == name
    assert "no volume" in pitlane("volume", "info", name, code=1)
    assert "NAME:PATH" in pitlane("sandbox", "create", "--volume", "x", code=2)
