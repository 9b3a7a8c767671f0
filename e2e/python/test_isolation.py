"""Two organizations on one server: what is one's does not exist for the other."""

import re
import uuid

import httpx
import pytest
from daytona import AsyncDaytona, CreateSandboxFromSnapshotParams, Daytona, DaytonaConfig, DaytonaNotFoundError
from daytona_api_client import ApiClient, ApiKeysApi, Configuration, CreateApiKey, CreateOrganization, OrganizationsApi
from waiting import eventually

NOBODY = "00000000-0000-4000-8000-000000000000"
EVERYTHING = [
    "write:sandboxes",
    "delete:sandboxes",
    "write:snapshots",
    "delete:snapshots",
    "read:volumes",
    "write:volumes",
    "delete:volumes",
    "manage:keys",
]


@pytest.fixture(scope="module")
def stranger(server):
    """A key of another organization, which may do everything there."""
    client = ApiClient(Configuration(host=server.url))
    client.default_headers["Authorization"] = f"Bearer {server.key}"
    organizations = OrganizationsApi(client)
    other = organizations.create_organization(CreateOrganization(name=f"e2e-{uuid.uuid4()}", default_region_id="us"))
    made = ApiKeysApi(client).create_api_key(CreateApiKey(name="everything", permissions=EVERYTHING), other.id)
    yield made.value
    organizations.delete_organization(other.id)


@pytest.fixture(scope="module")
def http(server, stranger):
    base = server.url.removesuffix("/api")
    # A connection each: a request that is refused before its body came may end its connection.
    headers = {"Authorization": f"Bearer {stranger}", "Connection": "close"}
    with httpx.Client(base_url=base, headers=headers) as client:
        yield client


def told(answer, name):
    """What an answer tells, without what differs from request to request."""
    # Some headers count down.
    headers = {k: v for k, v in answer.headers.items() if k not in ("date", "x-request-id", "content-length")}
    text = re.sub(r'"timestamp":"[^"]*"', "", answer.text.replace(name, "NAME"))
    return answer.status_code, headers, text


def test_what_is_anothers_answers_as_what_is_not_there(server, sandbox, http):
    for method, path in [
        ("GET", "/api/sandbox/{}"),
        ("DELETE", "/api/sandbox/{}"),
        ("POST", "/api/sandbox/{}/start"),
        ("POST", "/api/sandbox/{}/stop"),
        ("GET", "/api/sandbox/{}/toolbox-proxy-url"),
        ("POST", "/api/sandbox/{}/autostop/5"),
        ("POST", "/api/sandbox/{}/last-activity"),
        ("PUT", "/api/sandbox/{}/labels"),
        ("GET", "/api/sandbox/{}/ports/3000/preview-url"),
        ("GET", "/toolbox/{}/files?path=/"),
        ("POST", "/toolbox/{}/process/execute"),
        ("GET", "/toolbox/{}/proxy/3000/"),
        ("GET", "/api/snapshots/{}"),
        ("GET", "/api/organizations/{}"),
    ]:
        # The shared sandbox's name is its id; toolboxes have no other.
        for theirs, nobodys in ((sandbox.id, NOBODY), (sandbox.organization_id, NOBODY)):
            answers = []
            for who in (theirs, nobodys):
                answer = http.request(method, path.format(who), json={} if method != "GET" else None)
                assert not answer.is_success, f"{method} {path}: {answer.text}"
                answers.append(told(answer, who))
            assert answers[0] == answers[1], f"{method} {path} {theirs}"


def test_two_organizations_live_side_by_side(server, stranger, make):
    other = Daytona(DaytonaConfig(api_key=stranger, api_url=server.url))
    assert list(other.list()) == []
    same = CreateSandboxFromSnapshotParams(name=f"same-{uuid.uuid4()}")
    mine, theirs = make(same), other.create(same)
    try:
        assert (mine.name, mine.organization_id) != (theirs.name, theirs.organization_id)
        theirs.fs.upload_file(b"theirs", "whose")
        mine.fs.upload_file(b"mine", "whose")
        assert theirs.fs.download_file("whose") == b"theirs"
        assert other.get(mine.name).id == theirs.id
        assert [listed.id for listed in other.list()] == [theirs.id]
        with pytest.raises(DaytonaNotFoundError):
            other.get(mine.id)
    finally:
        theirs.stop()
        theirs.delete()
        _until_gone(other, theirs.id)
    assert mine.fs.download_file("whose") == b"mine"


def _until_gone(daytona, sandbox_id):
    eventually(lambda: sandbox_id not in [listed.id for listed in daytona.list()], "the sandbox is not gone")


async def test_the_asynchronous_client_finds_nothing_of_anothers(server, sandbox, stranger):
    async with AsyncDaytona(DaytonaConfig(api_key=stranger, api_url=server.url)) as other:
        for who in (sandbox.id, sandbox.name, NOBODY):
            with pytest.raises(DaytonaNotFoundError, match=f"Sandbox with ID or name {who} not found"):
                await other.get(who)
        assert [listed async for listed in other.list()] == []


def test_only_an_operator_sees_organizations_and_another_ones_word_changes_nothing(server, http, sandbox):
    own = http.get("/api/organizations").json()
    assert len(own) == 1 and own[0]["id"] != sandbox.organization_id
    acting = {"X-Daytona-Organization-ID": sandbox.organization_id}
    assert http.get("/api/organizations", headers=acting).json() == own
    assert http.get("/api/sandbox", headers=acting).json()["items"] == []
    assert [key["name"] for key in http.get("/api/api-keys", headers=acting).json()] == ["everything"]
    assert http.post("/api/organizations", json={"name": "x", "defaultRegionId": "us"}).status_code == 403
    assert http.delete(f"/api/organizations/{sandbox.organization_id}").status_code == 403
