// What changes a living sandbox, through the official TypeScript SDK.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Daytona, DaytonaBadRequestError, DaytonaNotFoundError } from '@daytonaio/sdk'

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

async function withSandbox(params, use) {
  const sandbox = await daytona.create(params)
  try {
    return await use(sandbox)
  } finally {
    await sandbox.delete().catch((error) => {
      if (!(error instanceof DaytonaNotFoundError)) throw error
    })
  }
}

async function archive(sandbox) {
  await sandbox.archive()
  const deadline = Date.now() + 30_000
  while (sandbox.state !== 'archived') {
    assert.ok(Date.now() < deadline, `it is ${sandbox.state}`)
    await sandbox.refreshData()
  }
}

async function refused(change, why) {
  await assert.rejects(change, (error) => {
    assert.ok(error instanceof DaytonaBadRequestError, String(error))
    assert.match(error.message, why)
    return true
  })
}

test('labels are replaced', async () => {
  await withSandbox({ labels: { old: '1' } }, async (sandbox) => {
    const wanted = { a: 'b', é: '' }
    assert.deepEqual(await sandbox.setLabels(wanted), wanted)
    assert.deepEqual((await daytona.get(sandbox.id)).labels, wanted)
  })
})

test('intervals are set and read back, and the countdown does not disturb the SDK', async () => {
  await withSandbox(undefined, async (sandbox) => {
    await sandbox.setAutostopInterval(60)
    await sandbox.setAutoArchiveInterval(120)
    await sandbox.setAutoDeleteInterval(180)
    let found = await daytona.get(sandbox.id)
    assert.deepEqual([found.autoStopInterval, found.autoArchiveInterval, found.autoDeleteInterval], [60, 120, 180])
    await sandbox.setAutostopInterval(0)
    await sandbox.setAutoDeleteInterval(-1)
    found = await daytona.get(sandbox.id)
    assert.deepEqual([found.autoStopInterval, found.autoDeleteInterval], [0, -1])
  })
})

test('a time to live is a date that can be taken back', async () => {
  await withSandbox(undefined, async (sandbox) => {
    await sandbox.setTtl(60)
    const left = new Date((await daytona.get(sandbox.id)).autoDestroyAt) - Date.now()
    assert.ok(left > 59 * 60_000 && left <= 61 * 60_000, `${left} ms`)
    await sandbox.setTtl(0)
    assert.equal((await daytona.get(sandbox.id)).autoDestroyAt, undefined)
  })
})

test('a use that is told counts', async () => {
  await withSandbox(undefined, async (sandbox) => {
    const before = new Date((await daytona.get(sandbox.id)).lastActivityAt)
    await sandbox.refreshActivity()
    assert.ok(new Date((await daytona.get(sandbox.id)).lastActivityAt) > before)
  })
})

test('limits grow while it runs, its disk while it does not', async () => {
  await withSandbox(undefined, async (sandbox) => {
    await sandbox.resize({ cpu: 2, memory: 2 })
    assert.deepEqual([sandbox.state, sandbox.cpu, sandbox.memory], ['started', 2, 2])
    await refused(sandbox.resize({ cpu: 1 }), /only grow/)
    await refused(sandbox.resize({ disk: 4 }), /stop it first/)
    await refused(sandbox.resize({ memory: 100 }), /maximum of 8/)
    await sandbox.process.executeCommand('echo kept > ~/file')
    await sandbox.stop()
    await sandbox.resize({ disk: 4 })
    assert.deepEqual([sandbox.state, sandbox.disk], ['stopped', 4])
    await sandbox.start()
    assert.equal((await sandbox.process.executeCommand('cat ~/file')).result, 'kept\n')
  })
})

test('an archived sandbox comes back as it was', async () => {
  await withSandbox(undefined, async (sandbox) => {
    await sandbox.process.executeCommand('echo kept > ~/file')
    await refused(sandbox.archive(), /cannot be archived/)
    await sandbox.stop()
    await archive(sandbox)
    await refused(sandbox.process.executeCommand('true'), /archived/)
    await sandbox.start()
    assert.equal((await sandbox.process.executeCommand('cat ~/file')).result, 'kept\n')
  })
})

test('what has not failed is not recovered', async () => {
  await withSandbox(undefined, async (sandbox) => {
    await refused(sandbox.recover(), /cannot be recovered/)
  })
})

test('what is gone is not found', async () => {
  await withSandbox(undefined, async (sandbox) => {
    await sandbox.delete()
    const deadline = Date.now() + 30_000
    while (await daytona.get(sandbox.id).then(() => true, () => false)) assert.ok(Date.now() < deadline)
    for (const change of [
      () => sandbox.setLabels({}),
      () => sandbox.setAutostopInterval(1),
      () => sandbox.setTtl(1),
      () => sandbox.archive(),
      () => sandbox.recover(),
      () => sandbox.refreshActivity(),
    ]) {
      await assert.rejects(change, DaytonaNotFoundError)
    }
  })
})
