// Language servers and what a sandbox says of itself, by the official TypeScript SDK against a real server.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Daytona, DaytonaError } from '@daytonaio/sdk'

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

const sources = {
  python: ['a.py', 'class Greeter:\n    def greet(self):\n        pass\n\nGreeter().gr\n', 4, 12, 'greet'],
  typescript: ['a.ts', 'class Greeter { greet() {} }\nnew Greeter().gr\n', 1, 16, 'greet'],
  javascript: ['a.js', 'class Greeter { greet() {} }\nnew Greeter().gr\n', 1, 16, 'greet'],
}

for (const [language, [file, text, line, character, wanted]] of Object.entries(sources)) {
  test(`${language} is completed and its symbols are found`, async () => {
    const path = `/home/daytona/${language}/${file}`
    await sandbox.fs.uploadFile(Buffer.from(text), path)
    const lsp = await sandbox.createLspServer(language, `/home/daytona/${language}`)
    await lsp.start()
    await lsp.didOpen(path)
    const { items } = await lsp.completions(path, { line, character })
    assert.ok(items.some((item) => (item.insertText ?? item.label) === wanted), JSON.stringify(items))
    const symbols = await lsp.documentSymbols(path)
    assert.deepEqual(new Set(symbols.map((symbol) => symbol.name)), new Set(['Greeter', 'greet']))
    assert.equal(symbols[0].location.uri, `file://${path}`)
    const found = await lsp.sandboxSymbols('Greeter')
    assert.ok(found.some((symbol) => symbol.name === 'Greeter'), JSON.stringify(found))
    await lsp.didClose(path)
    await lsp.stop()
    await assert.rejects(lsp.stop(), (error) => error instanceof DaytonaError && error.statusCode === 400)
  })
}

test('variables of later commands are changed, and folders told', async () => {
  await sandbox.updateEnv({ NEW: 'grün', GOES: '1' })
  await sandbox.updateEnv({}, { unset: ['GOES'] })
  const { result } = await sandbox.process.executeCommand('echo "$NEW|$GOES"')
  assert.equal(result, 'grün|\n')
  assert.equal(await sandbox.getUserHomeDir(), '/home/daytona')
  assert.equal(await sandbox.getWorkDir(), '/home/daytona')
})

test('a sandbox tells what it uses', async () => {
  const metrics = await sandbox.getMetricsLatest()
  assert.equal(metrics.cpuCount, 1)
  assert.equal(metrics.memTotal, 1 << 30)
  assert.ok(metrics.diskUsed > 0 && metrics.diskUsed < metrics.diskTotal, JSON.stringify(metrics))
  assert.ok(metrics.cpuUsedPct >= 0 && metrics.cpuUsedPct <= 100, JSON.stringify(metrics))
})
