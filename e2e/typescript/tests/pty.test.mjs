// Terminals, with the official TypeScript SDK, and as a browser opens them.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Daytona } from '@daytonaio/sdk'
import WebSocket from 'ws'

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

/// What a terminal showed so far, and a wait for something in it.
class Seen {
  text = ''
  #decoder = new TextDecoder()
  take = bytes => {
    this.text += this.#decoder.decode(bytes, { stream: true })
  }
  async shows(wanted) {
    const deadline = Date.now() + 30_000
    while (!this.text.includes(wanted)) {
      assert.ok(Date.now() < deadline, this.text)
      await new Promise(done => setTimeout(done, 10))
    }
  }
}

test('a terminal is made, typed into, resized, shared and ended', async () => {
  const seen = new Seen()
  const options = { id: 'ts', cwd: '/tmp', envs: { GIVEN: 'ü b' }, cols: 90, rows: 20, onData: seen.take }
  const terminal = await sandbox.process.createPty(options)
  await terminal.waitForConnection()
  await terminal.sendInput('echo "[$GIVEN|$PWD|$(stty size)]"\n')
  await seen.shows('[ü b|/tmp|20 90]')
  const info = await sandbox.process.getPtySessionInfo('ts')
  assert.deepEqual((await sandbox.process.listPtySessions()).map(session => session.id), ['ts'])
  assert.deepEqual([info.active, info.cols, info.rows, info.cwd], [true, 90, 20, '/tmp'])
  const resized = await terminal.resize(120, 30)
  assert.deepEqual([resized.cols, resized.rows], [120, 30])
  const also = new Seen()
  const other = await sandbox.process.connectPty('ts', { onData: also.take })
  await other.waitForConnection()
  await also.shows('[ü b|/tmp|20 90]')
  await other.sendInput('stty size; exit 5\n')
  await seen.shows('30 120')
  assert.deepEqual(await terminal.wait(), { exitCode: 5, error: 'non-zero exit' })
  assert.deepEqual(await other.wait(), { exitCode: 5, error: 'non-zero exit' })
  assert.deepEqual(await sandbox.process.listPtySessions(), [])
})

test('a terminal is killed, and its name is free again', async () => {
  const terminal = await sandbox.process.createPty({ id: 'killed', onData: () => {} })
  await assert.rejects(sandbox.process.createPty({ id: 'killed', onData: () => {} }))
  await terminal.kill()
  assert.deepEqual(await terminal.wait(), { exitCode: 137, error: 'SIGKILL' })
  await assert.rejects(sandbox.process.getPtySessionInfo('killed'), /not found/)
  await assert.rejects(sandbox.process.resizePtySession('killed', 10, 10), /not found/)
  await assert.rejects(sandbox.process.killPtySession('killed'), /not found/)
})

/// Opens a WebSocket of the toolbox as pages do, which can set no header.
async function open(path, token, protocols) {
  const base = (await daytona.get(sandbox.id)).toolboxProxyUrl.replace(/^http/, 'ws')
  const separator = path.includes('?') ? '&' : '?'
  const url = `${base}/${sandbox.id}${path}${separator}DAYTONA_SANDBOX_AUTH_KEY=${token}`
  const socket = new WebSocket(url, protocols)
  return await new Promise((opened, failed) => {
    socket.on('unexpected-response', (_request, answer) => failed(new Error(`${answer.statusCode}`)))
    socket.on('error', failed)
    socket.on('message', message => opened({ socket, message: message.toString() }))
  })
}

test('a browser opens a terminal with a token of its own, and with no other', async () => {
  const { token } = await sandbox.getPreviewLink(1)
  const version = 'X-Daytona-SDK-Version~0.218.0'
  const path = '/process/pty/create-connect?id=page'
  const { socket, message } = await open(path, token, [version, 'X-Daytona-Pty-Exit-Control'])
  assert.equal(message, '{"type":"control","status":"connected"}')
  assert.equal(socket.protocol, 'X-Daytona-Pty-Exit-Control')
  const second = await open('/process/pty/page/connect', token, [version])
  assert.equal(second.socket.protocol, version)
  const ended = new Promise(done => second.socket.on('close', (code, reason) => done([code, reason.toString()])))
  socket.send('exit 4\n')
  assert.deepEqual(await ended, [1011, '{"exitCode":4,"exitReason":"non-zero exit"}'])
  const other = (await sandbox.getPreviewLink(3000)).token
  for (const wrong of ['', 'x', other]) {
    await assert.rejects(open('/process/pty/create-connect?id=no', wrong, [version]), /401/)
  }
  const url = `${sandbox.toolboxProxyUrl}/${sandbox.id}/process/pty?DAYTONA_SANDBOX_AUTH_KEY=${token}`
  assert.equal((await fetch(url)).status, 401)
})

test("a public sandbox's terminals are nobody's without a token", async () => {
  const open = await daytona.create({ public: true })
  try {
    const base = open.toolboxProxyUrl.replace(/^http/, 'ws')
    for (const query of ['', '&DAYTONA_SANDBOX_AUTH_KEY=x']) {
      const socket = new WebSocket(`${base}/${open.id}/process/pty/create-connect?id=x${query}`)
      const status = await new Promise((answered, failed) => {
        socket.on('unexpected-response', (_request, answer) => answered(answer.statusCode))
        socket.on('open', () => failed(new Error('it was let in')))
      })
      assert.equal(status, 401)
    }
  } finally {
    await open.delete()
  }
})
