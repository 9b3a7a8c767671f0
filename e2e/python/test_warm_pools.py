"""Warm pools: sandboxes that wait for whoever creates one."""

import asyncio
import contextlib
import uuid

import httpx
import pytest
from daytona import (
    AsyncDaytona,
    CreateSandboxFromSnapshotParams,
    CreateSnapshotParams,
    DaytonaConfig,
    Resources,
)
from daytona import Daytona as Client
from daytona_api_client.exceptions import ApiException
from server import Server
from waiting import eventually


@pytest.fixture
def snapshot(daytona):
    """A snapshot of the default image with limits of its own, which does not outlive the test."""
    made = daytona.snapshot.create(
        CreateSnapshotParams(name=f"e2e-warm-{uuid.uuid4()}", image="default", resources=Resources(cpu=2, memory=2, disk=4))
    )
    yield made
    with contextlib.suppress(Exception):
        daytona.snapshot.delete(made)


@pytest.fixture
def pool(daytona, snapshot):
    """A pool of that snapshot, which does not outlive the test."""
    made = daytona.warm_pool.create(snapshot.name, pool=2)
    yield made
    with contextlib.suppress(ApiException):
        daytona.warm_pool.delete(made.id)


def found(daytona, made):
    return next((pool for pool in daytona.warm_pool.list() if pool.id == made.id), None)


def is_full(daytona, made, size):
    return found(daytona, made).current_size == size


def refused(status, call, *arguments, **options):
    with pytest.raises(ApiException) as refusal:
        call(*arguments, **options)
    assert refusal.value.status == status, refusal.value
    return refusal.value.body


def test_a_pool_is_filled_taken_from_resized_and_deleted(daytona, snapshot, make, server):
    made = daytona.warm_pool.create(snapshot.id, pool=2)
    assert (made.snapshot, made.target, made.pool) == (snapshot.name, "local", 2)
    assert (made.cpu, made.mem, made.disk, made.os_user, made.env) == (2, 2, 4, "daytona", {})
    assert made.error_reason is None and made.organization_id and made.created_at and made.updated_at
    eventually(lambda: is_full(daytona, made, 2), "the pool is not filled")
    before = {sandbox.id for sandbox in daytona.list()}

    params = CreateSandboxFromSnapshotParams(
        snapshot=snapshot.name, name=f"e2e-{uuid.uuid4()}", env_vars={"OWNER": "me"}, labels={"from": "pool"}
    )
    taken = make(params)
    assert (taken.state, taken.cpu, taken.memory, taken.disk) == ("started", 2, 2, 4)
    assert (taken.name, taken.labels["from"], taken.env) == (params.name, "pool", {"OWNER": "me"})
    said = taken.process.exec("echo $OWNER $DAYTONA_SANDBOX_ID; whoami; hostname; nproc; df -k --output=size / | tail -1")
    lines = said.result.split()
    assert lines[:4] == ["me", taken.id, "daytona", "sandbox"], said.result
    assert 3_500_000 < int(lines[5]) <= 4 << 20, said.result
    # What waits is in no list.
    assert {sandbox.id for sandbox in daytona.list()} - before == {taken.id}
    eventually(lambda: is_full(daytona, made, 2), "the pool is not filled again")

    grown = daytona.warm_pool.update(made.id, pool=3)
    assert (grown.id, grown.pool) == (made.id, 3)
    eventually(lambda: is_full(daytona, made, 3), "the pool does not grow")
    assert daytona.warm_pool.update(made.id, pool=0).pool == 0
    eventually(lambda: is_full(daytona, made, 0), "the pool does not shrink")
    make(CreateSandboxFromSnapshotParams(snapshot=snapshot.name))  # None waits, and it is made all the same.
    assert daytona.warm_pool.delete(made.id) is None
    assert found(daytona, made) is None
    assert taken.process.exec("echo here").result == "here\n"


def test_what_cannot_be_is_refused(daytona, pool, snapshot):
    assert "already" in refused(409, daytona.warm_pool.create, snapshot.name, pool=1)
    assert "not found" in refused(404, daytona.warm_pool.create, "no-such-snapshot", pool=1)
    # Less than one is refused by the client itself.
    assert "from 1 to 1000" in refused(400, daytona.warm_pool.create, "default", pool=1001)
    assert "from 0 to 1000" in refused(400, daytona.warm_pool.update, pool.id, pool=1001)
    for unknown in (str(uuid.uuid4()), "no-id"):
        assert "not found" in refused(404, daytona.warm_pool.update, unknown, pool=1)
        assert "not found" in refused(404, daytona.warm_pool.delete, unknown)


@pytest.mark.parametrize("size", [-1, 1.5, "2", None, 10**10])
def test_a_size_that_is_no_whole_number_is_refused(server, pool, size):
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        assert client.post("/warm-pools", json={"snapshot": "default", "pool": 0}).status_code == 400
        made = client.post("/warm-pools", json={"snapshot": "default", "pool": size})
        assert (made.status_code, made.json()["statusCode"]) == (400, 400), made.text
        changed = client.patch(f"/warm-pools/{pool.id}", json={"pool": size})
        assert changed.status_code == 400, changed.text


