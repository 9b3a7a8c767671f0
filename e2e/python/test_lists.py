"""Lists of sandboxes, through the SDK and through the published API client."""

import datetime
import json
import uuid

import httpx
import pytest
from daytona import (
    AsyncDaytona,
    CreateSandboxFromSnapshotParams,
    Daytona,
    ListSandboxesQuery,
    SandboxListSortDirection,
    SandboxListSortField,
    SandboxState,
)
from daytona_api_client import ApiClient, Configuration, SandboxApi
from waiting import eventually


@pytest.fixture(scope="module")
def run():
    """A label that only the sandboxes of this run have."""
    return {"list": str(uuid.uuid4())}


@pytest.fixture(scope="module")
def five(server, run):
    """Five sandboxes that differ: names n0 to n4, every other one labelled and public, the last one stopped."""
    daytona = Daytona()
    made = []
    try:
        for n in range(5):
            labels = run | ({"even": "yes", "é {}": '"'} if n % 2 == 0 else {})
            name = f"n{n}-{run['list']}"
            made.append(
                daytona.create(CreateSandboxFromSnapshotParams(name=name, labels=labels, public=n % 2 == 0))
            )
        made[4].stop()
        yield made
    finally:
        for sandbox in made:
            sandbox.delete()


@pytest.fixture(scope="module")
def api(server):
    client = ApiClient(Configuration(host=server.url))
    client.default_headers["Authorization"] = f"Bearer {server.key}"
    return SandboxApi(client)


@pytest.fixture(scope="module")
def http(server):
    with httpx.Client(base_url=server.url, headers={"Authorization": f"Bearer {server.key}"}) as client:
        yield client


def names(sandboxes):
    return [sandbox.name.split("-")[0] for sandbox in sandboxes]


def test_every_filter_of_the_sdk_narrows_the_list(server, five, run):
    daytona = Daytona()
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    every = {"n0", "n1", "n2", "n3", "n4"}
    even = {"n0", "n2", "n4"}
    for query, wanted in [
        ({}, every),
        ({"labels": run | {"even": "yes"}}, even),
        ({"labels": run | {"é {}": '"'}}, even),
        ({"labels": run | {"even": "no"}}, set()),
        ({"name": "N3-"}, {"n3"}),
        ({"name": "3"}, set()),
        ({"id": five[2].id[:13].upper()}, {"n2"}),
        ({"states": [SandboxState.STOPPED]}, {"n4"}),
        ({"states": [SandboxState.STARTED, SandboxState.STOPPED]}, every),
        ({"states": [SandboxState.ARCHIVED]}, set()),
        ({"snapshots": [five[0].snapshot]}, every),
        ({"snapshots": ["none"]}, set()),
        ({"targets": [five[0].target]}, every),
        ({"targets": ["nowhere"]}, set()),
        ({"min_cpu": 1, "max_cpu": 1}, every),
        ({"min_cpu": 2}, set()),
        ({"max_memory_gib": 1}, every),
        ({"min_memory_gib": 2}, set()),
        ({"min_disk_gib": 3, "max_disk_gib": 3}, every),
        ({"is_public": True}, even),
        ({"is_recoverable": True}, set()),
        ({"is_recoverable": False}, every),
        ({"created_at_after": now - hour}, every),
        ({"created_at_before": now - hour}, set()),
        ({"last_activity_after": now - hour, "last_activity_before": now + hour}, every),
        ({"auto_destroy_at_before": now + 1000 * hour}, set()),
    ]:
        listed = list(daytona.list(ListSandboxesQuery(**({"labels": run} | query))))
        assert set(names(listed)) == wanted, query


def test_a_list_is_sorted_and_read_page_by_page(server, five, run):
    daytona = Daytona()
    rising = ["n0", "n1", "n2", "n3", "n4"]
    for order, wanted in ((SandboxListSortDirection.ASC, rising), (SandboxListSortDirection.DESC, rising[::-1])):
        for sort in (SandboxListSortField.NAME, SandboxListSortField.CREATEDAT):
            for limit in (1, 2, 100):
                query = ListSandboxesQuery(labels=run, sort=sort, order=order, limit=limit)
                assert names(daytona.list(query)) == wanted, (sort, order, limit)
    for sort in ("CPU", "MEMORYGIB", "DISKGIB", "LASTACTIVITYAT"):
        sort = SandboxListSortField[sort]
        query = ListSandboxesQuery(labels=run, sort=sort, limit=2)
        assert sorted(names(daytona.list(query))) == rising, sort


