"""API keys and what a server says of itself, through the published API client."""

import asyncio
import contextlib
import datetime
import functools
import uuid
from concurrent import futures

import httpx
import pytest
from daytona import AsyncDaytona, Daytona, DaytonaAuthenticationError, DaytonaConfig, DaytonaForbiddenError
from daytona_api_client import (
    ApiClient,
    ApiKeysApi,
    ConfigApi,
    Configuration,
    CreateApiKey,
    CreateOrganization,
    HealthApi,
    OrganizationsApi,
    SandboxApi,
)
from daytona_api_client.exceptions import ApiException
from waiting import eventually


def client(server, key):
    made = ApiClient(Configuration(host=server.url))
    if key:
        made.default_headers["Authorization"] = f"Bearer {key}"
    return made


def test_a_key_works_until_it_is_deleted(server):
    keys = ApiKeysApi(client(server, server.key))
    name = f"e2e-{uuid.uuid4()}"
    made = keys.create_api_key(CreateApiKey(name=name, permissions=["write:sandboxes", "delete:sandboxes"]))
    assert made.value.startswith("dtn_")
    assert made.value != server.key
    listed = {key.name: key for key in keys.list_api_keys()}
    assert listed[name].permissions == ["write:sandboxes", "delete:sandboxes"]
    assert made.value not in str(listed)
    assert keys.get_api_key(name).name == name
    assert ApiKeysApi(client(server, made.value)).get_current_api_key().name == name

    user = Daytona(DaytonaConfig(api_key=made.value, api_url=server.url))
    sandbox = user.create()
    assert sandbox.process.exec("echo hi").result == "hi\n"

    keys.delete_api_key(name)
    with pytest.raises(DaytonaAuthenticationError):
        sandbox.process.exec("echo hi")
    with pytest.raises(DaytonaAuthenticationError):
        sandbox.delete()
    Daytona().get(sandbox.id).delete()
    with pytest.raises(ApiException) as missing:
        keys.delete_api_key(name)
    assert missing.value.status == 404


def test_a_key_is_deleted_by_whose_it_is_as_the_list_says(server):
    keys = ApiKeysApi(client(server, server.key))
    name = f"e2e-{uuid.uuid4()}"
    made = keys.create_api_key(CreateApiKey(name=name, permissions=["write:sandboxes"]))
    whose = next(key.user_id for key in keys.list_api_keys() if key.name == name)
    for stranger in (str(uuid.uuid4()), "somebody"):
        with pytest.raises(ApiException) as missing:
            keys.delete_api_key_for_user(stranger, name)
        assert missing.value.status == 404
    assert ApiKeysApi(client(server, made.value)).get_current_api_key().name == name
    # What may not delete keys may not delete them this way, either.
    with pytest.raises(ApiException) as forbidden:
        ApiKeysApi(client(server, made.value)).delete_api_key_for_user(whose, name)
    assert forbidden.value.status == 403
    keys.delete_api_key_for_user(whose, name)
    with pytest.raises(ApiException) as gone:
        ApiKeysApi(client(server, made.value)).get_current_api_key()
    assert gone.value.status == 401
    with pytest.raises(ApiException) as missing:
        keys.delete_api_key_for_user(whose, name)
    assert missing.value.status == 404


@contextlib.contextmanager
def key(server, *permissions, **more):
    """A key of these permissions, revoked at the end."""
    keys = ApiKeysApi(client(server, server.key))
    name = f"e2e-{uuid.uuid4()}"
    made = keys.create_api_key(CreateApiKey(name=name, permissions=list(permissions), **more))
    try:
        yield made
    finally:
        if name in [listed.name for listed in keys.list_api_keys()]:
            keys.delete_api_key(name)


def refusal(call):
    """The status with which a call is refused, whichever client made it."""
    with pytest.raises(Exception) as refused:
        call()
    return getattr(refused.value, "status_code", None) or getattr(refused.value, "status", None)


