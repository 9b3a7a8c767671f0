"""The asynchronous client of the same SDK."""

import asyncio

import pytest
from daytona import AsyncDaytona, CreateSandboxFromSnapshotParams, DaytonaNotFoundError, DaytonaTimeoutError


async def test_the_whole_way_works_asynchronously(server):
    async with AsyncDaytona() as daytona:
        sandbox = await daytona.create(CreateSandboxFromSnapshotParams(labels={"async": "yes"}))
        try:
            assert sandbox.state == "started"
            assert (await sandbox.process.code_run("print(6 * 7)")).result == "42\n"
            ran = await sandbox.process.exec("echo out; exit 4")
            assert (ran.exit_code, ran.result) == (4, "out\n")
            await sandbox.fs.upload_file(b"content", "file")
            assert await sandbox.fs.download_file("file") == b"content"
            with pytest.raises(DaytonaTimeoutError):
                await sandbox.process.exec("sleep 4341", timeout=1)
            await sandbox.stop()
            assert sandbox.state == "stopped"
            await sandbox.start()
            assert await sandbox.fs.download_file("file") == b"content"
        finally:
            await sandbox.delete()
        with pytest.raises(DaytonaNotFoundError):
            for _ in range(600):
                await daytona.get(sandbox.id)
                await asyncio.sleep(0.05)


async def test_sandboxes_made_at_once_are_all_usable(server):
    async with AsyncDaytona() as daytona:
        sandboxes = await asyncio.gather(*(daytona.create() for _ in range(8)))
        try:
            assert len({sandbox.id for sandbox in sandboxes}) == 8
            ran = await asyncio.gather(*(s.process.exec(f"echo {n}") for n, s in enumerate(sandboxes)))
            assert [r.result for r in ran] == [f"{n}\n" for n in range(8)]
        finally:
            await asyncio.gather(*(sandbox.delete() for sandbox in sandboxes))