async def test_the_asynchronous_client_reads_the_same_list(server, five, run):
    async with AsyncDaytona() as daytona:
        sort, order = SandboxListSortField.NAME, SandboxListSortDirection.ASC
        query = ListSandboxesQuery(labels=run, sort=sort, order=order, limit=2)
        assert names([sandbox async for sandbox in daytona.list(query)]) == ["n0", "n1", "n2", "n3", "n4"]


def test_who_stays_is_shown_once_while_others_come_and_go(server, five, run, api, make):
    labels = json.dumps(run)
    first = api.list_sandboxes(labels=labels, sort="createdAt", order="asc", limit=2)
    assert names(first.items) == ["n0", "n1"]
    gone = make(CreateSandboxFromSnapshotParams(name=f"gone-{run['list']}", labels=run))
    gone.delete()
    new = make(CreateSandboxFromSnapshotParams(name=f"new-{run['list']}", labels=run))
    rest, cursor = [], first.next_cursor
    while cursor:
        page = api.list_sandboxes(cursor=cursor, labels=labels, sort="createdAt", order="asc", limit=2)
        rest += [item for item in page.items if item.id != gone.id]
        cursor = page.next_cursor
    assert names(rest) == ["n2", "n3", "n4", "new"]
    new.delete()
    others = ListSandboxesQuery(labels=run)
    eventually(lambda: len(list(Daytona().list(others))) == 5, "those that came and went are still there")


def test_a_cursor_that_was_changed_or_taken_elsewhere_is_refused(server, five, run, http):
    query = {"labels": json.dumps(run), "limit": "2", "sort": "name"}
    cursor = http.get("/sandbox", params=query).json()["nextCursor"]
    assert http.get("/sandbox", params=query | {"cursor": cursor}).status_code == 200
    for other in (
        query | {"cursor": cursor[:-1]},
        query | {"cursor": cursor + "0"},
        query | {"cursor": cursor.swapcase()},
        query | {"cursor": ("b" if cursor[0] == "a" else "a") + cursor[1:]},
        query | {"cursor": "x"},
        query | {"cursor": "\\x00"},
        query | {"cursor": "é" * 10_000},
        query | {"cursor": cursor, "sort": "cpu"},
        query | {"cursor": cursor, "order": "asc"},
        query | {"cursor": cursor, "labels": "{}"},
        {"cursor": cursor},
    ):
        answer = http.get("/sandbox", params=other)
        assert answer.status_code == 400, other
        assert "begin without a cursor" in answer.json()["message"]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=x", "limit=1.5", "limit=99999999999", "sort=x", "order=up", "labels=x", "labels=[]",
     'labels={"a":1}', "minCpu=x", "maxGpu=nan", "isPublic=maybe", "includeErroredDeleted=2", "createdAtAfter=soon",
     "autoDestroyAtBefore=2026-13-01T00:00:00Z"],
)  # fmt: skip
def test_a_query_that_makes_no_sense_is_refused(http, query):
    name, value = query.split("=", 1)
    for path in ("/sandbox", "/sandbox/paginated"):
        answer = http.get(path, params={name: value, "states": "archived"})
        assert (answer.status_code, answer.json()["code"]) == (400, "BAD_REQUEST"), answer.text
        assert name in answer.json()["message"]


def test_numbered_pages_have_the_same_filters(five, run, http):
    query = {"labels": json.dumps(run), "sort": "name", "order": "asc", "limit": "2"}
    for page, wanted in ((1, ["n0", "n1"]), (3, ["n4"]), (4, [])):
        answer = http.get("/sandbox/paginated", params=query | {"page": page}).json()
        assert [item["name"].split("-")[0] for item in answer["items"]] == wanted
        assert (answer["total"], answer["page"], answer["totalPages"]) == (5, page, 3)
    for page in ("0", "x", "-1"):
        assert http.get("/sandbox/paginated", params=query | {"page": page}).status_code == 400


def test_clients_before_cursors_get_a_bare_list(five, run, http):
    query = {"labels": json.dumps(run), "limit": "1"}
    answer = http.get("/sandbox", params=query, headers={"X-Daytona-SDK-Version": "0.170.0"}).json()
    assert sorted(item["name"].split("-")[0] for item in answer) == ["n0", "n1", "n2", "n3", "n4"]
    assert all("env" in item and "kvm" in item for item in answer)
    newer = http.get("/sandbox", params=query, headers={"X-Daytona-SDK-Version": "0.180.0"}).json()
    assert len(newer["items"]) == 1 and newer["nextCursor"]
