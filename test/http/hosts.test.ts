import { test } from 'tap'
import { loadConfig } from '../../src/config/config.ts'
import { ServiceError } from '../../src/errors/service-error.ts'
import { createTestApp } from '../support/app.ts'

/** Settings, and for each Host of a request the status that it gets. */
const CASES: readonly (readonly [Record<string, string>, Readonly<Record<string, number>>])[] = [
  [
    {},
    {
      '127.0.0.1:8080': 200,
      '127.9.9.9': 200,
      localhost: 200,
      'LOCALHOST.:80': 200,
      'app.localhost': 200,
      '[::1]:8080': 200,
      '[0:0:0:0:0:0:0:1]': 200,
      '[::ffff:127.0.0.1]': 200,
      'rebind.example:8080': 421,
      'localhost.evil.example': 421,
      '127.0.0.1.evil.example': 421,
      '10.0.0.1': 421,
      '[fe80::1]': 421,
      '2130706433': 421,
      'a b': 400,
      'user@localhost': 400,
      'localhost/x': 400,
      '[::1': 400,
      '::1': 400,
    },
  ],
  [{ HOST: '::1' }, { 'rebind.example': 421, '[::1]': 200 }],
  [{ HOST: 'LocalHost' }, { 'rebind.example': 421, 'localhost:1': 200 }],
  [{ HOST: '0.0.0.0' }, { 'any.example': 200, 'a b': 400 }],
  [
    { HOST: '0.0.0.0', ALLOWED_HOSTS: 'commandbus-db, App.Example.,[2001:DB8::1],10.1.2.3' },
    {
      'commandbus-db:8080': 200,
      'app.example': 200,
      'APP.EXAMPLE.:99': 200,
      '[2001:db8:0::1]:8080': 200,
      '10.1.2.3': 200,
      localhost: 200,
      '0.0.0.0:8080': 200,
      'www.app.example': 421,
      example: 421,
    },
  ],
  [
    { HOST: '127.0.0.1', ALLOWED_HOSTS: '_odd_name' },
    { _odd_name: 200, evil: 421 },
  ],
  [
    { HOST: 'db.internal', ALLOWED_HOSTS: 'a' },
    { 'db.internal': 200, a: 200, b: 421 },
  ],
]
for (const [settings, hosts] of CASES) {
  test(`with ${JSON.stringify(settings)} a Host is checked as documented`, async (t) => {
    const app = createTestApp(t, { hosts: loadConfig(settings) })

    for (const [host, status] of Object.entries(hosts)) {
      for (const url of ['/livez', '/nowhere']) {
        const response = await app.inject({ url, headers: { host } })
        t.equal(response.statusCode, status === 200 && url === '/nowhere' ? 404 : status, host)
        if (status === 421) t.equal(response.json().code, 'host_not_allowed')
      }
    }
  })
}

test('the address that a connection came in at is allowed: probes of a container use it', async (t) => {
  const hosts = { host: '0.0.0.0', allowedHosts: ['commandbus-db'] }
  const app = createTestApp(t, { hosts })
  app.addHook('onRequest', async () => {})
  app.server.on('connection', (socket) => {
    Object.defineProperty(socket, 'localAddress', { value: '::ffff:172.17.0.5' })
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  const ask = async (host: string) => {
    const { get } = await import('node:http')
    return new Promise((resolve) =>
      get({ port, host: '127.0.0.1', path: '/readyz', headers: { host } }, (response) =>
        resolve(response.resume().statusCode),
      ),
    )
  }

  t.equal(await ask('172.17.0.5:8080'), 200)
  t.equal(await ask('172.17.0.6:8080'), 421)
})

for (const wrong of ['http://a', 'a:8080', '[::1]:80', 'a/b', 'a b', '*', 'a,,b c', '*.example']) {
  test(`ALLOWED_HOSTS=${wrong} is a wrong setting`, async (t) => {
    t.throws(() => loadConfig({ ALLOWED_HOSTS: wrong }), ServiceError)
  })
}
