// Registries with passwords, through the official TypeScript client of the API.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { Configuration, DockerRegistryApi } from '@daytona/api-client'

import { Server } from '../server.mjs'

const NOBODY = '00000000-0000-4000-8000-000000000000'
const PASSWORD = 'a-password-like-no-other'
const wish = { name: 'ours', url: 'https://ghcr.io', username: 'robot', password: PASSWORD, project: 'team' }

let server, registries

before(async () => {
  server = await Server.start()
  registries = new DockerRegistryApi(new Configuration({ basePath: server.url, accessToken: server.key }))
})

after(async () => {
  await server?.stop()
})

async function refused(call, status, words) {
  await assert.rejects(call, (error) => {
    assert.equal(error.response?.status, status, error.message)
    assert.match(error.response.data.message, words)
    assert.ok(!JSON.stringify(error.response.data).includes(PASSWORD))
    return true
  })
}

test('a registry is added, listed, read, changed and removed, and its password is never told', async () => {
  const made = await registries.createRegistry(wish)
  assert.equal(made.status, 201)
  const { id, ...shown } = made.data
  const { password: _, ...said } = wish
  assert.deepEqual(shown, {
    ...said,
    registryType: 'organization',
    createdAt: shown.createdAt,
    updatedAt: shown.updatedAt,
  })
  assert.deepEqual((await registries.listRegistries()).data, [made.data])
  assert.deepEqual((await registries.getRegistry(id)).data, made.data)
  const change = { name: 'renamed', url: 'ghcr.io', username: 'robot' }
  const changed = await registries.updateRegistry(id, change)
  assert.deepEqual([changed.data.name, changed.data.project], ['renamed', 'team'])
  await refused(registries.updateRegistry(id, { ...change, url: 'quay.io' }), 400, /password has to be given again/)
  assert.equal((await registries.deleteRegistry(id)).status, 204)
  assert.deepEqual((await registries.listRegistries()).data, [])
})

test('what is no registry, or not there, is refused with a reason', async () => {
  const { data } = await registries.createRegistry(wish)
  await refused(registries.createRegistry(wish), 409, /already exists/)
  await registries.deleteRegistry(data.id)
  await refused(registries.createRegistry({ ...wish, url: 'https://127.0.0.1:5000' }), 400, /is not public/)
  await refused(registries.createRegistry({ ...wish, url: 'http://ghcr.io' }), 400, /without encryption/)
  await refused(registries.createRegistry({ ...wish, username: 'a:b' }), 400, /username/)
  await refused(registries.getRegistry(NOBODY), 404, /not found/)
  await refused(registries.deleteRegistry(NOBODY), 404, /not found/)
  await refused(registries.updateRegistry(NOBODY, wish), 404, /not found/)
  await refused(registries.getTransientPushAccess(), 501, /no registry to push images into/)
})
