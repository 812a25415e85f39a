import { test } from 'tap'
import {
  type ConnectionSettings,
  ConnectionUrlError,
  parseConnectionUrl,
} from '../../../src/postgres/connection/url.ts'

const SECRET = 'the-pass-word'

/** Connection strings, and what they mean. */
const RIGHT: readonly (readonly [url: string, meaning: object])[] = [
  [
    'postgres://u:p@h/d',
    {
      hosts: [{ host: 'h', port: 5432 }],
      user: 'u',
      password: 'p',
      database: 'd',
      options: {},
      target: 'any',
      tls: { mode: 'prefer', rootCertificate: undefined },
    },
  ],
  ['postgresql://u@h:6543/d', { hosts: [{ host: 'h', port: 6543 }], password: '' }],
  // Percent escapes, everywhere.
  ['postgres://u:p@h/My%23App', { database: 'My#App' }],
  ['postgres://u:p@h/a%2Fb%3Fc', { database: 'a/b?c' }],
  ['postgres://u%40x:p%3Aq%2f%23@h/d', { user: 'u@x', password: 'p:q/#' }],
  ['postgres://u:%25%2B+@h/%C3%BC', { password: '%++', database: 'ü' }],
  ['postgres://u@h/d?application%5Fname=x&options=-c%20a.b%3Dc', { options: { 'a.b': 'c' } }],
  // An @ that is not encoded belongs to the user or the password.
  ['postgres://dev@x:p@h/d', { user: 'dev@x', password: 'p', hosts: [{ host: 'h' }] }],
  ['postgres://u:p@ss@h/d', { password: 'p@ss', hosts: [{ host: 'h' }] }],
  ['postgres://u:p@h/d?application_name=a@b', { database: 'd', password: 'p' }],
  // In libpq, a # and a + have no meaning of their own.
  ['postgres://u:p#q@h/My#App', { password: 'p#q', database: 'My#App' }],
  ['postgres://u@h/d?password=a+b', { password: 'a+b' }],
  // Addresses.
  ['postgres://u@[::1]/d', { hosts: [{ host: '::1', port: 5432 }] }],
  ['postgres://u@[fe80::1]:5433/d', { hosts: [{ host: 'fe80::1', port: 5433 }] }],
  ['postgres://u@/d', { hosts: [{ host: 'localhost', port: 5432 }] }],
  ['postgres://u@%2Fvar%2Frun/d', { hosts: [{ host: '/var/run', port: 5432 }] }],
  ['postgres://u@/d?host=/var/run&port=5433', { hosts: [{ host: '/var/run', port: 5433 }] }],
  // Several hosts.
  [
    'postgres://u:p@h1:5432,h2:5433/x?target_session_attrs=read-write',
    {
      hosts: [
        { host: 'h1', port: 5432 },
        { host: 'h2', port: 5433 },
      ],
      target: 'read-write',
    },
  ],
  [
    'postgres://u@h1,[::1]:1,h3/x',
    {
      hosts: [
        { host: 'h1', port: 5432 },
        { host: '::1', port: 1 },
        { host: 'h3', port: 5432 },
      ],
    },
  ],
  [
    'postgres://u@ignored/x?host=a,b&port=7',
    {
      hosts: [
        { host: 'a', port: 7 },
        { host: 'b', port: 7 },
      ],
    },
  ],
  ['postgres:///d?user=u&host=a,b&port=1,2', { hosts: [{ port: 1 }, { port: 2 }], user: 'u' }],
  ['postgres://u@h/d?load_balance_hosts=random', { inRandomOrder: true }],
  // The last one counts.
  ['postgres://u:a@h/d?password=b&password=c', { password: 'c' }],
  ['postgres://u@h/d?dbname=e&user=v', { database: 'e', user: 'v' }],
  // TLS.
  ['postgres://u@h/d?sslmode=verify-full', { tls: { mode: 'verify-full' } }],
  ['postgres://u@h/d?ssl=true', { tls: { mode: 'require' } }],
  ['postgres://u@h/d?ssl=0', { tls: { mode: 'disable' } }],
  ['postgres://u@h/d?sslmode=allow&ssl=true', { tls: { mode: 'allow' } }],
  ['postgres://u@h/d?sslrootcert=system', { tls: { mode: 'verify-full' } }],
  [
    'postgres://u@h/d?sslmode=verify-ca&sslrootcert=/a%20b/root.pem&sslcert=/c&sslkey=/k',
    { tls: { rootCertificate: '/a b/root.pem', certificate: '/c', key: '/k' } },
  ],
  ['postgres://u@h/d?sslmode=require&sslnegotiation=direct', { tls: { negotiation: 'direct' } }],
  ['postgres://u@h/d?sslmode=require&channel_binding=require', { channelBinding: 'require' }],
  ['postgres://u@h/d?ssl_min_protocol_version=TLSv1.3', { tls: { minVersion: 'TLSv1.3' } }],
  // The rest.
  ['postgres://u@h/d?connect_timeout=10', { connectTimeoutMs: 10_000 }],
  ['postgres://u@h/d?connect_timeout=0', { connectTimeoutMs: undefined }],
  ['postgres://u@h/d?keepalives=1&tcp_user_timeout=9&gssencmode=prefer', { database: 'd' }],
  ['postgres://u@h/d?client_encoding=utf-8&uselibpqcompat=true', { database: 'd' }],
]

