// Volumes in object storage through the official TypeScript SDK: made, shared, by folder, deleted, refused with a reason.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { Daytona, DaytonaNotFoundError } from '@daytonaio/sdk'

import { bucket, ObjectStore } from '../object-store.mjs'
import { Server } from '../server.mjs'

const secret = 'a-secret-that-nobody-sees'
let folder, store, server, daytona

const flags = (bucket) => {
  const storage = ['--volume-endpoint', store.url, '--volume-bucket', bucket, '--volume-prefix', 'all']
  return [...storage, '--volume-access-key-file', join(folder, 'key')]
}

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pitlane-key-'))
  writeFileSync(join(folder, 'key'), `an-id\n${secret}\n`)
  store = await ObjectStore.start()
  server = await Server.start(...flags(bucket))
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
})

after(async () => {
  await daytona?.[Symbol.asyncDispose]()
  await server?.stop()
  await store?.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function until(condition, message) {
  const deadline = Date.now() + 20_000
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, message)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

test('sandboxes share files that are objects, and the objects go with the volume', async () => {
  const volume = await daytona.volume.get('ts-objects', true)
  await until(async () => (await daytona.volume.get('ts-objects')).state === 'ready', 'it is not ready')
  const root = `all/${volume.id}/`
  assert.deepEqual(store.keys(), [root])
  const first = await daytona.create({ volumes: [{ volumeId: volume.id, mountPath: '/data' }] })
  const second = await daytona.create({ volumes: [{ volumeId: volume.id, mountPath: '/mnt/x', subpath: 'users/alice' }] })
  try {
    await second.fs.uploadFile(Buffer.from('shared'), '/mnt/x/file')
    assert.equal(store.objects.get(`${root}users/alice/file`).toString(), 'shared')
    assert.equal((await first.fs.downloadFile('/data/users/alice/file')).toString(), 'shared')
    const moved = 'cd /data && mkdir -p users/bob && echo secret > users/bob/file && mv users/alice/file users/alice/moved'
    assert.equal((await first.process.executeCommand(moved)).exitCode, 0)
    assert.equal((await second.process.executeCommand('ls -A /mnt/x; cat /mnt/x/moved')).result, 'moved\nshared')
    await assert.rejects(daytona.volume.delete(volume), /in use/)
  } finally {
    await first.delete()
    await second.delete()
  }
  const third = await daytona.create({ volumes: [{ volumeId: 'ts-objects', mountPath: '/data' }] })
  assert.equal((await third.process.executeCommand('cat /data/users/alice/moved')).result, 'shared')
  await third.delete()
  await daytona.volume.delete(volume)
  await assert.rejects(daytona.volume.get('ts-objects'), DaytonaNotFoundError)
  await until(() => store.keys().length === 0, 'objects are left')
  assert.ok(!server.log().includes(secret))
})

test('a storage that takes nothing is told', async () => {
  const elsewhere = await Server.start(...flags('elsewhere'))
  const daytona = new Daytona({ apiKey: elsewhere.key, apiUrl: elsewhere.url })
  try {
    await daytona.volume.create('nowhere')
    await until(async () => (await daytona.volume.get('nowhere')).state === 'error', 'it is not refused')
    assert.match((await daytona.volume.get('nowhere')).errorReason, /NoSuchBucket/)
  } finally {
    await daytona[Symbol.asyncDispose]()
    await elsewhere.stop()
  }
})
