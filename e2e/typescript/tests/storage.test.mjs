// Local files and folders of the official TypeScript SDK: uploaded, once, and found in what is built of them.

import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { Daytona, Image } from '@daytonaio/sdk'

import { Server } from '../server.mjs'

let server, daytona, folder

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  folder = mkdtempSync(join(tmpdir(), 'pitlane-context-'))
})

after(async () => {
  await daytona?.[Symbol.asyncDispose]()
  await server?.stop()
  if (folder) rmSync(folder, { recursive: true, force: true })
})

/** The contexts that the server has. */
function kept() {
  const contexts = join(server.state, 'state/contexts')
  const files = readdirSync(contexts, { recursive: true, withFileTypes: true })
  return files.filter((file) => file.isFile()).map((file) => file.name).sort()
}

test('local files of any size are uploaded once and are in the image', async () => {
  const large = randomBytes(12 << 20)
  mkdirSync(join(folder, 'tree/below'), { recursive: true })
  writeFileSync(join(folder, 'small'), 'small')
  writeFileSync(join(folder, 'tree/below/large'), large)
  const image = () =>
    Image.base('default').addLocalFile(join(folder, 'small'), '/small').addLocalDir(join(folder, 'tree'), '/tree')
  const first = await daytona.create({ image: image() }, { timeout: 120 })
  try {
    const seen = await first.process.executeCommand('cat /small; sha256sum < /tree/below/large')
    assert.equal(seen.result, `small${createHash('sha256').update(large).digest('hex')}  -\n`)
  } finally {
    await first.delete()
  }
  const uploaded = kept()
  assert.equal(uploaded.length, 2)
  const second = await daytona.create({ image: image() }, { timeout: 120 })
  await second.delete()
  assert.deepEqual(kept(), uploaded)
})
