// Ports inside sandboxes, with the official TypeScript SDK.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'

import { Daytona, DaytonaBadRequestError, DaytonaNotFoundError } from '@daytonaio/sdk'
import { WebSocket } from 'ws'

import { Server } from '../server.mjs'

const application = readFileSync(new URL('../../application.py', import.meta.url))

let server, daytona, sandbox, preview, headers

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  sandbox = await daytona.create()
  await sandbox.fs.uploadFile(application, 'application.py')
  const command = 'setsid python3 application.py 3000 127.0.0.1 >/dev/null 2>&1 </dev/null & echo ok'
  assert.equal((await sandbox.process.executeCommand(command)).exitCode, 0)
  preview = await sandbox.getPreviewLink(3000)
  headers = { 'x-daytona-preview-token': preview.token }
  const deadline = Date.now() + 30_000
  while ((await fetch(preview.url, { headers })).status !== 200) assert.ok(Date.now() < deadline, 'no application')
})

after(async () => {
  await sandbox?.delete()
  await daytona?.[Symbol.asyncDispose]()
  await server?.stop()
})

test('an application is reached with its token and without one it is not', async () => {
  assert.equal(preview.sandboxId, sandbox.id)
  const seen = await (await fetch(`${preview.url}/a%2Fb?c=%20`, { headers })).json()
  assert.equal(seen.target, '/a%2Fb?c=%20')
  assert.equal(seen.headers['x-daytona-preview-token'], undefined)
  for (const wrong of [{}, { 'x-daytona-preview-token': 'wrong' }]) {
    const refused = await fetch(preview.url, { headers: wrong })
    assert.equal(refused.status, 401)
    assert.equal((await refused.json()).statusCode, 401)
  }
})

test('a signed address works until it is revoked', async () => {
  const signed = await sandbox.getSignedPreviewUrl(3000, 600)
  assert.equal(signed.port, 3000)
  assert.equal((await (await fetch(signed.url)).json()).target, '/')
  await sandbox.expireSignedPreviewUrl(3000, signed.token)
  assert.equal((await fetch(signed.url)).status, 401)
  await assert.rejects(sandbox.expireSignedPreviewUrl(3000, signed.token), DaytonaNotFoundError)
  await assert.rejects(sandbox.getSignedPreviewUrl(3000, 100_000), DaytonaBadRequestError)
})

test('events come as they are said', async () => {
  const answer = await fetch(`${preview.url}/events`, { headers })
  assert.equal(answer.headers.get('content-type'), 'text/event-stream')
  const events = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  for (const number of [0, 1, 2]) {
    assert.equal((await events.read()).value, `data: ${number}\n\n`)
    await fetch(`${preview.url}/go/${number}`, { headers })
  }
  assert.equal((await events.read()).done, true)
})

test('a WebSocket gives back what it gets', async () => {
  // Browsers cannot send the header, so the token is in the address.
  const address = `${preview.url.replace('http', 'ws')}/socket?DAYTONA_SANDBOX_AUTH_KEY=${preview.token}`
  const socket = new WebSocket(address)
  const next = (kind) => new Promise((resolve, reject) => {
    socket.addEventListener(kind, resolve, { once: true })
    if (kind !== 'close') socket.addEventListener('error', reject, { once: true })
  })
  await next('open')
  for (const text of ['hello', 'grün']) {
    const answer = next('message')
    socket.send(text)
    assert.equal((await answer).data, text)
  }
  const closed = next('close')
  socket.close()
  await closed
})
