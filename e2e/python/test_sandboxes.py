"""Sandboxes come, stop, start and go, through the official SDK."""

import json
import uuid

import httpx
import pytest
from daytona import (
    CreateSandboxFromSnapshotParams,
    Daytona,
    DaytonaAuthenticationError,
    DaytonaBadRequestError,
    DaytonaConfig,
    DaytonaConflictError,
    DaytonaError,
    DaytonaNotFoundError,
    ListSandboxesQuery,
    SandboxState,
)
from daytona_api_client.exceptions import ServiceException
from waiting import eventually


def test_a_sandbox_is_usable_when_create_returns(make):
    sandbox = make()
    assert sandbox.state == SandboxState.STARTED
    assert str(uuid.UUID(sandbox.id)) == sandbox.id
    assert sandbox.name == sandbox.id
    assert (sandbox.cpu, sandbox.memory, sandbox.disk, sandbox.gpu) == (1, 1, 3, 0)
    assert (sandbox.user, sandbox.public, sandbox.network_block_all) == ("daytona", False, False)
    assert (sandbox.auto_stop_interval, sandbox.auto_archive_interval, sandbox.auto_delete_interval) == (15, 10080, -1)
    assert sandbox.process.exec("whoami").result == "daytona\n"


def test_what_was_asked_for_is_what_is_told(make, daytona):
    name = f"e2e-{uuid.uuid4()}"
    labels = {"team": "blue", "empty": "", "é": "ü"}
    made = make(
        CreateSandboxFromSnapshotParams(
            name=name, labels=labels, language="javascript", env_vars={"COLOUR": "grün"}, auto_stop_interval=0, public=True
        )
    )
    for sandbox in (made, daytona.get(made.id), daytona.get(name)):
        assert sandbox.id == made.id
        assert sandbox.name == name
        assert sandbox.labels == labels | {"code-toolbox-language": "javascript"}
        assert sandbox.env == {"COLOUR": "grün"}
        assert sandbox.auto_stop_interval == 0
        assert sandbox.public is True
    assert made.process.exec("echo $COLOUR").result == "grün\n"


def test_lists_find_by_label_state_name_and_walk_pages(make, daytona):
    mark = {"mark": str(uuid.uuid4())}
    made = {make(CreateSandboxFromSnapshotParams(labels=mark | {"n": str(n)})).id for n in range(3)}

    def found(**query):
        return {sandbox.id for sandbox in daytona.list(ListSandboxesQuery(**query))}

    assert found(labels=mark) == made
    assert found(labels=mark, limit=1) == made
    assert len(found(labels=mark | {"n": "1"})) == 1
    assert found(labels=mark, states=[SandboxState.STOPPED]) == set()
    assert found(labels=mark, states=[SandboxState.STARTED, SandboxState.STOPPED]) == made
    one = next(iter(made))
    assert found(id=one[:13]) == {one}
    assert found(labels=mark, sort="createdAt", order="asc", min_cpu=1, max_cpu=1) == made
    assert found(labels=mark, min_cpu=2) == set()


def test_pages_are_numbered_as_clients_before_0_180_ask_for_them(server, make):
    mark = {"mark": str(uuid.uuid4())}
    made = {make(CreateSandboxFromSnapshotParams(labels=mark)).id for _ in range(3)}
    found = set()
    for page in (1, 2):
        answer = httpx.get(
            f"{server.url}/sandbox/paginated",
            params={"page": page, "limit": 2, "labels": json.dumps(mark)},
            headers={"Authorization": f"Bearer {server.key}"},
        ).json()
        assert (answer["total"], answer["page"], answer["totalPages"]) == (3, page, 2)
        found |= {item["id"] for item in answer["items"]}
    assert found == made


def test_stop_keeps_the_disk_and_start_brings_it_back(make, daytona):
    sandbox = make()
    sandbox.process.exec("echo kept > ~/file; sudo touch /root-made")
    sandbox.stop()
    assert sandbox.state == SandboxState.STOPPED
    assert daytona.get(sandbox.id).state == SandboxState.STOPPED
    with pytest.raises(DaytonaBadRequestError, match="stopped"):
        sandbox.process.exec("true")
    sandbox.start()
    assert sandbox.state == SandboxState.STARTED
    assert sandbox.process.exec("cat ~/file; ls /root-made").result == "kept\n/root-made\n"
    sandbox.start()


