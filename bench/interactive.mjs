// Time to interactive through the official SDK, in three modes: answers each line of standard input with one.
//
//     node interactive.mjs URL real|fake            the key is in DAYTONA_API_KEY
//     {"mode":"burst","count":100}                  → {"total":[…],"create":[…],"failures":[…],"seconds":4.7}
//     {"mode":"sequential","count":1,"bare":true}   before each command → {"bare":"probe"}, and waits for a line
//     node interactive.mjs --print-probe
//
// Nothing is warmed up and no sample is left out. A sandbox that fails in any step counts as a failure of its mode.

import { createRequire } from 'node:module'
import { performance } from 'node:perf_hooks'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'

const staggerMilliseconds = 200

// Tells sandboxes apart, and fails in one that was used before.
const probe = [
  'set -e',
  'first=/tmp/.bench_ephemeral_check second=/var/tmp/.bench_ephemeral_check',
  'for marker in "$first" "$second"; do if [ -e "$marker" ]; then echo "used before: $marker" >&2; exit 9; fi; done',
  'short() { sha256sum | cut -c 1-16 | tr -d "\\n"; }',
  'space() { readlink "/proc/self/ns/$1" | tr -dc 0-9; }',
  'mounts=$(space mnt) processes=$(space pid) names=$(space uts)',
  'groups=$(cat /proc/self/cgroup | short)',
  'boot=$(cat /proc/sys/kernel/random/boot_id | tr -d "\\n")',
  'first_process=$(cat /proc/1/comm /proc/1/stat 2>/dev/null | short)',
  'printf %s "$boot" > "$first"',
  'printf %s "$boot" > "$second"',
  'printf \'{"mnt":"%s","pid":"%s","uts":"%s","groups":"%s","boot":"%s","first":"%s"}\\n\' ' +
    '"$mounts" "$processes" "$names" "$groups" "$boot" "$first_process"',
].join('; ')

// A script for sh, whatever shell the sandbox's commands are read by: what is compared runs in the same one.
const probeCommand = `sh -c '${probe.replaceAll("'", `'\\''`)}'`

// What it takes to run the commands elsewhere is not part of it, unlike what that does to this process and the server,
// which come back to a processor that has done something else.
async function attempt(daytona, isReal, bare) {
  const started = performance.now()
  const sandbox = await daytona.create()
  try {
    const created = performance.now()
    let elsewhere = await bare('probe')
    const told = await run(sandbox, probeCommand)
    elsewhere += await bare('node')
    const version = await run(sandbox, 'node -v')
    const ended = performance.now() - elsewhere
    if (isReal && !/^v\d+\.\d+\.\d+\n?$/.test(version)) throw new Error(`node -v said ${version}`)
    const identity = isReal ? JSON.parse(told).mnt : undefined
    return { total: ended - started, create: created - started, identity }
  } finally {
    await sandbox.delete()
  }
}

async function run(sandbox, command) {
  const { exitCode, result } = await sandbox.process.executeCommand(command)
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${result}`)
  return result
}

const modes = {
  async sequential(count, start) {
    for (let number = 0; number < count; number++) await start()
  },
  async staggered(count, start) {
    const all = []
    for (let number = 0; number < count; number++) {
      all.push(start())
      await pause(staggerMilliseconds)
    }
    await Promise.all(all)
  },
  async burst(count, start) {
    await Promise.all(Array.from({ length: count }, start))
  },
}

async function measure(daytona, isReal, mode, count, bare) {
  const found = { total: [], create: [], failures: [], seconds: 0 }
  const began = performance.now()
  await mode(count, async () => {
    try {
      const { total, create } = await attempt(daytona, isReal, bare)
      found.total.push(total)
      found.create.push(create)
    } catch (error) {
      found.failures.push(String(error.message ?? error))
    }
  })
  found.seconds = (performance.now() - began) / 1000
  return found
}

async function main([first, kind]) {
  if (first === '--print-probe') {
    console.log(probe)
    return
  }
  const require = createRequire(new URL('../e2e/typescript/package.json', import.meta.url))
  const { Daytona } = require('@daytonaio/sdk')
  const daytona = new Daytona({ apiUrl: first, apiKey: process.env.DAYTONA_API_KEY })
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  const say = (answer) => process.stdout.write(`${JSON.stringify(answer)}\n`)
  const haveRun = async (command) => {
    const asked = performance.now()
    say({ bare: command })
    await lines.next()
    return performance.now() - asked
  }
  for (let line = await lines.next(); !line.done; line = await lines.next()) {
    const { mode, count, bare } = JSON.parse(line.value)
    say(await measure(daytona, kind === 'real', modes[mode], count, bare ? haveRun : () => 0))
  }
  await daytona[Symbol.asyncDispose]()
}

await main(process.argv.slice(2))