for (const [url, meaning] of RIGHT) {
  test(`${url} is understood`, async (t) => {
    t.match(parseConnectionUrl(url), withoutUndefined(meaning))
  })
}

/** Connection strings that are rejected, and what the error says. */
const WRONG: readonly (readonly [url: string, message: RegExp])[] = [
  [`mysql://u:${SECRET}@h/d`, /begin with postgres:/],
  [SECRET, /begin with postgres:/],
  [`postgres://${SECRET}`, /no user/],
  [`postgres://h/${SECRET}`, /no user/],
  [`postgres://u:${SECRET}@h`, /no database/],
  [`postgres://u:${SECRET}@h/`, /no database/],
  [`postgres://u:${SECRET}@h:port/d`, /port/],
  [`postgres://u:${SECRET}@h:0/d`, /port/],
  [`postgres://u:${SECRET}@h:65536/d`, /port/],
  [`postgres://u:${SECRET}@h:1:2/d`, /host/],
  [`postgres://u:${SECRET}@[::1/d`, /host/],
  [`postgres://u:pa@ss/${SECRET}@h/d`, /@ or \//],
  [`postgres://u:12/${SECRET}@h/d`, /@ or \//],
  [`postgres://u:12?${SECRET}=x@h/d`, /unknown parameter$/],
  [`postgres://u:${SECRET}@h/100%`, /%/],
  [`postgres://u:${SECRET}%zz@h/d`, /%/],
  [`postgres://u:${SECRET}%00@h/d`, /%/],
  [`postgres://u:${SECRET}%ff@h/d`, /UTF-8/],
  [`postgres://u:${SECRET}@h/d?stream=x`, /unknown parameter stream$/],
  [`postgres://u:${SECRET}@h/d?schema=public`, /unknown parameter schema$/],
  [`postgres://u:${SECRET}@h/d?passfile=/x`, /unknown parameter passfile$/],
  [`postgres://u:${SECRET}@h/d?sslMode=require`, /unknown parameter sslMode$/],
  [`postgres://u:${SECRET}@h/d?pgbouncer`, /no name or value/],
  [`postgres://u:${SECRET}@h/d?=x`, /no name or value/],
  [`postgres://u:${SECRET}@h/d?sslmode=bogus`, /unknown sslmode; expected one of disable, /],
  [`postgres://u:${SECRET}@h/d?sslmode=no-verify`, /unknown sslmode/],
  [`postgres://u:${SECRET}@h/d?sslmode=require&sslrootcert=system`, /verify-full/],
  [`postgres://u:${SECRET}@h/d?sslnegotiation=direct`, /sslmode=prefer/],
  [`postgres://u:${SECRET}@h/d?channel_binding=require`, /sslmode/],
  [`postgres://u:${SECRET}@h/d?sslcert=/c`, /sslcert and sslkey/],
  [`postgres://u:${SECRET}@h/d?target_session_attrs=standby`, /target_session_attrs/],
  [`postgres://u:${SECRET}@h/d?connect_timeout=soon`, /connect_timeout/],
  [`postgres://u:${SECRET}@h/d?gssencmode=require`, /gssencmode/],
  [`postgres://u:${SECRET}@h/d?client_encoding=latin1`, /client_encoding/],
  [`postgres://u:${SECRET}@h/d?options=-d%205`, /options/],
  [`postgres://u:${SECRET}@h1,h2,h3:1/d?port=1,2`, /3 hosts and 2 ports/],
]

for (const [url, message] of WRONG) {
  test(`${url.replaceAll(SECRET, '…')} is rejected, and not repeated`, async (t) => {
    const error = fail(url)

    t.ok(error instanceof ConnectionUrlError)
    t.match(error.message, message)
    t.notMatch(error.message, SECRET)
  })
}

const OPTIONS: readonly (readonly [text: string, settings: Record<string, string>])[] = [
  ['', {}],
  ['-c statement_timeout=5s', { statement_timeout: '5s' }],
  ['-cstatement_timeout=5s  -c a.b=', { statement_timeout: '5s', 'a.b': '' }],
  ['--statement-timeout=5s', { statement_timeout: '5s' }],
  ['-c search_path=a,\\ b\\\\c', { search_path: 'a, b\\c' }],
  ['-c x=1 -c x=2', { x: '2' }],
]

for (const [text, settings] of OPTIONS) {
  test(`options "${text}" are settings`, async (t) => {
    const url = `postgres://u@h/d?options=${encodeURIComponent(text)}`
    t.strictSame(parseConnectionUrl(url).options, settings)
  })
}

function fail(url: string): Error {
  try {
    parseConnectionUrl(url)
  } catch (error) {
    return error as Error
  }
  throw new Error(`accepted: ${url}`)
}

/** `t.match` takes undefined for anything. */
function withoutUndefined(meaning: object): Partial<ConnectionSettings> {
  return Object.fromEntries(Object.entries(meaning).filter(([, value]) => value !== undefined))
}
