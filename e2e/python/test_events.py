"""The event channel, with the client library that the SDK itself uses."""

import queue
import urllib.parse

import httpx
import pytest
import socketio


def connected(server, token):
    """A client with a queue of the events it gets."""
    events = queue.Queue()
    client = socketio.Client(reconnection=False)
    client.on("sandbox.created", lambda data: events.put(("sandbox.created", data)))
    client.on("sandbox.state.updated", lambda data: events.put(("sandbox.state.updated", data)))
    client.on("sandbox.memory.exhausted", lambda data: events.put(("sandbox.memory.exhausted", data)))
    url = urllib.parse.urlsplit(server.url)
    client.connect(
        f"{url.scheme}://{url.netloc}",
        socketio_path=f"{url.path}/socket.io/",
        transports=["websocket"],
        auth={"token": token},
        wait_timeout=5,
    )
    return client, events


def test_a_sandbox_tells_of_its_life(server, daytona):
    client, events = connected(server, server.key)
    try:
        sandbox = daytona.create()
        sandbox.stop()
        sandbox.delete(wait=True)
        seen = []
        while not seen or seen[-1][1] != "destroyed":
            name, data = events.get(timeout=10)
            told = data if name == "sandbox.created" else data["sandbox"]
            if told["id"] != sandbox.id:
                continue
            assert told["toolboxProxyUrl"] == sandbox.toolbox_proxy_url
            if name == "sandbox.state.updated":
                assert told["state"] == data["newState"]
            seen.append((data.get("oldState"), told["state"]))
        assert seen[0][0] is None
        assert [new for _, new in seen[1:]] == ["started", "stopping", "stopped", "destroying", "destroyed"]
        for (_, new), (old, _) in zip(seen, seen[1:]):
            assert old == new
    finally:
        client.disconnect()


def test_memory_that_runs_out_is_told_by_the_answer_the_channel_and_the_log(server, make):
    sandbox = make()
    client, events = connected(server, server.key)
    try:
        done = sandbox.process.exec("python3 -c 'bytearray(3 << 30)'")
        assert done.exit_code == 137
        assert done.result.endswith("[pitlane: killed: the sandbox's memory was used up]\n"), done.result
        name, data = events.get(timeout=30)
        while name != "sandbox.memory.exhausted" or data["sandbox"]["id"] != sandbox.id:
            name, data = events.get(timeout=30)
        assert (data["killed"], data["sandbox"]["state"]) == (1, "started")
    finally:
        client.disconnect()
    key = {"Authorization": f"Bearer {server.key}"}
    log = httpx.get(f"{server.url}/sandbox/{sandbox.id}/log", headers=key).json()["items"]
    told = [(line["state"], line["by"], line["reason"]) for line in log]
    assert told[-1] == ("started", "sandbox", "its memory of 1 GiB was used up: 1 process was killed"), told
    # Nothing else has ended of it.
    assert sandbox.process.exec("echo well").result == "well\n"


def test_a_wrong_token_gets_no_events(server):
    for token in ("dtn_wrong", "", None, {"$gt": ""}):
        with pytest.raises(socketio.exceptions.ConnectionError):
            connected(server, token)


def test_the_sdk_hears_of_changes_that_somebody_else_makes(daytona, make):
    from daytona import Daytona
    from waiting import eventually

    sandbox = make()
    seen_by_other = Daytona().get(sandbox.id)
    sandbox.stop()
    seen_by_other.wait_for_sandbox_stop(timeout=10)
    eventually(lambda: seen_by_other.state == "stopped", "the other client did not hear of it")
