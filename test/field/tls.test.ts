// TLS for real: a server with a certificate of an authority of our own.
import { execFileSync } from 'node:child_process'
import { chmodSync, copyFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { openClient } from '../../src/postgres/client.ts'
import { findClusterProblem, own, startCluster } from '../support/cluster.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { startService } from '../support/service.ts'

const skip = findClusterProblem() ?? false

test('every sslmode means what libpq says', { skip }, async (t) => {
  const certificates = createCertificates(t)
  const cluster = await startCluster(t, {
    settings: {
      ssl: 'on',
      ssl_cert_file: "'server.pem'",
      ssl_key_file: "'server.key'",
      ssl_ca_file: "'ca.pem'",
    },
    hba: [
      'hostssl all only_tls 127.0.0.1/32 trust',
      'hostnossl all only_plain 127.0.0.1/32 trust',
      'hostssl all by_certificate 127.0.0.1/32 cert',
      'host all postgres 127.0.0.1/32 trust',
      'host all scram 127.0.0.1/32 scram-sha-256',
    ],
    prepare(dataDir) {
      for (const name of ['server.pem', 'server.key', 'ca.pem']) {
        const path = join(dataDir, name)
        copyFileSync(join(certificates, name), path)
        own(path)
        chmodSync(path, 0o600)
      }
    },
  })
  await cluster.query(
    `create role only_tls login; create role only_plain login; create role by_certificate login;
     create role scram login password 'the-password'`,
  )
  const ca = `sslrootcert=${join(certificates, 'ca.pem')}`
  const other = `sslrootcert=${join(certificates, 'other.pem')}`
  const own_ = `sslcert=${join(certificates, 'client.pem')}&sslkey=${join(certificates, 'client.key')}`
  const at = (query: string, { user = 'postgres', host = 'localhost', password = '' } = {}) =>
    `postgres://${user}:${password}@${host}:${cluster.port}/postgres?${query}`

  const connects: readonly (readonly [url: string, isEncrypted: boolean])[] = [
    [at('sslmode=disable'), false],
    [at('sslmode=allow'), false],
    [at(''), true],
    [at('sslmode=prefer'), true],
    // Without sslrootcert, any certificate will do for `require`.
    [at('sslmode=require'), true],
    [at('ssl=true'), true],
    [at(`sslmode=require&${ca}`), true],
    [at(`sslmode=verify-ca&${ca}`), true],
    [at(`sslmode=verify-ca&${ca}`, { host: '127.0.0.1' }), true],
    [at(`sslmode=verify-full&${ca}`), true],
    // As in libpq, `prefer` falls back to no TLS where the certificate is not trusted.
    [at(`sslmode=prefer&${other}`), false],
    // pg_hba.conf decides, and the other way is tried.
    [at('sslmode=allow', { user: 'only_tls' }), true],
    [at('sslmode=prefer', { user: 'only_plain' }), false],
    [at(`sslmode=require&${own_}`, { user: 'by_certificate' }), true],
    [
      at('sslmode=require&channel_binding=require', { user: 'scram', password: 'the-password' }),
      true,
    ],
    [at('sslmode=require&ssl_min_protocol_version=TLSv1.3'), true],
  ]
  for (const [url, isEncrypted] of connects) {
    const client = await openClient(url, 'tls test')
    const { rows } = await client.query('select ssl from pg_stat_ssl where pid = pg_backend_pid()')
    await client.end()
    t.strictSame(rows, [{ ssl: isEncrypted }], url)
  }

  const rejected: readonly (readonly [url: string, code: string, message: RegExp])[] = [
    [at('sslmode=verify-ca'), 'database_tls_failed', /sslrootcert/],
    [at('sslmode=verify-full'), 'database_tls_failed', /sslrootcert/],
    [at(`sslmode=require&${other}`), 'database_tls_failed', /sslrootcert/],
    [at(`sslmode=verify-ca&${other}`), 'database_tls_failed', /sslrootcert/],
    [at(`sslmode=verify-full&${other}`), 'database_tls_failed', /sslrootcert/],
    [
      at(`sslmode=verify-full&${ca}`, { host: '127.0.0.1' }),
      'database_tls_failed',
      /127\.0\.0\.1.*sslrootcert/,
    ],
    [at('sslmode=disable', { user: 'only_tls' }), 'database_login_refused', /no encryption/],
    [at('sslmode=require', { user: 'only_plain' }), 'database_login_refused', /SSL encryption/],
    [at('sslmode=require', { user: 'by_certificate' }), 'database_login_refused', /certificate/],
    [
      at('sslmode=require', { user: 'scram', password: 'wrong' }),
      'database_password_wrong',
      /password/,
    ],
  ]
  for (const [url, code, message] of rejected) {
    await t.rejects(openClient(url, 'tls test'), { code, exitCode: 3, message }, url)
  }

  const MIGRATIONS_DIR = createMigrationsFolder(t, ['create schema one;'])
  const trusts = {
    sslrootcert: { DATABASE_URL: at(`sslmode=verify-full&${ca}`) },
    'the options of Node.js': {
      DATABASE_URL: at('sslmode=verify-full'),
      NODE_OPTIONS: '--use-openssl-ca',
      SSL_CERT_FILE: join(certificates, 'ca.pem'),
    },
    'more certificates of Node.js': {
      DATABASE_URL: at('sslmode=verify-full'),
      NODE_EXTRA_CA_CERTS: join(certificates, 'ca.pem'),
    },
  }
  for (const [name, env] of Object.entries(trusts)) {
    await cluster.query('drop schema if exists one, graphile_migrate cascade')
    const service = startService(t, { ...env, MIGRATIONS_DIR })
    await service.waitForReady()
    t.match(await service.stop(), { code: 0 }, `both processes trust ${name}`)
  }

  const untrusting = startService(t, { DATABASE_URL: at('sslmode=verify-full'), MIGRATIONS_DIR })
  t.match(await untrusting.ended, { code: 3 })
  const [line] = untrusting.log().filter(({ level }) => level === 'fatal')
  t.match(line, { err: { code: 'database_tls_failed', message: /sslrootcert/ } })
})

/** An authority, another one, and certificates of the first for the server `localhost` and a client. */
function createCertificates(t: Test): string {
  const folder = t.testdir({})
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  for (const name of ['ca', 'other']) {
    openssl(
      ...['req', '-x509', ...key, '-days', '2', '-subj', `/CN=${name}`],
      ...['-keyout', `${name}.key`, '-out', `${name}.pem`],
    )
  }
  const names = { server: 'localhost', client: 'by_certificate' }
  for (const [name, subject] of Object.entries(names)) {
    writeFileSync(join(folder, `${name}.ext`), `subjectAltName=DNS:${subject}\n`)
    openssl(
      'req',
      ...key,
      '-subj',
      `/CN=${subject}`,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
    )
    openssl(
      ...['x509', '-req', '-days', '2', '-in', `${name}.csr`, '-out', `${name}.pem`],
      ...['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', `${name}.ext`],
    )
  }
  return folder
}
