// Images and snapshots of the official TypeScript SDK against a real server.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Daytona, DaytonaConflictError, DaytonaError, DaytonaNotFoundError } from '@daytonaio/sdk'

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

async function until(condition, message) {
  const deadline = Date.now() + 20_000
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, message)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('a snapshot is made, read, deleted, and refused with a reason', async () => {
  const made = await daytona.snapshot.create({ name: 'ts/one', image: 'default', resources: { cpu: 2 } })
  assert.deepEqual([made.state, made.imageName, made.cpu], ['active', 'default', 2])
  await assert.rejects(daytona.snapshot.create({ name: 'ts/one', image: 'default' }), DaytonaConflictError)
  await assert.rejects(daytona.snapshot.create({ name: 'ts/two', image: 'nobody/nothing' }), (error) => {
    assert.ok(error instanceof DaytonaError)
    assert.match(error.message, /a tag other than latest, or a digest/)
    return true
  })
  await assert.rejects(daytona.snapshot.activate(made), DaytonaError)
  assert.equal((await daytona.snapshot.get('ts/one')).id, made.id)
  await daytona.snapshot.delete(made)
  await assert.rejects(daytona.snapshot.get('ts/one'), DaytonaNotFoundError)
})

test('what an image runs by itself is the session entrypoint', async () => {
  const entrypoint = ['sh', '-c', 'echo "ready for $COLOUR"; echo warned >&2; exit 5']
  const snapshot = await daytona.snapshot.create({ name: 'ts/runs', image: 'default', entrypoint })
  assert.deepEqual(snapshot.entrypoint, entrypoint)
  const sandbox = await daytona.create({ snapshot: 'ts/runs', envVars: { COLOUR: 'blue' } })
  try {
    const ended = async () => (await sandbox.process.getEntrypointSession()).commands?.[0]?.exitCode === 5
    await until(ended, 'the entrypoint does not end')
    const session = await sandbox.process.getEntrypointSession()
    assert.equal(session.sessionId, 'entrypoint')
    assert.equal(session.commands[0].command, entrypoint.join(' '))
    const logs = await sandbox.process.getEntrypointLogs()
    assert.deepEqual([logs.stdout, logs.stderr], ['ready for blue\n', 'warned\n'])
  } finally {
    await sandbox.delete()
    await daytona.snapshot.delete(snapshot)
  }
})
