// Every git operation of the official TypeScript SDK, with a git server inside the sandbox.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import {
  Daytona,
  DaytonaBadRequestError,
  DaytonaConflictError,
  DaytonaGitAuthFailedError,
  DaytonaGitBranchExistsError,
  DaytonaGitBranchNotFoundError,
  DaytonaGitMergeConflictError,
  DaytonaGitPushRejectedError,
  DaytonaGitRepoNotFoundError,
} from '@daytonaio/sdk'

import { Server } from '../server.mjs'

const script = fileURLToPath(new URL('../../git_server.py', import.meta.url))
const alice = ['alice', 'pa ss:wörd%']
const who = ['Ann', 'ann@example.org']
const identity = '-c user.name=t -c user.email=t'
let server, daytona, sandbox, git, url

async function sh(command) {
  const ran = await sandbox.process.executeCommand(command)
  assert.equal(ran.exitCode, 0, `${command}: ${ran.result}`)
  return ran.result
}

before(async () => {
  server = await Server.start()
  daytona = new Daytona({ apiKey: server.key, apiUrl: server.url })
  sandbox = await daytona.create()
  git = sandbox.git
  await sandbox.fs.uploadFile(readFileSync(script), 'git_server.py')
  await sh(`mkdir served && cd served && git init -q -b main seed && cd seed && echo 1 > file && git add . &&
    git ${identity} commit -qm first && cd .. && git clone -q --bare seed public/a.git && git clone -q --bare seed private/a.git`)
  await sh('mkfifo port; nohup python3 git_server.py served > port 2>server.log &')
  url = `http://127.0.0.1:${(await sh('head -n 1 port')).trim()}`
})

after(async () => {
  await sandbox?.delete()
  await daytona?.[Symbol.asyncDispose]()
  await server?.stop()
})

test('a repository from its beginning', async () => {
  await git.init('new', false, 'trunk')
  await sandbox.fs.uploadFile(Buffer.from('one'), 'new/ünï "x"')
  const [file] = (await git.status('new')).fileStatus
  assert.deepEqual([file.name, file.staging, file.worktree], ['ünï "x"', 'Untracked', 'Untracked'])
  await git.add('new', ['.'])
  const { sha } = await git.commit('new', 'first', ...who)
  assert.equal((await sh('git -C new rev-parse HEAD')).trim(), sha)
  await assert.rejects(git.commit('new', 'again', ...who), DaytonaBadRequestError)
  await git.commit('new', 'again', ...who, true)
  await sandbox.fs.uploadFile(Buffer.from('two'), 'new/ünï "x"')
  await git.restore('new', ['ünï "x"'])
  await git.reset('new', 'hard', 'HEAD~1')
  const status = await git.status('new')
  assert.deepEqual([status.currentBranch, status.detached, status.fileStatus], ['trunk', false, []])
})

test('branches, remotes and settings', async () => {
  await git.clone(`${url}/public/a.git`, 'public')
  await git.createBranch('public', 'side')
  await assert.rejects(git.createBranch('public', 'main'), DaytonaGitBranchExistsError)
  assert.deepEqual((await git.branches('public')).branches, ['main', 'side'])
  await git.checkoutBranch('public', 'main')
  await git.deleteBranch('public', 'side')
  await assert.rejects(git.checkoutBranch('public', 'side'), DaytonaGitBranchNotFoundError)
  await git.remoteAdd('public', 'up', '/nowhere')
  await assert.rejects(git.remoteAdd('public', 'up', '/elsewhere'), DaytonaConflictError)
  assert.equal(await git.remoteGet('public', 'up'), '/nowhere')
  assert.equal((await git.remotes('public')).remotes.length, 2)
  await git.configureUser(...who)
  assert.equal(await git.getConfig('user.email'), 'ann@example.org')
  await git.setConfig('pitlane.some', 'x y')
  assert.equal(await git.getConfig('pitlane.some'), 'x y')
  await assert.rejects(git.status('nowhere'), DaytonaGitRepoNotFoundError)
})

test('pull and push with a password', async () => {
  await assert.rejects(git.clone(`${url}/private/a.git`, 'work'), DaytonaGitAuthFailedError)
  await git.clone(`${url}/private/a.git`, 'work', undefined, undefined, ...alice)
  await git.commit('work', 'mine', ...who, true)
  await assert.rejects(git.push('work'), DaytonaGitAuthFailedError)
  await git.push('work', ...alice)
  await sh(`cd served && git clone -q private/a.git w && cd w && echo theirs > file &&
    git ${identity} commit -qam theirs && git push -q`)
  await sandbox.fs.uploadFile(Buffer.from('mine\n'), 'work/file')
  await git.add('work', ['file'])
  await git.commit('work', 'mine', ...who)
  await assert.rejects(git.push('work', ...alice), DaytonaGitPushRejectedError)
  await assert.rejects(git.pull('work', ...alice), DaytonaGitMergeConflictError)
  assert.equal((await git.status('work')).fileStatus[0].staging, 'Updated but unmerged')
  assert.equal(await sh(`grep -rlaF '${alice[1]}' work ~/.git* || true`), '')
})

test('credentials that are to stay', async () => {
  await git.dangerouslyAuthenticate(...alice, new URL(url).host, 'http')
  await git.clone(`${url}/private/a.git`, 'kept')
})