def test_a_key_cannot_do_more_than_it_was_given(server, sandbox):
    create, delete = "write:sandboxes", "delete:sandboxes"
    # Per operation, the permissions of which one is enough.
    operations = [
        (lambda sdk, api: list(sdk.list()), {create, delete}),
        (lambda sdk, api: sdk.get(sandbox.id), {create, delete}),
        (lambda sdk, api: sdk.get(sandbox.id).process.exec("true"), {create}),
        (lambda sdk, api: sdk.get(sandbox.id).fs.list_files("/"), {create}),
        (lambda sdk, api: sdk.get(sandbox.id).start(), {create}),
        (lambda sdk, api: sdk.snapshot.list(), {create, delete, "write:snapshots", "delete:snapshots"}),
        (lambda sdk, api: ApiKeysApi(api).list_api_keys(), {"manage:keys"}),
        (lambda sdk, api: OrganizationsApi(api).list_organizations(), None),
        (lambda sdk, api: ApiKeysApi(api).get_current_api_key(), None),
    ]
    for permission in (create, delete, "write:snapshots", "manage:keys", "read:volumes"):
        with key(server, permission) as made:
            sdk, api = Daytona(DaytonaConfig(api_key=made.value, api_url=server.url)), client(server, made.value)
            for number, (operation, enough) in enumerate(operations):
                if enough is None or permission in enough:
                    operation(sdk, api)
                else:
                    assert refusal(lambda: operation(sdk, api)) == 403, f"operation {number} with {permission}"
    with key(server, delete) as made:
        user = Daytona(DaytonaConfig(api_key=made.value, api_url=server.url))
        with pytest.raises(DaytonaForbiddenError, match="lacks the permission write:sandboxes"):
            user.create()
        assert refusal(lambda: ApiKeysApi(client(server, made.value)).delete_api_key(made.name)) == 403


def test_a_key_without_permissions_sees_itself_alone(server, sandbox):
    with key(server) as made:
        api = client(server, made.value)
        assert ApiKeysApi(api).get_current_api_key().name == made.name
        assert ConfigApi(api).config_controller_get_config().default_snapshot
        user = Daytona(DaytonaConfig(api_key=made.value, api_url=server.url))
        for operation in (lambda: list(user.list()), lambda: user.get(sandbox.id), lambda: user.get("nobody")):
            assert refusal(operation) == 403
        assert refusal(OrganizationsApi(api).list_organizations) == 403


def test_nobody_gives_away_what_they_lack(server):
    with key(server, "manage:keys", "write:sandboxes") as made:
        keys = ApiKeysApi(client(server, made.value))
        assert refusal(lambda: keys.create_api_key(CreateApiKey(name="x", permissions=["delete:sandboxes"]))) == 403
        given = keys.create_api_key(CreateApiKey(name="given", permissions=["write:sandboxes"]))
        assert given.value != made.value
        keys.delete_api_key("given")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "", "permissions": []},
        {"name": "current", "permissions": []},
        {"name": "n" * 256, "permissions": []},
        {"name": "a\nb", "permissions": []},
        {"name": "x", "permissions": ["fly"]},
        {"name": "x", "permissions": [], "expiresAt": "2020-01-01T00:00:00Z"},
        {"name": "x", "permissions": [], "expiresAt": "soon"},
        {"name": "x"},
        {"permissions": []},
    ],
)
def test_a_key_that_makes_no_sense_is_refused(server, body):
    headers = {"Authorization": f"Bearer {server.key}"}
    answer = httpx.post(f"{server.url}/api-keys", json=body, headers=headers)
    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] == "BAD_REQUEST"


def test_two_keys_have_two_names(server):
    with key(server) as made:
        again = CreateApiKey(name=made.name, permissions=[])
        assert refusal(lambda: ApiKeysApi(client(server, server.key)).create_api_key(again)) == 409


def test_a_name_may_hold_what_paths_may_not(server):
    keys = ApiKeysApi(client(server, server.key))
    name = "a/b c?d#é%2F"
    keys.create_api_key(CreateApiKey(name=name, permissions=[]))
    assert keys.get_api_key(name).name == name
    keys.delete_api_key(name)
    assert refusal(lambda: keys.get_api_key(name)) == 404


def test_when_a_key_was_last_used_is_told(server):
    before = datetime.datetime.now(datetime.timezone.utc)
    with key(server) as made:
        keys = ApiKeysApi(client(server, server.key))
        assert keys.get_api_key(made.name).last_used_at is None
        ApiKeysApi(client(server, made.value)).get_current_api_key()
        used = keys.get_api_key(made.name).last_used_at
        assert before - datetime.timedelta(seconds=1) <= used <= datetime.datetime.now(datetime.timezone.utc)


def test_a_key_ends_when_its_time_is_over_also_in_the_middle_of_a_command(server, sandbox):
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=3)
    with key(server, "write:sandboxes", expires_at=ends) as made:
        user = Daytona(DaytonaConfig(api_key=made.value, api_url=server.url)).get(sandbox.id)
        with pytest.raises(DaytonaAuthenticationError):
            user.process.exec("exec -a ends-with-its-key sleep 4242")
        assert datetime.datetime.now(datetime.timezone.utc) - ends < datetime.timedelta(seconds=3)
        with pytest.raises(DaytonaAuthenticationError):
            user.process.exec("true")
        eventually(lambda: _gone(sandbox, "ends-with-its-key"), "the command runs on")