def test_a_pool_that_does_not_fit_is_refused_with_numbers(server):
    """The memory for all that wait is bounded: 8 of them wait from the start, at 2 MiB each."""
    small = Server(("--pool-memory", "20"))
    try:
        daytona = Client(DaytonaConfig(api_key=small.key, api_url=small.url))
        told = refused(400, daytona.warm_pool.create, "default", pool=3)
        assert "3 more sandboxes that wait need 6 MiB of memory, and this server has 4 MiB left for them" in told
        made = daytona.warm_pool.create("default", pool=2)
        assert "need 2 MiB of memory, and this server has 0 MiB" in refused(400, daytona.warm_pool.update, made.id, pool=3)
        eventually(lambda: is_full(daytona, made, 2), "the pool is not filled")
        daytona.warm_pool.delete(made.id)
    finally:
        small.close()


def test_a_pool_says_why_nothing_waits_and_follows_its_snapshot(daytona, pool, snapshot, server):
    eventually(lambda: is_full(daytona, pool, 2), "the pool is not filled")
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        assert client.post(f"/snapshots/{snapshot.id}/deactivate").status_code == 204
        eventually(lambda: is_full(daytona, pool, 0), "what waits is not freed")
        assert found(daytona, pool).error_reason == f"snapshot {snapshot.name} is inactive"
        assert client.post(f"/snapshots/{snapshot.id}/activate").status_code == 200
    eventually(lambda: is_full(daytona, pool, 2), "the pool is not filled again")
    assert found(daytona, pool).error_reason is None
    daytona.snapshot.delete(snapshot)
    eventually(lambda: is_full(daytona, pool, 0), "what waits is not freed")
    assert found(daytona, pool).error_reason == f"there is no snapshot {snapshot.name}"


def test_pools_are_their_organizations_alone(daytona, pool, server):
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        other = client.post("/organizations", json={"name": f"e2e-{uuid.uuid4()}"}).json()
        acting = {"X-Daytona-Organization-ID": other["id"]}
        name = f"e2e-{uuid.uuid4()}"
        wish = {"name": name, "permissions": ["write:sandboxes"]}
        key = client.post("/api-keys", json=wish, headers=acting).json()["value"]
        stranger = Client(DaytonaConfig(api_key=key, api_url=server.url))
        assert stranger.warm_pool.list() == []
        refused(404, stranger.warm_pool.update, pool.id, pool=1)
        refused(404, stranger.warm_pool.delete, pool.id)
        # An organization with pools is not deleted behind their back.
        own = stranger.warm_pool.create("default", pool=1)
        assert found(daytona, own) is None
        assert client.delete(f"/organizations/{other['id']}").status_code == 409
        stranger.warm_pool.delete(own.id)
        assert client.delete(f"/organizations/{other['id']}").status_code == 204


def test_a_key_needs_the_permission_to_write_sandboxes(daytona, pool, server):
    headers = {"Authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.url, headers=headers) as client:
        name = f"e2e-{uuid.uuid4()}"
        key = client.post("/api-keys", json={"name": name, "permissions": ["delete:sandboxes"]}).json()["value"]
        reader = Client(DaytonaConfig(api_key=key, api_url=server.url))
        assert pool.id in [one.id for one in reader.warm_pool.list()]
        refused(403, reader.warm_pool.create, "default", pool=1)
        refused(403, reader.warm_pool.update, pool.id, pool=1)
        refused(403, reader.warm_pool.delete, pool.id)
        assert client.delete(f"/api-keys/{name}").status_code == 204
        refused(401, reader.warm_pool.list)


def test_the_list_of_sandboxes_takes_the_word_for_what_waits(server, pool, daytona):
    """What waits has neither an id nor an owner: it is in no list, whatever the list is asked for."""
    eventually(lambda: is_full(daytona, pool, 2), "the pool is not filled")
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}) as client:
        lists = [client.get("/sandbox", params={"includeWarm": word}).json()["items"] for word in ("true", "false")]
        assert [one["id"] for one in lists[0]] == [one["id"] for one in lists[1]]
        assert all("warmPoolId" not in one for one in lists[0])
        assert client.get("/sandbox", params={"includeWarm": "perhaps"}).status_code == 400


def test_the_asynchronous_client_does_the_same(snapshot, server):
    async def use():
        async with AsyncDaytona() as client:
            made = await client.warm_pool.create(snapshot.name, pool=1, target="moon")
            try:
                assert (made.snapshot, made.target, made.pool) == (snapshot.name, "moon", 1)
                assert (await client.warm_pool.update(made.id, pool=2)).pool == 2
                assert made.id in [one.id for one in await client.warm_pool.list()]
                from daytona_api_client_async.exceptions import ApiException as AsyncApiException

                with pytest.raises(AsyncApiException) as taken:
                    await client.warm_pool.create(snapshot.name, pool=1, target="moon")
                assert taken.value.status == 409
                with pytest.raises(AsyncApiException) as unknown:
                    await client.warm_pool.update(str(uuid.uuid4()), pool=1)
                assert unknown.value.status == 404
            finally:
                await client.warm_pool.delete(made.id)
            assert made.id not in [one.id for one in await client.warm_pool.list()]

    asyncio.run(use())
