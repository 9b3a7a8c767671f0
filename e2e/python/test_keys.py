"""API keys and what a server says of itself, through the published API client."""

import uuid

import pytest
from daytona import Daytona, DaytonaAuthenticationError, DaytonaConfig
from daytona_api_client import ApiClient, ApiKeysApi, ConfigApi, Configuration, CreateApiKey, HealthApi, SandboxApi
from daytona_api_client.exceptions import ApiException


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


def test_a_key_cannot_do_more_than_it_was_given(server):
    keys = ApiKeysApi(client(server, server.key))
    name = f"e2e-{uuid.uuid4()}"
    reader = keys.create_api_key(CreateApiKey(name=name, permissions=[]))
    try:
        user = Daytona(DaytonaConfig(api_key=reader.value, api_url=server.url))
        assert isinstance(list(user.list()), list)
        for forbidden in (
            lambda: user.create(),
            lambda: ApiKeysApi(client(server, reader.value)).create_api_key(CreateApiKey(name="x", permissions=[])),
        ):
            with pytest.raises(Exception) as refused:
                forbidden()
            assert getattr(refused.value, "status_code", None) == 403 or getattr(refused.value, "status", None) == 403
    finally:
        keys.delete_api_key(name)


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
