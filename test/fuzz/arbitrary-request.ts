// Requests made from the API description: right, wrong and odd ones.
import { METHODS } from 'node:http'
import fc, { type Arbitrary } from 'fast-check'
import type { Description } from '../support/described.ts'

export interface WireRequest {
  readonly method: string
  readonly url: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer | undefined
}

/** Characters that may stand in the first line of a request. */
const urlText = (maxLength: number) =>
  fc.string({
    unit: fc.constantFrom(...'abcXYZ019/.-_~:;,@!$&()*+=%25%2f%00%zz[]{}|^"<>\\'.split('')),
    maxLength,
  })

const anyMethod = fc.constantFrom(...METHODS.filter((method) => method !== 'CONNECT'))

function arbitraryUrl(path: string): Arbitrary<string> {
  const filled = fc
    .oneof(urlText(20).map(encodeURIComponent), urlText(20), fc.constant('start.js'))
    .map((value) => path.replace(/\{\w+\}/g, value))
  return fc
    .tuple(
      fc.oneof(
        { weight: 6, arbitrary: filled },
        { weight: 1, arbitrary: fc.tuple(filled, urlText(10)).map(([start, end]) => start + end) },
        { weight: 1, arbitrary: urlText(60).map((text) => `/${text}`) },
        { weight: 1, arbitrary: fc.integer({ min: 100, max: 12_000 }).map(longPath) },
        {
          weight: 1,
          arbitrary: fc.constantFrom('/', '//', '/%zz', '/%', '/..%2f..', '*', '/\u00e9'),
        },
      ),
      fc.option(urlText(30), { freq: 3, nil: undefined }),
    )
    .map(([start, query]) => (query === undefined ? start : `${start}?${query}`))
}

const longPath = (length: number) => `/${'long/'.repeat(length / 5)}`

/** JSON that the schema of a body accepts, mostly, and everything else. */
function arbitraryBody(examples: readonly unknown[]): Arbitrary<Buffer> {
  const text = fc.oneof(
    fc.constantFrom(...examples, {}).map((value) => JSON.stringify(value)),
    fc
      .record(
        {
          mode: fc.constantFrom('data', 'rebuild', 'DATA', null, 1),
          lockTimeoutMs: fc.oneof(fc.integer(), fc.double(), fc.constant('1')),
          terminateBlockers: fc.constantFrom(true, false, 'true'),
          __proto__: fc.constant({}),
        },
        { requiredKeys: [] },
      )
      .map((value) => JSON.stringify(value)),
    fc.json(),
    fc.integer({ min: 1, max: 30_000 }).map((depth) => '['.repeat(depth) + ']'.repeat(depth)),
    fc
      .integer({ min: 1, max: 10_000 })
      .map((depth) => `${'{"mode":'.repeat(depth)}1${'}'.repeat(depth)}`),
    fc.integer({ min: 60_000, max: 100_000 }).map((length) => JSON.stringify('x'.repeat(length))),
    fc.constantFrom('', ' ', 'null', '{', '\u0000', 'mode=data'),
  )
  return fc.oneof(
    { weight: 4, arbitrary: text.map((value) => readable(Buffer.from(value))) },
    {
      weight: 1,
      arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => readable(Buffer.from(bytes))),
    },
  )
}

/** A counterexample shows the beginning of a body rather than 100,000 numbers. */
function readable(body: Buffer): Buffer {
  const shown = `${body.length} bytes: ${JSON.stringify(body.toString().slice(0, 100))}`
  return Object.assign(body, { [fc.toStringMethod]: () => shown })
}

const headerText = fc.string({
  unit: fc.constantFrom(...'abzAZ09 ,;=:/*"()-_.\u00e9'.split('')),
  maxLength: 80,
})

const oneOf = (...values: readonly string[]) =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...values) },
    { weight: 1, arbitrary: headerText },
  )

function arbitraryHeaders(token: string): Arbitrary<WireRequest['headers']> {
  const headers = {
    authorization: oneOf(
      `Bearer ${token}`,
      `bearer ${token}`,
      'Bearer ',
      'Bearer wrong',
      'Basic YTpi',
    ),
    'content-type': oneOf(
      ...[
        'application/json',
        'application/json; charset=latin1',
        'text/xml',
        'multipart/form-data',
      ],
      ...['application/x-www-form-urlencoded', '', 'a', '*/*'],
    ),
    accept: oneOf('*/*', 'text/html', 'application/xml'),
    'accept-encoding': oneOf('gzip', 'br', 'gzip;q=0', 'identity'),
    'if-none-match': oneOf('*', 'W/"x"', '"'),
    'x-request-id': oneOf('an-id', 'x'.repeat(65)),
    'x-forwarded-for': headerText,
    origin: oneOf('http://evil.example', 'null'),
    range: oneOf('bytes=0-1', 'bytes=-'),
    cookie: headerText,
    'x-http-method-override': oneOf('DELETE'),
  }
  return fc
    .record(headers, { requiredKeys: [] })
    .map((chosen) => Object.entries(chosen).map(([name, value]) => [name, value.trim()] as const))
}

/** Every kind of request to every path of the description; `token` is the one that the service knows. */
export function arbitraryRequest(description: Description, token: string): Arbitrary<WireRequest> {
  return fc.constantFrom(...listOperations(description)).chain(({ path, method, examples }) =>
    fc.record({
      method: fc.oneof(
        { weight: 4, arbitrary: fc.constant(method) },
        { weight: 1, arbitrary: fc.constantFrom('HEAD', 'OPTIONS', 'GET', 'POST') },
        { weight: 1, arbitrary: anyMethod },
      ),
      url: arbitraryUrl(path),
      headers: arbitraryHeaders(token),
      body: fc.option(arbitraryBody(examples), { freq: method === 'GET' ? 2 : 8, nil: undefined }),
    }),
  )
}

/**
 * The requests of the description, with the token and without: few of the arbitrary ones have all that an
 * answer such as 403 takes.
 */
export function listUsualRequests(description: Description, token: string): WireRequest[] {
  const json = ['content-type', 'application/json'] as const
  return listOperations(description).flatMap(({ path, method, examples: [example] }) => {
    const url = path.replace(/\{\w+\}/g, 'start.js')
    const body = example === undefined ? undefined : readable(Buffer.from(JSON.stringify(example)))
    const request = { method, url, headers: [json], body }
    return [request, { ...request, headers: [json, ['authorization', `Bearer ${token}`] as const] }]
  })
}

function listOperations({ paths }: Description) {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]) => {
      const contents = Object.values(requestBody?.content ?? {})
      const examples = contents.flatMap(({ example }) => (example === undefined ? [] : [example]))
      return { path, method: method.toUpperCase(), examples }
    }),
  )
}
