// Code with the official TypeScript SDK: results, exit codes, time limits, forked runs, charts.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Daytona } from '@daytonaio/sdk'

import { Server, deleteAll } from '../server.mjs'

let server, daytona, sandbox

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  sandbox = await daytona.create()
})

after(async () => {
  await deleteAll(daytona)
  await daytona[Symbol.asyncDispose]()
  await server.stop()
})

const told = (ran) => [ran.exitCode, ran.result]

test('later runs are the same as the first, and share nothing', async () => {
  const code = 'import os, sys\nprint(sys.argv, os.environ.get("A"), "x" in globals())\nx = 1\nsys.exit(3)'
  for (const [run, env] of [['1', 'a'], ['2', 'grün'], ['3', ''], ['4', '"']]) {
    const ran = await sandbox.process.codeRun(code, { argv: [run, 'b c'], env: { A: env } })
    assert.deepEqual(told(ran), [3, `['-', '${run}', 'b c'] ${env} False\n`])
  }
})

test('a fault names lines of the program alone', async () => {
  const ran = await sandbox.process.codeRun('def f():\n    1 / 0\nf()')
  assert.equal(ran.exitCode, 1)
  const lines = ran.result.split('\n').filter((line) => line.startsWith('  File'))
  assert.deepEqual(lines, ['  File "<stdin>", line 3, in <module>', '  File "<stdin>", line 2, in f'])
})

test('many runs at once do not mix', async () => {
  const runs = Array.from({ length: 24 }, (_, n) => sandbox.process.codeRun(`print(${n}); exit(${n})`))
  const wanted = Array.from({ length: 24 }, (_, n) => [n, `${n}\n`])
  assert.deepEqual((await Promise.all(runs)).map(told), wanted)
})

test('code that takes too long is ended', async () => {
  await assert.rejects(sandbox.process.codeRun('while True: pass', undefined, 1), /timeout/)
  assert.deepEqual(told(await sandbox.process.codeRun('print(1)')), [0, '1\n'])
})

test('what is drawn comes as charts', async () => {
  const code = [
    'import matplotlib.pyplot as plt',
    'plt.plot([1, 2], [3, 4], label="a"); plt.title("T"); plt.xlabel("X"); plt.ylabel("Y"); plt.show()',
    'plt.bar(["p", "q"], [5, 6]); plt.show()',
    'print("done")',
  ].join('\n')
  const ran = await sandbox.process.codeRun(code)
  assert.deepEqual([ran.exitCode, ran.result, ran.artifacts.stdout], [0, 'done\n', 'done\n'])
  const [line, bars] = ran.artifacts.charts
  assert.deepEqual([line.type, line.title, line.x_label, line.y_label], ['line', 'T', 'X', 'Y'])
  assert.deepEqual(line.elements, [{ label: 'a', points: [[1, 3], [2, 4]] }])
  assert.equal(Buffer.from(line.png, 'base64').subarray(1, 4).toString(), 'PNG')
  assert.equal(bars.type, 'bar')
  assert.deepEqual(bars.elements.map((bar) => [bar.label, bar.value]), [['p', '5'], ['q', '6']])
})

test('code without figures has no charts', async () => {
  assert.deepEqual((await sandbox.process.codeRun('print(1)')).artifacts, { stdout: '1\n', charts: [] })
})

for (const language of ['javascript', 'typescript']) {
  test(`${language} gets arguments and variables and gives its exit code`, async () => {
    const made = await daytona.create({ language })
    try {
      const kind = language === 'typescript' ? ': number' : ''
      const code = `const n${kind} = 7; console.log(process.argv.slice(2), process.env.A); process.exit(n)`
      const ran = await made.process.codeRun(code, { argv: ['a b'], env: { A: 'grün' } })
      assert.deepEqual(told(ran), [7, "[ 'a b' ] grün\n"])
    } finally {
      await made.delete()
    }
  })
}
