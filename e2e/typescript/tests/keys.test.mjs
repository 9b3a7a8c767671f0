// Keys, organizations and lists, through the official TypeScript SDK.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, test } from 'node:test'

import { Daytona, DaytonaAuthenticationError, DaytonaForbiddenError, DaytonaNotFoundError } from '@daytonaio/sdk'

import { Server, deleteAll } from '../server.mjs'

let server, daytona, shared

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  shared = await daytona.create({ name: 'shared', labels: { list: 'shared' } })
})

after(async () => {
  await deleteAll(daytona)
  await daytona[Symbol.asyncDispose]()
  await server.stop()
})

// A call of the API that the SDK has no word for.
async function call(method, path, body, organization) {
  const headers = { Authorization: `Bearer ${server.key}`, 'Content-Type': 'application/json' }
  if (organization) headers['X-Daytona-Organization-ID'] = organization
  const answer = await fetch(`${server.url}${path}`, { method, headers, body: body && JSON.stringify(body) })
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`)
  return answer.status === 204 ? undefined : answer.json()
}

// Does something with a key of these permissions.
async function withKey(permissions, use, organization) {
  const name = `e2e-${randomUUID()}`
  const { value } = await call('POST', '/api-keys', { name, permissions }, organization)
  const user = new Daytona({ apiKey: value, apiUrl: server.url })
  try {
    return await use(user, () => call('DELETE', `/api-keys/${name}`, undefined, organization))
  } finally {
    await user[Symbol.asyncDispose]()
  }
}

async function collected(items) {
  const all = []
  for await (const item of items) all.push(item)
  return all
}

test('a key does what it was given and says what it lacks', async () => {
  await withKey(['delete:sandboxes'], async (user, revoke) => {
    assert.equal((await user.get(shared.id)).id, shared.id)
    await assert.rejects(user.create(), (error) => {
      assert.ok(error instanceof DaytonaForbiddenError)
      assert.match(error.message, /lacks the permission write:sandboxes/)
      return true
    })
    await revoke()
  })
  await withKey([], async (user, revoke) => {
    await assert.rejects(user.get(shared.id), DaytonaForbiddenError)
    await assert.rejects(collected(user.list()), DaytonaForbiddenError)
    await revoke()
  })
})

test('a revoked key ends what runs for it', async () => {
  await withKey(['write:sandboxes'], async (user, revoke) => {
    const sandbox = await user.get(shared.id)
    const running = assert.rejects(sandbox.process.executeCommand('touch /tmp/runs; sleep 4251'), DaytonaAuthenticationError)
    const deadline = Date.now() + 30_000
    while ((await shared.process.executeCommand('test -e /tmp/runs')).exitCode !== 0) {
      assert.ok(Date.now() < deadline, 'the command never ran')
    }
    await revoke()
    await running
    await assert.rejects(user.get(shared.id), DaytonaAuthenticationError)
  })
})

test('another organization finds nothing', async () => {
  const { id } = await call('POST', '/organizations', { name: `e2e-${randomUUID()}`, defaultRegionId: 'us' })
  const everything = ['write:sandboxes', 'delete:sandboxes', 'write:snapshots', 'delete:snapshots', 'manage:keys']
  await withKey(everything, async (stranger) => {
    assert.deepEqual(await collected(stranger.list()), [])
    for (const name of [shared.id, 'shared', '00000000-0000-4000-8000-000000000000']) {
      await assert.rejects(stranger.get(name), (error) => {
        assert.ok(error instanceof DaytonaNotFoundError)
        assert.match(error.message, new RegExp(`Sandbox with ID or name ${name} not found`))
        return true
      })
    }
  }, id)
  await call('DELETE', `/organizations/${id}`)
})

test('a list is filtered, sorted and read page by page', async () => {
  const list = randomUUID()
  const made = []
  try {
    for (const n of [0, 1, 2]) made.push(await daytona.create({ name: `n${n}-${list}`, labels: { list, n: `${n}` } }))
    const names = async (query) =>
      (await collected(daytona.list({ labels: { list }, ...query }))).map((sandbox) => sandbox.name.split('-')[0])
    assert.deepEqual(await names({ sort: 'name', order: 'asc', limit: 1 }), ['n0', 'n1', 'n2'])
    assert.deepEqual(await names({ sort: 'createdAt', order: 'desc', limit: 2 }), ['n2', 'n1', 'n0'])
    assert.deepEqual(await names({ labels: { list, n: '1' } }), ['n1'])
    assert.deepEqual(await names({ name: 'N2' }), ['n2'])
    assert.deepEqual(await names({ states: ['stopped', 'archived'] }), [])
  } finally {
    for (const sandbox of made) await sandbox.delete()
  }
})
