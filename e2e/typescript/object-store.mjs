// An S3 server for volumes: objects in memory, with the operations that volumes of small files need. It checks no signatures.

import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'

export const bucket = 'volumes'

const tag = (body) => `"${createHash('md5').update(body).digest('hex')}"`
const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;')

/** Started by `ObjectStore.start()`, stopped by `stop()`; `objects` are bytes by key. */
export class ObjectStore {
  static async start() {
    const store = new ObjectStore()
    store.objects = new Map()
    store.http = createServer((request, response) => store.answer(request, response))
    store.http.listen(0, '127.0.0.1')
    await once(store.http, 'listening')
    store.url = `http://127.0.0.1:${store.http.address().port}`
    return store
  }

  keys() {
    return [...this.objects.keys()].sort()
  }

  async stop() {
    this.http.close()
    this.http.closeAllConnections()
    await once(this.http, 'close')
  }

  async answer(request, response) {
    const pieces = []
    for await (const piece of request) pieces.push(piece)
    const address = new URL(request.url, this.url)
    const [, name, ...rest] = decodeURIComponent(address.pathname).split('/')
    const asked = { key: rest.join('/'), query: address.searchParams, headers: request.headers, body: Buffer.concat(pieces) }
    const operation = name === bucket ? this[request.method.toLowerCase()] : () => refused(404, 'NoSuchBucket')
    const { status = 200, headers = {}, body = '' } = operation.call(this, asked)
    response.writeHead(status, { 'Content-Length': Buffer.byteLength(body), ...headers })
    response.end(request.method === 'HEAD' ? undefined : body)
  }

  get({ key, query, headers }) {
    if (query.has('list-type')) return this.list(query)
    if (query.has('uploads')) return document('ListMultipartUploadsResult', '')
    const body = this.objects.get(key)
    if (!body) return refused(404, 'NoSuchKey')
    if ((headers['if-match'] ?? tag(body)) !== tag(body)) return refused(412, 'PreconditionFailed')
    const [first, last] = (headers.range ?? `bytes=0-${body.length - 1}`).slice('bytes='.length).split('-').map(Number)
    return { status: headers.range ? 206 : 200, headers: about(body), body: body.subarray(first, last + 1) }
  }

  head({ key }) {
    const body = this.objects.get(key)
    return body ? { headers: { ...about(body), 'Content-Length': body.length } } : { status: 404 }
  }

  put({ key, headers, body }) {
    if (!headers['x-amz-copy-source']) {
      this.objects.set(key, body)
      return { headers: { ETag: tag(body) } }
    }
    const source = this.objects.get(decodeURIComponent(headers['x-amz-copy-source']).split('/').slice(2).join('/'))
    if (!source) return refused(404, 'NoSuchKey')
    this.objects.set(key, source)
    return document('CopyObjectResult', '')
  }

  delete({ key }) {
    this.objects.delete(key)
    return { status: 204 }
  }

  list(query) {
    const [prefix, most] = [query.get('prefix') ?? '', Number(query.get('max-keys') ?? 1000)]
    const lines = new Map()
    for (const key of this.keys().filter((key) => key.startsWith(prefix))) {
      const end = query.has('delimiter') ? key.indexOf('/', prefix.length) : -1
      lines.set(end < 0 ? key : key.slice(0, end + 1), end >= 0)
    }
    const left = [...lines].filter(([line]) => line > (query.get('continuation-token') ?? ''))
    const page = left.slice(0, most)
    let content = '<EncodingType>url</EncodingType>'
    for (const [line, isFolder] of page) {
      const name = encodeURIComponent(line)
      const body = this.objects.get(line)
      content += isFolder
        ? `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`
        : `<Contents><Key>${name}</Key><Size>${body.length}</Size><ETag>${escaped(tag(body))}</ETag>` +
          '<LastModified>2024-01-02T03:04:05.000Z</LastModified></Contents>'
    }
    if (left.length > most) {
      const next = escaped(page.at(-1)[0])
      content += `<IsTruncated>true</IsTruncated><NextContinuationToken>${next}</NextContinuationToken>`
    }
    return document('ListBucketResult', content)
  }
}

function about(body) {
  return { ETag: tag(body), 'Last-Modified': new Date().toUTCString() }
}

function document(name, content, status = 200) {
  return { status, body: `<${name}>${content}</${name}>` }
}

function refused(status, code) {
  return document('Error', `<Code>${code}</Code>`, status)
}