def test_revoking_a_key_ends_the_commands_that_run_for_it_and_no_others(server, sandbox):
    with key(server, "write:sandboxes") as made, futures.ThreadPoolExecutor(2) as pool:
        user = Daytona(DaytonaConfig(api_key=made.value, api_url=server.url)).get(sandbox.id)
        theirs = pool.submit(user.process.exec, "exec -a of-the-revoked sleep 4243")
        mine = pool.submit(sandbox.process.exec, "until [ -e /tmp/go-on ]; do sleep 0.1; done; echo done")
        eventually(lambda: not _gone(sandbox, "of-the-revoked"), "the command never ran")
        ApiKeysApi(client(server, server.key)).delete_api_key(made.name)
        with pytest.raises(DaytonaAuthenticationError):
            theirs.result(30)
        eventually(lambda: _gone(sandbox, "of-the-revoked"), "the command runs on")
        sandbox.process.exec("touch /tmp/go-on")
        assert mine.result(30).result == "done\n"


async def test_the_asynchronous_client_is_refused_in_the_same_words(server, sandbox):
    with key(server, "write:sandboxes") as made:
        async with AsyncDaytona(DaytonaConfig(api_key=made.value, api_url=server.url)) as user:
            theirs = await user.get(sandbox.id)
            with pytest.raises(DaytonaForbiddenError, match="lacks the permission delete:sandboxes"):
                await theirs.delete()
            running = asyncio.create_task(theirs.process.exec("exec -a of-the-asynchronous sleep 4244"))
            is_running = functools.partial(eventually, lambda: not _gone(sandbox, "of-the-asynchronous"), "it never ran")
            await asyncio.to_thread(is_running)
            await asyncio.to_thread(ApiKeysApi(client(server, server.key)).delete_api_key, made.name)
            with pytest.raises(DaytonaAuthenticationError):
                await asyncio.wait_for(running, 30)
            with pytest.raises(DaytonaAuthenticationError):
                await user.get(sandbox.id)


def _gone(sandbox, name):
    """Whether no process of this name runs. The brackets keep the search from finding itself."""
    found = sandbox.process.exec(f"pgrep -f '[{name[0]}]{name[1:]}'")
    return found.exit_code != 0


def test_no_key_is_in_the_log(server):
    with key(server, "write:sandboxes") as made:
        user = Daytona(DaytonaConfig(api_key=made.value, api_url=server.url))
        list(user.list())
        httpx.get(f"{server.url}/sandbox?token={made.value}", headers={"Authorization": f"Bearer {made.value}x"})
    log = server.log()
    assert made.value not in log
    assert server.key not in log


def test_an_operator_makes_an_organization_and_deletes_it(server):
    organizations = OrganizationsApi(client(server, server.key))
    name = f"e2e-{uuid.uuid4()}"
    made = organizations.create_organization(CreateOrganization(name=name, default_region_id="us"))
    assert (made.name, made.suspended, made.personal) == (name, False, False)
    assert name in [listed.name for listed in organizations.list_organizations()]
    assert organizations.get_organization(made.id).name == name
    assert refusal(lambda: organizations.create_organization(CreateOrganization(name=name, default_region_id=""))) == 409

    keys = ApiKeysApi(client(server, server.key))
    first = keys.create_api_key(CreateApiKey(name="first", permissions=["manage:keys"]), made.id)
    assert [listed.name for listed in keys.list_api_keys(made.id)] == ["first"]
    theirs = client(server, first.value)
    assert ApiKeysApi(theirs).get_current_api_key().organization_id == made.id
    assert [listed.id for listed in OrganizationsApi(theirs).list_organizations()] == [made.id]
    assert refusal(lambda: OrganizationsApi(theirs).delete_organization(made.id)) == 403

    organizations.delete_organization(made.id)
    assert refusal(lambda: ApiKeysApi(theirs).get_current_api_key()) == 401
    assert refusal(lambda: organizations.get_organization(made.id)) == 404


def test_what_a_server_says_of_itself_needs_no_key(server):
    nobody = client(server, None)
    configuration = ConfigApi(nobody).config_controller_get_config()
    assert configuration.default_snapshot
    assert configuration.proxy_toolbox_url.endswith("/toolbox")
    HealthApi(nobody).health_controller_live()
    assert HealthApi(nobody).health_controller_check().status == "ok"


def test_a_sandboxs_toolbox_address_is_told(server, sandbox):
    told = SandboxApi(client(server, server.key)).get_toolbox_proxy_url(sandbox.id)
    assert told.url == sandbox.toolbox_proxy_url
