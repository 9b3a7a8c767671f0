// A Pitlane server of the tests' own: real binary, real sandboxes, a state folder that goes away with it.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { DaytonaNotFoundError } from '@daytonaio/sdk'

const root = fileURLToPath(new URL('../../', import.meta.url))
const startMilliseconds = 600_000 // The first start on a machine bootstraps the default image.

export class Server {
  /** Starts one, with more arguments than the usual ones. */
  static async start(...more) {
    if (process.geteuid() !== 0) throw new Error('these tests make real sandboxes: run them as root')
    const binary = process.env.PITLANE_BIN ?? join(root, 'target/debug/pitlane')
    if (!existsSync(binary)) throw new Error(`no server at ${binary}: run cargo build -p pitlane or set PITLANE_BIN`)
    const server = new Server()
    server.state = mkdtempSync(join(tmpdir(), 'pitlane-e2e-'))
    server.logPath = join(server.state, 'server.log')
    const args = ['serve', '--state', join(server.state, 'state'), '--listen', '127.0.0.1:0', '--json']
    args.push('--run-dir', join(server.state, 'run'))
    // A binary that was named has its daemon inside, or the daemon is named as well.
    const beside = join(root, 'target/x86_64-unknown-linux-musl/debug/pitlane-daemon')
    const daemon = process.env.PITLANE_DAEMON ?? (process.env.PITLANE_BIN ? undefined : beside)
    if (daemon) args.push('--daemon', daemon)
    args.push('--image-cache', process.env.PITLANE_IMAGE_CACHE ?? join(root, '.cache/images'), ...more)
    server.process = spawn(binary, args, { stdio: ['ignore', 'pipe', openSync(server.logPath, 'w')] })
    const late = setTimeout(() => server.process.kill('SIGKILL'), startMilliseconds)
    let ready
    for await (const line of createInterface({ input: server.process.stdout })) {
      ready = JSON.parse(line)
      break
    }
    clearTimeout(late)
    if (!ready) throw new Error(`the server did not get ready:\n${server.log()}`)
    server.url = ready.url
    server.key = ready.key ?? readFileSync(ready.key_file, 'utf8').trim()
    return server
  }

  log() {
    return readFileSync(this.logPath, 'utf8')
  }

  async stop() {
    if (this.process.exitCode === null) {
      const late = setTimeout(() => this.process.kill('SIGKILL'), 30_000)
      this.process.kill('SIGTERM')
      await once(this.process, 'exit')
      clearTimeout(late)
    }
    if (this.process.exitCode !== 0) throw new Error(`the server ended with ${this.process.exitCode}:\n${this.log()}`)
    rmSync(this.state, { recursive: true, force: true })
  }
}

/** Deletes all sandboxes. Some may be on their way out already. */
export async function deleteAll(daytona) {
  for await (const sandbox of daytona.list()) {
    await sandbox.delete().catch((error) => {
      if (!(error instanceof DaytonaNotFoundError)) throw error
    })
  }
}
