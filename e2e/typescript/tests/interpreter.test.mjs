// Interpreters through the official TypeScript SDK.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Daytona, DaytonaBadRequestError, DaytonaConnectionError, DaytonaNotFoundError, DaytonaTimeoutError } from '@daytonaio/sdk'

import { Server } from '../server.mjs'

let server, daytona, sandbox, interpreter

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  sandbox = await daytona.create()
  interpreter = sandbox.codeInterpreter
})

after(async () => {
  await sandbox?.delete()
  await daytona?.[Symbol.asyncDispose]()
  await server?.stop()
})

test('the default context keeps its state and tells what it prints', async () => {
  const heard = []
  assert.deepEqual(await interpreter.runCode('x = 41'), { stdout: '', stderr: '' })
  const onStdout = ({ output }) => heard.push(['out', output])
  const onStderr = ({ output }) => heard.push(['err', output])
  const code = 'import sys, time\nprint(x + 1)\ntime.sleep(0.2)\nprint("bad", file=sys.stderr)'
  assert.deepEqual(await interpreter.runCode(code, { onStdout, onStderr }), { stdout: '42\n', stderr: 'bad\n' })
  assert.deepEqual(heard, [['out', '42\n'], ['err', 'bad\n']])
  assert.deepEqual(await interpreter.listContexts(), [])
})

test('contexts are made, listed, used and deleted', async () => {
  const [first, second] = [await interpreter.createContext(), await interpreter.createContext('/tmp')]
  assert.deepEqual([second.cwd, second.language, second.active], ['/tmp', 'python', true])
  assert.deepEqual(await interpreter.listContexts(), [first, second])
  await interpreter.runCode('y = 1', { context: first })
  const code = 'import os; print(os.getcwd(), "y" in globals())'
  assert.equal((await interpreter.runCode(code, { context: second })).stdout, '/tmp False\n')
  await interpreter.deleteContext(first)
  assert.deepEqual(await interpreter.listContexts(), [second])
  await assert.rejects(interpreter.deleteContext(first), DaytonaNotFoundError)
  await assert.rejects(interpreter.runCode('1', { context: first }), (error) => {
    assert(error instanceof DaytonaConnectionError)
    assert.match(error.message, /there is no interpreter context .*1008/)
    return true
  })
  await assert.rejects(interpreter.createContext('/no/such'), DaytonaBadRequestError)
  await interpreter.deleteContext(second)
})

test('an error has name, value and traceback', async () => {
  const errors = []
  const result = await interpreter.runCode('print(1)\nraise ValueError("grün")', { onError: (error) => errors.push(error) })
  assert.deepEqual([result.stdout, result.error.name, result.error.value], ['1\n', 'ValueError', 'grün'])
  assert.match(result.error.traceback, /^Traceback \(most recent call last\):\n {2}File "<stdin>", line 2, in <module>\n {4}raise ValueError/)
  assert.deepEqual(errors, [result.error])
  const died = await interpreter.runCode('import os; os._exit(3)')
  assert.equal(died.error.name, 'InterpreterDied')
  const next = await interpreter.runCode('print("x" in globals())')
  assert.equal(next.stdout, 'False\n')
  assert.match(next.stderr, /its state is lost: its process ended with exit code 3/)
})

test('a timeout is an error of its own and keeps the state', async () => {
  await assert.rejects(interpreter.runCode('z = 3\nimport time\ntime.sleep(1000)', { timeout: 1 }), DaytonaTimeoutError)
  const result = await interpreter.runCode('import os; print(z, os.environ["E"])', { envs: { E: '1' }, timeout: 0 })
  assert.deepEqual(result, { stdout: '3 1\n', stderr: '' })
  await assert.rejects(interpreter.runCode('1', { timeout: -1 }), /must not be negative/)
})

test('long lines and characters of any kind arrive whole', async () => {
  assert.equal((await interpreter.runCode('print("🦀" * 100_000, end="")')).stdout, '🦀'.repeat(100_000))
  assert.equal((await interpreter.runCode('print("x" * (10 << 20))')).stdout.length, (10 << 20) + 1)
})
