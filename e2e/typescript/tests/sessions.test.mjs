// The sessions of the official TypeScript SDK against a real server.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Daytona, DaytonaConflictError, DaytonaError, DaytonaNotFoundError } from '@daytonaio/sdk'

import { Server } from '../server.mjs'

let server, daytona, sandbox, shell

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  sandbox = await daytona.create()
  shell = sandbox.process
})

after(async () => {
  await sandbox?.delete()
  await daytona?.[Symbol.asyncDispose]()
  await server?.stop()
})

async function follow(session, command) {
  const outputs = ['', '']
  await shell.getSessionCommandLogs(
    session,
    command,
    (text) => (outputs[0] += text),
    (text) => (outputs[1] += text),
  )
  return outputs
}

test('a session keeps its state, is listed and deleted', async () => {
  await shell.createSession('keeps')
  await assert.rejects(shell.createSession('keeps'), DaytonaConflictError)
  await shell.executeSessionCommand('keeps', { command: "cd /usr; X=5; f() { echo f$X; }; alias up='echo alias'" })
  const ran = await shell.executeSessionCommand('keeps', { command: 'pwd; f; up; echo oops >&2; (exit 9)' })
  assert.deepEqual([ran.exitCode, ran.stdout, ran.stderr], [9, '/usr\nf5\nalias\n', 'oops\n'])
  const session = await shell.getSession('keeps')
  assert.deepEqual(
    session.commands.map((command) => command.exitCode),
    [0, 9],
  )
  assert.ok((await shell.listSessions()).some((listed) => listed.sessionId === 'keeps'))
  await shell.deleteSession('keeps')
  await assert.rejects(shell.getSession('keeps'), DaytonaNotFoundError)
  await assert.rejects(shell.executeSessionCommand('keeps', { command: 'true' }), DaytonaNotFoundError)
})

test('exit ends a session, and later commands say so', async () => {
  await shell.createSession('ends')
  const ran = await shell.executeSessionCommand('ends', { command: 'echo last; exit 3' })
  assert.deepEqual([ran.exitCode, ran.stdout], [3, 'last\n'])
  await assert.rejects(shell.executeSessionCommand('ends', { command: 'true' }), (error) => {
    assert.ok(error instanceof DaytonaError)
    assert.match(error.message, /the session has ended: its shell exited with 3/)
    return true
  })
  await shell.deleteSession('ends')
})

test('outputs of all kinds', async () => {
  await shell.createSession('outputs')
  const run = (command) => shell.executeSessionCommand('outputs', { command })
  const nothing = await run('true')
  assert.deepEqual([nothing.exitCode, nothing.stdout, nothing.stderr, nothing.output], [0, '', '', ''])
  const binary = await run("printf 'no newline'; printf '\\xff\\x00\\xc3' >&2")
  assert.deepEqual([binary.stdout, binary.stderr], ['no newline', '\ufffd\0\ufffd'])
  const size = 10 << 20
  const long = await run(`head -c ${size} /dev/zero | tr '\\0' a`)
  assert.equal(long.stdout, 'a'.repeat(size))
  const killed = await run("sh -c 'kill -KILL $$'")
  assert.equal(killed.exitCode, 137)
  await shell.deleteSession('outputs')
})

test('an asynchronous command takes input and is followed to its end', async () => {
  await shell.createSession('asks')
  const script = 'read a; printf "got %s " "$a"; echo err >&2; read b; printf "\\xe2\\x82"; sleep 0.1; printf "\\xac"'
  const { cmdId } = await shell.executeSessionCommand('asks', {
    command: script,
    runAsync: true,
    suppressInputEcho: true,
  })
  assert.equal((await shell.getSessionCommand('asks', cmdId)).exitCode, undefined)
  const following = [follow('asks', cmdId), follow('asks', cmdId)]
  await shell.sendSessionCommandInput('asks', cmdId, 'ü')
  await shell.sendSessionCommandInput('asks', cmdId, 'x')
  const wanted = ['got ü €', 'err\n']
  assert.deepEqual(await Promise.all(following), [wanted, wanted])
  assert.equal((await shell.getSessionCommand('asks', cmdId)).exitCode, 0)
  assert.deepEqual(await follow('asks', cmdId), wanted)
  const logs = await shell.getSessionCommandLogs('asks', cmdId)
  assert.deepEqual([logs.stdout, logs.stderr], wanted)
  await assert.rejects(shell.sendSessionCommandInput('asks', cmdId, 'late'), /has ended/)
  await shell.deleteSession('asks')
})

test('background jobs hold up nothing and end with the session', async () => {
  await shell.createSession('background')
  const begun = Date.now()
  await shell.executeSessionCommand('background', { command: 'sleep 4721 & setsid sleep 4722 & true' })
  assert.ok(Date.now() - begun < 10_000)
  assert.equal((await shell.executeCommand("pgrep -fc '[s]leep 472[12]'")).result, '2\n')
  await shell.deleteSession('background')
  assert.equal((await shell.executeCommand("pgrep -fc '[s]leep 472[12]'")).result, '0\n')
})

test('an image without a program has an empty entrypoint', async () => {
  const session = await shell.getEntrypointSession()
  assert.deepEqual([session.sessionId, session.commands], ['entrypoint', []])
  const logs = await shell.getEntrypointLogs()
  assert.deepEqual([logs.output, logs.stdout, logs.stderr], ['', '', ''])
  let said = ''
  await shell.getEntrypointLogs(
    (text) => (said += text),
    (text) => (said += text),
  )
  assert.equal(said, '')
})
