// Warm pools, through the official TypeScript SDK.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'

import { Daytona } from '@daytonaio/sdk'

import { Server, deleteAll } from '../server.mjs'

let server, daytona

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
})

after(async () => {
  await deleteAll(daytona)
  await daytona[Symbol.asyncDispose]()
  await server.stop()
})

async function found(id) {
  return (await daytona.warmPool.list()).find((pool) => pool.id === id)
}

async function until(what, condition) {
  const deadline = Date.now() + 30_000
  while (!(await condition())) assert.ok(Date.now() < deadline, what)
}

// The status of a refusal, however the SDK wraps it.
async function refusal(promise) {
  try {
    await promise
  } catch (error) {
    return error.statusCode ?? error.status ?? error.response?.status
  }
  return undefined
}

test('a pool is filled, taken from, resized and deleted', async () => {
  const made = await daytona.warmPool.create({ snapshot: 'default', pool: 2 })
  assert.deepEqual([made.snapshot, made.target, made.pool], ['default', 'local', 2])
  await until('the pool is not filled', async () => (await found(made.id)).currentSize === 2)
  const sandbox = await daytona.create({ snapshot: 'default', envVars: { OWNER: 'me' }, labels: { from: 'pool' } })
  const { result } = await sandbox.process.executeCommand('echo $OWNER $DAYTONA_SANDBOX_ID')
  assert.equal(result, `me ${sandbox.id}\n`)
  assert.equal(sandbox.labels.from, 'pool')
  await until('the pool is not filled again', async () => (await found(made.id)).currentSize === 2)
  assert.equal((await daytona.warmPool.update(made.id, { pool: 0 })).pool, 0)
  await until('the pool does not shrink', async () => (await found(made.id)).currentSize === 0)
  await daytona.warmPool.delete(made.id)
  assert.equal(await found(made.id), undefined)
  assert.equal((await sandbox.process.executeCommand('echo here')).result, 'here\n')
})

test('what cannot be is refused', async () => {
  const made = await daytona.warmPool.create({ snapshot: 'default', pool: 1, target: 'moon' })
  assert.equal(await refusal(daytona.warmPool.create({ snapshot: 'default', pool: 1, target: 'moon' })), 409)
  assert.equal(await refusal(daytona.warmPool.create({ snapshot: 'no-such-snapshot', pool: 1 })), 404)
  assert.equal(await refusal(daytona.warmPool.create({ snapshot: 'default', pool: 0 })), 400)
  assert.equal(await refusal(daytona.warmPool.update(made.id, { pool: 1001 })), 400)
  assert.equal(await refusal(daytona.warmPool.update(randomUUID(), { pool: 1 })), 404)
  assert.equal(await refusal(daytona.warmPool.delete(randomUUID())), 404)
  await daytona.warmPool.delete(made.id)
})
