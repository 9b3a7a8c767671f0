// Signed addresses of files, with the official TypeScript SDK and plain fetch.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Daytona } from '@daytonaio/sdk'

import { Server } from '../server.mjs'

let server, daytona, sandbox

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  sandbox = await daytona.create()
})

after(async () => {
  await sandbox?.delete()
  await daytona?.[Symbol.asyncDispose]()
  await server?.stop()
})

async function upload(url, contents) {
  const form = new FormData()
  form.append('file', new Blob([contents]), 'local.txt')
  return await fetch(url, { method: 'POST', body: form })
}

test('a file goes up and down with its addresses alone', async () => {
  for (const path of ['plain.txt', '/tmp/ü + plus & more=1?#.txt', 'folder/a%20b.txt']) {
    const answer = await upload(await sandbox.uploadUrl(path), `contents of ${path}`)
    assert.deepEqual(await answer.json(), { name: path.split('/').at(-1), path, type: 'file' })
    const got = await fetch(await sandbox.downloadUrl(path))
    assert.equal(await got.text(), `contents of ${path}`)
    assert.equal((await sandbox.fs.downloadFile(path)).toString(), `contents of ${path}`)
  }
})

test('what was signed before a rotation, for something else or for a time that is over is refused', async () => {
  await sandbox.fs.uploadFile(Buffer.from('x'), 'file.txt')
  const [download, put] = [await sandbox.downloadUrl('file.txt'), await sandbox.uploadUrl('file.txt')]
  const refused = async url => assert.equal((await fetch(url)).status, 401)
  await refused(download.replace('file.txt', 'other.txt'))
  await refused(put)
  const brief = await sandbox.downloadUrl('file.txt', 1)
  const over = Number(new URL(brief).searchParams.get('expires')) * 1000
  await new Promise(done => setTimeout(done, Math.max(0, over - Date.now()) + 10))
  await refused(brief)
  assert.equal(await (await fetch(download)).text(), 'x')
  await sandbox.rotateSigningKey()
  await refused(download)
  assert.equal((await upload(put, 'y')).status, 401)
  assert.equal(await (await fetch(await sandbox.downloadUrl('file.txt', 0))).text(), 'x')
})
