// The file operations of the official TypeScript SDK against a real server.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'

import {
  Daytona,
  DaytonaBadRequestError,
  DaytonaConflictError,
  DaytonaError,
  DaytonaFileAccessDeniedError,
  DaytonaFileNotFoundError,
  DaytonaInvalidFilePathError,
} from '@daytonaio/sdk'

import { Server } from '../server.mjs'

let server, daytona, sandbox, fs, local

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  sandbox = await daytona.create()
  fs = sandbox.fs
  local = mkdtempSync(join(tmpdir(), 'pitlane-e2e-files-'))
})

after(async () => {
  await sandbox?.delete()
  await daytona?.[Symbol.asyncDispose]()
  await server?.stop()
  rmSync(local, { recursive: true, force: true })
})

async function bytesOf(stream) {
  const pieces = []
  for await (const piece of stream) pieces.push(piece)
  return Buffer.concat(pieces)
}

const names = ['new\nline', 'quo"te\'', 'ünï cödé 🦀', ' blank ', '%41+', 'semi;colon=', 'l'.repeat(255), 'C:\\windows']

test('odd names go in and out by every operation', async () => {
  const uploads = names.map((name) => ({ source: Buffer.from(name), destination: `odd/${name}` }))
  await fs.uploadFiles(uploads)
  const listed = await fs.listFiles('odd')
  assert.deepEqual(new Set(listed.map((info) => info.name)), new Set(names))
  const got = await fs.downloadFiles(uploads.map(({ destination }) => ({ source: destination })))
  for (const [index, name] of names.entries()) {
    const path = `odd/${name}`
    assert.equal(got[index].result?.toString(), name, `${name}: ${got[index].error}`)
    assert.equal((await fs.downloadFile(path)).toString(), name)
    assert.equal((await fs.getFileDetails(path)).name, name)
    await fs.moveFiles(path, 'odd/moved')
    await fs.moveFiles('odd/moved', path)
    await fs.setFilePermissions(path, { mode: '0640' })
    await fs.deleteFile(path)
  }
  assert.deepEqual(await fs.listFiles('odd'), [])
})

test('files go in from memory, disk and streams and come out to memory and disk', async () => {
  const content = randomBytes(3_000_000)
  const from = join(local, 'from')
  writeFileSync(from, content)
  await fs.uploadFile(content, 'ways/memory')
  await fs.uploadFile(from, 'ways/disk')
  let sent = 0
  await fs.uploadFileStream(Readable.from([content.subarray(0, 1), content.subarray(1)]), 'ways/stream', {
    onProgress: ({ bytesSent }) => (sent = bytesSent),
  })
  assert.equal(sent, content.length)
  for (const name of ['memory', 'disk', 'stream']) {
    assert.ok(content.equals(await fs.downloadFile(`ways/${name}`)), name)
    const to = join(local, name)
    await fs.downloadFile(`ways/${name}`, to)
    assert.ok(content.equals(readFileSync(to)), name)
  }
  const totals = new Set()
  const stream = await fs.downloadFileStream('ways/stream', { onProgress: ({ totalBytes }) => totals.add(totalBytes) })
  assert.ok(content.equals(await bytesOf(stream)))
  assert.deepEqual([...totals], [content.length])
  await fs.uploadFile(Buffer.alloc(0), 'ways/empty')
  assert.equal((await fs.getFileDetails('ways/empty')).size, 0)
})

test('a large file streams through', async () => {
  const hash = createHash('sha256')
  const pieces = function* () {
    for (let count = 0; count < 32; count++) {
      const piece = randomBytes(1 << 20)
      hash.update(piece)
      yield piece
    }
  }
  await fs.uploadFileStream(Readable.from(pieces()), 'large')
  const wanted = hash.digest('hex')
  assert.equal((await sandbox.process.executeCommand('sha256sum < large')).result.split(' ')[0], wanted)
  const back = createHash('sha256')
  for await (const piece of await fs.downloadFileStream('large')) back.update(piece)
  assert.equal(back.digest('hex'), wanted)
})

test('an upload that is given up leaves the old file', async () => {
  await fs.uploadFile(Buffer.from('old'), 'kept')
  const controller = new AbortController()
  const endless = function* () {
    for (;;) yield Buffer.alloc(1 << 20)
  }
  const onProgress = ({ bytesSent }) => bytesSent > 4 << 20 && controller.abort()
  await assert.rejects(fs.uploadFileStream(Readable.from(endless()), 'kept', { signal: controller.signal, onProgress }))
  assert.equal((await fs.downloadFile('kept')).toString(), 'old')
  assert.deepEqual((await fs.listFiles('.')).filter((info) => info.name.includes('pitlane')), [])
})

