"""Volumes in object storage through the official SDK: made, shared by sandboxes, by folder, deleted, refused with a reason."""

import json
import os
import subprocess

import pytest
from daytona import CreateSandboxFromSnapshotParams, Daytona, DaytonaConfig, DaytonaError, VolumeMount
from object_store import BUCKET, ObjectStore
from server import ROOT, Server
from waiting import eventually

SECRET = "a-secret-that-nobody-sees"


@pytest.fixture(scope="module")
def store():
    store = ObjectStore()
    yield store
    store.close()


@pytest.fixture(scope="module")
def flags(store, tmp_path_factory):
    key = tmp_path_factory.mktemp("key") / "key"
    key.write_text(f"an-id\n{SECRET}\n", encoding="ascii")
    flags = ["--volume-endpoint", store.url, "--volume-bucket", BUCKET, "--volume-prefix", "all"]
    return [*flags, "--volume-access-key-file", str(key)]


@pytest.fixture(scope="module")
def server(flags):
    server = Server(flags)
    yield server
    server.close()


@pytest.fixture(scope="module")
def daytona(server):
    return Daytona(DaytonaConfig(api_key=server.key, api_url=server.url, target="local"))


def mounting(*mounts):
    return CreateSandboxFromSnapshotParams(volumes=list(mounts))


def run(sandbox, command):
    done = sandbox.process.exec(command)
    assert done.exit_code == 0, done.result
    return done.result


def ready(daytona, name):
    volume = daytona.volume.get(name, create=True)
    eventually(lambda: daytona.volume.get(name).state == "ready", "it is not ready")
    return volume


def test_sandboxes_share_files_that_are_objects(daytona, server, store):
    volume = ready(daytona, "shared")
    root = f"all/{volume.id}/"
    assert store.keys() == [root]
    one = daytona.create(mounting(VolumeMount(volume_id=volume.id, mount_path="/home/daytona/data")))
    two = daytona.create(mounting(VolumeMount(volume_id=volume.id, mount_path="/data", subpath="users/alice")))
    try:
        run(one, "mkdir -p data/users/bob && echo hello > data/users/alice/file && echo secret > data/users/bob/file")
        assert store.objects[f"{root}users/alice/file"] == b"hello\n"
        assert run(two, "cat /data/file; ls -A /data") == "hello\nfile\n"
        run(two, "head -c 20000000 /dev/zero > /data/large; mv /data/large /data/moved")
        assert run(one, "wc -c < data/users/alice/moved") == "20000000\n"
        one.fs.upload_file(b"uploaded", "data/users/alice/uploaded")
        assert two.fs.download_file("/data/uploaded") == b"uploaded"
        with pytest.raises(DaytonaError, match="in use|used"):
            daytona.volume.delete(volume)
        two.stop()
        two.start()
        assert run(two, "cat /data/file") == "hello\n"
        # Nobody in a sandbox learns the key, and no log has it.
        seen = one.process.exec(f"sudo grep -rs {SECRET} /proc/1/environ /proc/mounts /proc/[0-9]*/cmdline; true")
        assert SECRET not in seen.result.replace(f"grep -rs {SECRET}", "")
        assert SECRET not in server.log()
    finally:
        one.delete()
        two.delete()

    def deleted():
        try:
            daytona.volume.delete(volume)
        except DaytonaError as refused:
            return "use" not in str(refused)
        return True

    eventually(deleted, "it is still in use")
    eventually(lambda: store.keys() == [], "objects are left")


def test_a_storage_that_takes_nothing_is_told(flags):
    server = Server(["elsewhere" if flag == BUCKET else flag for flag in flags])
    try:
        daytona = Daytona(DaytonaConfig(api_key=server.key, api_url=server.url, target="local"))
        daytona.volume.create("nowhere")
        eventually(lambda: daytona.volume.get("nowhere").state == "error", "it is not refused")
        assert "NoSuchBucket" in daytona.volume.get("nowhere").error_reason
    finally:
        server.close()


def test_settings_are_shown_without_the_key(flags):
    binary = os.environ.get("PITLANE_BIN") or str(ROOT / "target/debug/pitlane")
    done = subprocess.run([binary, "doctor", "--json", *flags], capture_output=True, text=True, timeout=120, check=False)
    report = json.loads(done.stdout)
    volumes = [check for check in report["checks"] if check["name"] == "volumes"]
    assert [check["verdict"] for check in volumes] == ["ok"], volumes
    assert SECRET not in done.stdout + done.stderr