def test_a_deleted_sandbox_is_gone(make, daytona):
    sandbox = make()
    sandbox.delete(wait=True)
    with pytest.raises(DaytonaNotFoundError, match=f"Sandbox with ID or name {sandbox.id} not found"):
        daytona.get(sandbox.id)
    with pytest.raises(DaytonaNotFoundError):
        sandbox.process.exec("true")


def test_an_ephemeral_sandbox_goes_when_it_stops(make, daytona):
    sandbox = make(CreateSandboxFromSnapshotParams(ephemeral=True))
    assert sandbox.auto_delete_interval == 0
    sandbox.stop()

    def is_gone():
        try:
            return daytona.get(sandbox.id).state == SandboxState.DESTROYED
        except DaytonaNotFoundError:
            return True

    eventually(is_gone, "it is still there")


def test_a_name_is_used_once_among_the_living(make):
    name = f"e2e-{uuid.uuid4()}"
    first = make(CreateSandboxFromSnapshotParams(name=name))
    with pytest.raises(DaytonaConflictError):
        make(CreateSandboxFromSnapshotParams(name=name))
    first.delete(wait=True)
    make(CreateSandboxFromSnapshotParams(name=name))


def test_an_unknown_snapshot_is_named_in_the_error(make):
    with pytest.raises(DaytonaBadRequestError, match="Snapshot nowhere not found"):
        make(CreateSandboxFromSnapshotParams(snapshot="nowhere"))


def test_what_is_not_there_yet_is_refused_and_not_left_out(make):
    with pytest.raises(DaytonaBadRequestError, match="networkAllowList"):
        make(CreateSandboxFromSnapshotParams(network_allow_list="10.0.0.0/8"))


def test_an_operation_that_is_not_there_yet_says_so(daytona):
    # The SDK passes this error on as its generated client raises it.
    with pytest.raises(ServiceException, match="listSecretsPaginated is not available") as refused:
        daytona.secret.list()
    assert refused.value.status == 501


def test_a_wrong_key_is_refused(server):
    stranger = Daytona(DaytonaConfig(api_key="dtn_wrong", api_url=server.url))
    with pytest.raises(DaytonaAuthenticationError):
        stranger.create()
    with pytest.raises(DaytonaAuthenticationError):
        list(stranger.list())


def test_a_blocked_sandbox_reaches_nothing_and_its_toolbox_answers(make):
    sandbox = make(CreateSandboxFromSnapshotParams(network_block_all=True))
    assert sandbox.network_block_all is True
    probe = """
import socket
for target in [("1.1.1.1", 53), ("10.0.0.1", 80), ("169.254.169.254", 80)]:
    try:
        socket.create_connection(target, 3).close()
        print("reached", target)
    except OSError:
        pass
try:
    print("resolved", socket.getaddrinfo("example.com", 80))
except OSError:
    pass
print("done")
"""
    assert sandbox.process.code_run(probe).result == "done\n"


def test_the_sandbox_never_sees_what_proves_who_the_caller_is(server, sandbox):
    seen = sandbox.process.exec("sudo sh -c 'cat /proc/*/environ' 2>/dev/null | tr '\\0' '\\n'").result
    assert "PATH=" in seen
    assert server.key not in seen


def test_snapshots_are_listed_and_found_by_name_and_id(daytona):
    snapshots = daytona.snapshot.list().items
    assert snapshots
    first = snapshots[0]
    assert first.state == "active"
    assert daytona.snapshot.get(first.name).id == first.id
    assert daytona.snapshot.get(first.id).name == first.name
    with pytest.raises(DaytonaNotFoundError):
        daytona.snapshot.get("nowhere")


def test_a_sandbox_starts_from_a_snapshot_by_name_and_by_id(daytona, make):
    snapshot = daytona.snapshot.list().items[0]
    for which in (snapshot.name, snapshot.id):
        assert make(CreateSandboxFromSnapshotParams(snapshot=which)).snapshot == snapshot.name
