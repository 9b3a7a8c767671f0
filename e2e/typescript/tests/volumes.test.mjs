// Volumes of the official TypeScript SDK against a real server.

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

async function until(condition, message) {
  const deadline = Date.now() + 20_000
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, message)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('a volume is made, found, listed, deleted, and refused with a reason', async () => {
  await assert.rejects(daytona.volume.get('ts-one'), DaytonaNotFoundError)
  const made = await daytona.volume.get('ts-one', true)
  await until(async () => (await daytona.volume.get('ts-one')).state === 'ready', 'it is not ready')
  assert.equal((await daytona.volume.get('ts-one', true)).id, made.id)
  await assert.rejects(daytona.volume.create('ts-one'), (error) => {
    assert.ok(error instanceof DaytonaError)
    assert.match(error.message, /already exists/)
    return true
  })
  assert.ok((await daytona.volume.list()).some((volume) => volume.id === made.id))
  await daytona.volume.delete(made)
  await assert.rejects(daytona.volume.get('ts-one'), DaytonaNotFoundError)
  await assert.rejects(daytona.volume.delete(made), DaytonaError)
})

test('sandboxes share a volume, which outlives them', async () => {
  const volume = await daytona.volume.create('ts-shared')
  const first = await daytona.create({ volumes: [{ volumeId: volume.id, mountPath: '/data' }] })
  const second = await daytona.create({ volumes: [{ volumeId: 'ts-shared', mountPath: '/mnt/x', subpath: 'sub' }] })
  try {
    assert.equal(second.volumes[0].volumeId, volume.id)
    assert.equal(second.volumes[0].subpath, 'sub')
    await second.fs.uploadFile(Buffer.from('shared'), '/mnt/x/file')
    assert.equal((await first.fs.downloadFile('/data/sub/file')).toString(), 'shared')
    await assert.rejects(daytona.volume.delete(volume), /in use/)
  } finally {
    await first.delete()
    await second.delete()
  }
  const third = await daytona.create({ volumes: [{ volumeId: volume.id, mountPath: '/data' }] })
  assert.equal((await third.process.executeCommand('cat /data/sub/file')).result, 'shared')
  await third.delete()
  await daytona.volume.delete(volume)
})

test('volumes that cannot be mounted are refused', async () => {
  const volume = await daytona.volume.create('ts-refused')
  for (const mountPath of ['data', '/proc', '/a/../b']) {
    await assert.rejects(daytona.create({ volumes: [{ volumeId: volume.id, mountPath }] }), DaytonaError)
  }
  await assert.rejects(daytona.create({ volumes: [{ volumeId: 'nothing', mountPath: '/x' }] }), DaytonaNotFoundError)
  await daytona.volume.delete(volume)
})
