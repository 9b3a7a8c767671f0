// The official TypeScript SDK against a real server.

import assert from 'node:assert/strict'
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'

import {
  Daytona,
  DaytonaAuthenticationError,
  DaytonaBadRequestError,
  DaytonaConflictError,
  DaytonaFileNotFoundError,
  DaytonaNotFoundError,
  DaytonaTimeoutError,
} from '@daytonaio/sdk'

import { Server, deleteAll } from '../server.mjs'

let server, daytona, shared

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  shared = await daytona.create()
})

after(async () => {
  await deleteAll(daytona)
  const deadline = Date.now() + 30_000
  while ((await collected(daytona.list())).length > 0) {
    assert.ok(Date.now() < deadline, 'sandboxes are left')
  }
  await daytona[Symbol.asyncDispose]()
  await server.stop()
})

async function collected(items) {
  const all = []
  for await (const item of items) all.push(item)
  return all
}

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

test('what was asked for is what is told', async () => {
  const name = `e2e-${randomUUID()}`
  const params = { name, language: 'javascript', labels: { team: 'blue' }, envVars: { COLOUR: 'grün' }, autoStopInterval: 0 }
  await withSandbox(params, async (made) => {
    for (const sandbox of [made, await daytona.get(made.id), await daytona.get(name)]) {
      assert.equal(sandbox.id, made.id)
      assert.equal(sandbox.state, 'started')
      assert.deepEqual(sandbox.labels, { team: 'blue', 'code-toolbox-language': 'javascript' })
      assert.deepEqual(sandbox.env, { COLOUR: 'grün' })
      assert.deepEqual([sandbox.cpu, sandbox.memory, sandbox.disk, sandbox.autoStopInterval], [1, 1, 3, 0])
    }
    assert.equal((await made.process.executeCommand('echo $COLOUR')).result, 'grün\n')
    const found = await collected(daytona.list({ labels: { team: 'blue' }, limit: 1 }))
    assert.deepEqual(found.map((sandbox) => sandbox.id), [made.id])
    await assert.rejects(withSandbox({ name }, () => {}), DaytonaConflictError)
  })
})

const programs = {
  python: "import sys, os\nprint(sys.argv[1:], os.environ['C'])\nsys.exit(7)",
  javascript: 'console.log(process.argv.slice(2), process.env.C); process.exit(7)',
  typescript: 'const n: number = 7; console.log(process.argv.slice(2), process.env.C); process.exit(n)',
}

for (const [language, code] of Object.entries(programs)) {
  test(`${language} gets arguments and variables and gives its exit code`, () =>
    withSandbox({ language }, async (sandbox) => {
      const ran = await sandbox.process.codeRun(code, { argv: ['a b'], env: { C: '1' } })
      assert.deepEqual([ran.exitCode, ran.result], [7, language === 'python' ? "['a b'] 1\n" : "[ 'a b' ] 1\n"])
    }))
}

test('a command gives its output and exit code', async () => {
  const ran = await shared.process.executeCommand('pwd; echo "$A"; exit 3', '/tmp', { A: '1 2' })
  assert.deepEqual([ran.exitCode, ran.result], [3, '/tmp\n1 2\n'])
})

test('a command that takes too long ends in a timeout', async () => {
  await assert.rejects(shared.process.executeCommand('sleep 4351', undefined, undefined, 1), DaytonaTimeoutError)
})

test('stop keeps the disk and start brings it back', () =>
  withSandbox(undefined, async (sandbox) => {
    await sandbox.process.executeCommand('echo kept > ~/file')
    await sandbox.stop()
    assert.equal(sandbox.state, 'stopped')
    await assert.rejects(sandbox.process.executeCommand('true'), DaytonaBadRequestError)
    await sandbox.start()
    assert.equal((await sandbox.process.executeCommand('cat ~/file')).result, 'kept\n')
  }))

test('files go in and come out as they are', async () => {
  const content = randomBytes(300_000)
  await shared.fs.uploadFile(content, 'in/out/file.bin')
  assert.deepEqual(await shared.fs.downloadFile('in/out/file.bin'), content)
  await shared.fs.uploadFiles([1, 2, 3].map((n) => ({ source: Buffer.from(`content ${n}`), destination: `many/${n}` })))
  const got = await shared.fs.downloadFiles([1, 2, 3].map((n) => ({ source: `many/${n}` })))
  assert.deepEqual(got.map((file) => file.result.toString()), ['content 1', 'content 2', 'content 3'])
  assert.deepEqual((await shared.fs.listFiles('many')).map((info) => info.name).sort(), ['1', '2', '3'])
  await shared.fs.createFolder('folder', '750')
  assert.equal((await shared.fs.getFileDetails('folder')).permissions, '0750')
  await shared.fs.deleteFile('many', true)
  await assert.rejects(shared.fs.getFileDetails('many'), DaytonaNotFoundError)
  await assert.rejects(shared.fs.downloadFile('/nowhere'), DaytonaFileNotFoundError)
  assert.equal(await shared.getUserHomeDir(), '/home/daytona')
  assert.ok(await shared.getWorkDir())
})

test('a large file streams through', async () => {
  const [digest, back] = [createHash('sha256'), createHash('sha256')]
  async function* source() {
    for (let n = 0; n < 64; n++) {
      const chunk = randomBytes(1 << 20)
      digest.update(chunk)
      yield chunk
    }
  }
  await shared.fs.uploadFileStream(Readable.from(source()), 'large')
  for await (const chunk of await shared.fs.downloadFileStream('large')) back.update(chunk)
  assert.equal(back.digest('hex'), digest.digest('hex'))
})

test('another client hears of a change over the event channel', () =>
  withSandbox(undefined, async (sandbox) => {
    const other = new Daytona({ apiKey: server.key, apiUrl: server.url })
    try {
      const seen = await other.get(sandbox.id)
      const waited = seen.waitUntilStopped(20)
      await sandbox.stop()
      await waited
      assert.equal(seen.state, 'stopped')
    } finally {
      await other[Symbol.asyncDispose]()
    }
  }))

test('errors are of the right class', async () => {
  await assert.rejects(daytona.get('nowhere'), DaytonaNotFoundError)
  await assert.rejects(daytona.create({ snapshot: 'nowhere' }), DaytonaBadRequestError)
  await assert.rejects(daytona.create({ image: 'UPPER/Case' }), DaytonaBadRequestError)
  const stranger = new Daytona({ apiKey: 'dtn_wrong', apiUrl: server.url })
  await assert.rejects(stranger.create(), DaytonaAuthenticationError)
  await stranger[Symbol.asyncDispose]()
})

test('snapshots are found', async () => {
  const { items } = await daytona.snapshot.list()
  assert.equal((await daytona.snapshot.get(items[0].name)).state, 'active')
})
