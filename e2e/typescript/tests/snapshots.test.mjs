// Snapshots of sandboxes with the official TypeScript SDK against a real server.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Daytona, DaytonaError, DaytonaNotFoundError } from '@daytonaio/sdk'

import { Server } from '../server.mjs'

let server, daytona

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
})

after(async () => {
  await daytona?.[Symbol.asyncDispose]()
  await server?.stop()
})


async function run(sandbox, command) {
  const done = await sandbox.process.executeCommand(command)
  assert.equal(done.exitCode, 0, done.result)
  return done.result
}

async function refusedWith(status, promise) {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof DaytonaError)
    assert.equal(error.statusCode, status, error.message)
    return true
  })
}

test('a sandbox starts from what another wrote, running and stopped', async () => {
  const made = []
  try {
    const first = await daytona.create()
    made.push(first)
    await run(first, 'echo one > ~/file')
    await first.createSnapshot('ts-running')
    assert.equal(first.state, 'started')
    const second = await daytona.create({ snapshot: 'ts-running' })
    made.push(second)
    assert.equal(await run(second, 'cat ~/file; echo two > ~/second'), 'one\n')
    await second.stop()
    await second.createSnapshot('ts-stopped')
    assert.equal(second.state, 'stopped')
    const third = await daytona.create({ snapshot: 'ts-stopped' })
    made.push(third)
    assert.equal(await run(third, 'cat ~/file ~/second'), 'one\ntwo\n')
    await daytona.snapshot.delete(await daytona.snapshot.get('ts-stopped'))
    await assert.rejects(daytona.snapshot.get('ts-stopped'), DaytonaNotFoundError)
    assert.equal(await run(third, 'cat ~/file ~/second'), 'one\ntwo\n')

    await refusedWith(409, first.createSnapshot('ts-running'))
    await refusedWith(400, first.createSnapshot('no spaces'))
    const answer = await fetch(`${server.url}/snapshots?sourceSandboxId=${first.id}`, {
      headers: { Authorization: `Bearer ${server.key}` },
    })
    const listed = await answer.json()
    assert.deepEqual(listed.items.map((item) => item.name), ['ts-running'])
    await daytona.snapshot.delete(await daytona.snapshot.get('ts-running'))
  } finally {
    for (const sandbox of made) await sandbox.delete()
  }
})
