// Images that are built, with the official TypeScript SDK against a real server.

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'

import { Daytona, DaytonaError, Image } from '@daytonaio/sdk'

import { Server } from '../server.mjs'

let server, daytona, folder

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  folder = await mkdtemp(path.join(tmpdir(), 'pitlane-builds-'))
})

after(async () => {
  await daytona?.[Symbol.asyncDispose]()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

test('a declarative image with files becomes what it says, with its logs', async () => {
  await mkdir(path.join(folder, 'tree'))
  await writeFile(path.join(folder, 'tree', 'leaf.txt'), 'leaf\n')
  await writeFile(path.join(folder, 'one.txt'), 'one file\n')
  const word = randomUUID()
  const image = Image.base('default')
    .dockerfileCommands(['USER root'])
    .addLocalFile(path.join(folder, 'one.txt'), '/srv/one.txt')
    .addLocalDir(path.join(folder, 'tree'), '/srv/tree')
    .runCommands(`echo ${word} > /srv/word`, 'sleep 3; echo the last step')
    .env({ COLOUR: 'deep blue' })
    .workdir('/srv')
    .dockerfileCommands(['LABEL e2e=yes'])
  const logs = []
  const sandbox = await daytona.create(
    { image, resources: { cpu: 2, memory: 2, disk: 4 } },
    { timeout: 120, onSnapshotCreateLogs: (chunk) => logs.push(chunk) },
  )
  try {
    assert.deepEqual([sandbox.state, sandbox.cpu, sandbox.memory, sandbox.disk], ['started', 2, 2, 4])
    const shell = async (command) => (await sandbox.process.executeCommand(command)).result
    assert.equal(await shell('pwd; echo $COLOUR'), '/srv\ndeep blue\n')
    assert.equal(await shell('cat one.txt tree/leaf.txt word'), `one file\nleaf\n${word}\n`)
    assert.match(logs.join('\n'), /the last step/)
  } finally {
    await sandbox.delete()
  }
})

test('a snapshot is built with its logs, and a failure says why', async () => {
  const logs = []
  const image = Image.base('default').runCommands(`echo ${randomUUID()}`, 'sleep 2; echo the last step')
  const made = await daytona.snapshot.create(
    { name: `ts/${randomUUID()}`, image },
    { timeout: 120, onLogs: (chunk) => logs.push(chunk) },
  )
  assert.equal(made.state, 'active')
  assert.match(logs.join('\n'), /the last step/)
  const sandbox = await daytona.create({ snapshot: made.name })
  assert.equal((await sandbox.process.executeCommand('echo here')).result, 'here\n')
  await sandbox.delete()
  await daytona.snapshot.delete(made)
  const broken = Image.base('default').runCommands('echo it broke; exit 7')
  const why = (error) => error instanceof DaytonaError && /exit code 7/.test(error.message)
  await assert.rejects(daytona.create({ image: broken }, { timeout: 120 }), why)
  await assert.rejects(
    daytona.snapshot.create({ name: `ts/${randomUUID()}`, image: broken }, { timeout: 120 }),
    why,
  )
})

test('an image of a Dockerfile is built from its folder', async () => {
  await writeFile(path.join(folder, 'greeting.txt'), 'hello\n')
  const file = path.join(folder, 'Dockerfile')
  await writeFile(file, 'FROM default\nUSER root\nARG WHO=world\nCOPY greeting.txt /greeting\nRUN echo $WHO >> /greeting\n')
  const sandbox = await daytona.create({ image: Image.fromDockerfile(file) }, { timeout: 120 })
  try {
    assert.equal((await sandbox.process.executeCommand('cat /greeting')).result, 'hello\nworld\n')
  } finally {
    await sandbox.delete()
  }
})