test('folders are listed in order, as deep as asked, and removed on purpose only', async () => {
  await fs.createFolder('tree/b/c', '750')
  await fs.uploadFile(Buffer.from('1234'), 'tree/.hidden')
  await fs.uploadFile(Buffer.from('a needle\n'), 'tree/b/x.txt')
  assert.deepEqual((await fs.listFiles('tree')).map((info) => info.name), ['.hidden', 'b'])
  const deep = await fs.listFiles('tree', { depth: 2 })
  assert.deepEqual(deep.map((info) => info.path.split('/tree/')[1]), ['.hidden', 'b', 'b/c', 'b/x.txt'])
  const info = await fs.getFileDetails('~/tree/.hidden')
  assert.deepEqual(
    [info.name, info.size, info.mode, info.isDir, info.owner, info.group, info.permissions],
    ['.hidden', 4, '-rw-r--r--', false, '1000', '1000', '0644'],
  )
  assert.match(info.modTime, / \+0000 UTC$/)
  assert.ok(!Number.isNaN(Date.parse(info.modifiedAt)))
  assert.equal((await fs.getFileDetails('tree/b/c')).permissions, '0750')
  assert.deepEqual((await fs.findFiles('tree', 'needle')).map(({ line, content }) => [line, content]), [[1, 'a needle']])
  assert.equal((await fs.searchFiles('tree', '*.txt')).files.length, 1)
  const done = await fs.replaceInFiles(['tree/b/x.txt', 'tree/none'], 'needle', 'pin')
  assert.deepEqual(done.map(({ success }) => success), [true, false])
  assert.equal((await fs.downloadFile('tree/b/x.txt')).toString(), 'a pin\n')
  await assert.rejects(fs.deleteFile('tree'), DaytonaBadRequestError)
  await fs.deleteFile('tree', true)
  await assert.rejects(fs.listFiles('tree'), DaytonaFileNotFoundError)
})

test('errors are of the SDK’s own classes', async () => {
  await fs.uploadFile(Buffer.from('x'), 'errors/file')
  await fs.createFolder('errors/folder', '755')
  const cases = [
    [DaytonaFileNotFoundError, () => fs.getFileDetails('errors/none')],
    [DaytonaFileNotFoundError, () => fs.listFiles('errors/none')],
    [DaytonaFileNotFoundError, () => fs.deleteFile('errors/none')],
    [DaytonaFileNotFoundError, () => fs.moveFiles('errors/none', 'errors/new')],
    [DaytonaFileNotFoundError, () => fs.findFiles('errors/none', 'x')],
    [DaytonaFileNotFoundError, () => fs.searchFiles('errors/none', 'x')],
    [DaytonaFileNotFoundError, () => fs.setFilePermissions('errors/none', { mode: '600' })],
    [DaytonaFileNotFoundError, () => fs.downloadFile('errors/none')],
    [DaytonaFileNotFoundError, () => fs.downloadFileStream('errors/none')],
    [DaytonaFileAccessDeniedError, () => fs.downloadFile('/etc/shadow')],
    [DaytonaFileAccessDeniedError, () => fs.deleteFile('/etc/passwd')],
    [DaytonaFileAccessDeniedError, () => fs.createFolder('/etc/new', '755')],
    [DaytonaFileAccessDeniedError, () => fs.setFilePermissions('errors/file', { owner: 'root' })],
    [DaytonaInvalidFilePathError, () => fs.downloadFile('errors/folder')],
    [DaytonaInvalidFilePathError, () => fs.downloadFile('/dev/zero')],
    [DaytonaInvalidFilePathError, () => fs.listFiles('errors/file')],
    [DaytonaInvalidFilePathError, () => fs.moveFiles('errors', 'errors/folder/inner')],
    [DaytonaBadRequestError, () => fs.createFolder('errors/new', '9')],
    [DaytonaConflictError, () => fs.moveFiles('errors/file', 'errors/folder')],
  ]
  for (const [error, use] of cases) {
    await assert.rejects(use, (caught) => {
      assert.ok(caught instanceof error, `${use}: ${caught.constructor.name}: ${caught.message}`)
      assert.equal(caught.source, 'DAYTONA_DAEMON', String(use))
      return true
    })
  }
  const uploads = [
    { source: Buffer.from('1'), destination: 'errors/good' },
    { source: Buffer.from('2'), destination: '/etc/bad' },
  ]
  await assert.rejects(fs.uploadFiles(uploads), DaytonaError)
  assert.equal((await fs.downloadFile('errors/good')).toString(), '1')
})
