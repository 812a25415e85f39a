import { gunzipSync } from 'node:zlib'
import { test } from 'tap'
import { createTestApp, description } from '../../support/app.ts'

const FILES = ['start.js', 'swagger-ui-bundle.js', 'swagger-ui.css', 'LICENSE.txt']

test('GET /openapi.json is the description of the routes as the source has them', async (t) => {
  const response = await createTestApp(t).inject('/openapi.json')

  t.equal(response.headers['content-type'], 'application/json; charset=utf-8')
  t.strictSame(response.json(), description, 'else run npm run build')
})

test('the page and its files come from this service alone', async (t) => {
  const app = createTestApp(t)

  const page = await app.inject('/docs')

  t.match(page.headers, {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': /^default-src 'self';/,
    'x-content-type-options': 'nosniff',
  })
  const links = [...page.body.matchAll(/(?:src|href)="(.+?)"/g)].map(([, link = '']) => link)
  t.strictSame(links.toSorted(), [
    'data:,',
    'docs/start.js',
    'docs/swagger-ui-bundle.js',
    'docs/swagger-ui.css',
    'openapi.json',
  ])
  for (const link of links.filter((one) => one !== 'data:,')) {
    t.equal((await app.inject(`/${link}`)).statusCode, 200, link)
  }
  const style = (await app.inject('/docs/swagger-ui.css')).body
  // Not `t.notMatch`, which would print 200 KB.
  t.notOk(/@import|url\((?!["']?data:)/.test(style))
})

test('files are compressed for those who accept it, and sent once', async (t) => {
  const app = createTestApp(t)
  for (const url of ['/openapi.json', '/docs', ...FILES.map((file) => `/docs/${file}`)]) {
    const plain = await app.inject(url)
    const zipped = await app.inject({ url, headers: { 'accept-encoding': 'br, gzip' } })

    t.equal(zipped.headers['content-encoding'], 'gzip', url)
    t.equal(plain.headers['content-encoding'], undefined)
    t.equal(gunzipSync(zipped.rawPayload).toString(), plain.body)
    t.equal(plain.headers.vary, 'accept-encoding')

    const etag = String(plain.headers.etag)
    const again = await app.inject({ url, headers: { 'if-none-match': `"other", ${etag}` } })
    t.match([again.statusCode, again.body, again.headers.etag], [304, '', etag])
    const changed = await app.inject({ url, headers: { 'if-none-match': '"other"' } })
    t.equal(changed.statusCode, 200)
    const head = await app.inject({ method: 'HEAD', url })
    t.match([head.statusCode, head.body, head.headers.etag], [200, '', etag])
  }
})

test('nothing else of the disk is served', async (t) => {
  const app = createTestApp(t)

  for (const name of [
    'index.html',
    'openapi.json',
    'start.js.gz',
    '..%2fservice.js',
    '..%2f..%2f..%2fpackage.json',
    'constructor',
    '__proto__',
    '%00',
    'x'.repeat(5000),
  ]) {
    const response = await app.inject(`/docs/${name}`)
    t.match(response.json(), { status: 404, code: 'route_not_found' }, name)
  }
})

test('they are subject to the same checks as every route', async (t) => {
  const app = createTestApp(t)
  for (const url of ['/openapi.json', '/docs', '/docs/start.js']) {
    const headers = { host: 'rebind.example' }
    t.equal((await app.inject({ url, headers })).json().code, 'host_not_allowed')
    const posted = await app.inject({ method: 'POST', url })
    t.match([posted.statusCode, posted.headers.allow], [405, 'GET, HEAD'])
  }
})
