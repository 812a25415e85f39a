// What a development command says when there is no database, or none any more.
import { spawnSync } from 'node:child_process'
import { DatabaseError } from 'pg'
import { test } from 'tap'
import { withoutObjects } from '../../dev/commit/shadow.ts'
import { openDevelopmentDatabase } from '../../dev/database.ts'
import {
  describeLostConnection,
  describeUnforeseen,
  findLostConnection,
} from '../../dev/lost-connection.ts'
import { loadConfig } from '../../src/config/config.ts'
import { projectDir } from '../support/server.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

test('a command says at once what it waits for, and ends with 3, without a secret', (t) => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import=tsx', 'dev/cli.ts', 'status'],
    {
      ...{ cwd: projectDir, encoding: 'utf8' },
      env: {
        PATH: process.env.PATH,
        DATABASE_URL: 'postgres://me:geheim@127.0.0.1:1/nope',
        DATABASE_WAIT_SECONDS: '1',
      },
    },
  )

  t.equal(stdout, '')
  t.match(
    stderr,
    /^waiting for the database at 127\.0\.0\.1:1, .*ECONNREFUSED.*\ncould not reach .*\n$/,
  )
  t.notMatch(stderr, 'geheim')
  t.equal(status, 3)
  t.end()
})

test('a command that waits for a short time only does not advise to wait longer', async (t) => {
  t.intercept(process.stderr, 'write', { value: () => true })
  const config = loadConfig({ DATABASE_URL: 'postgres://me@127.0.0.1:1/nope' })
  const opening = openDevelopmentDatabase(config, {
    ...{ log: SILENT, signal: new AbortController().signal, maxWaitMs: 100 },
  })
  await t.rejects(opening, {
    ...{ code: 'database_not_reached', exitCode: 3 },
    message: /, within 0\.1 s: .*ECONNREFUSED.*; start it, or correct DATABASE_URL$/,
  })
})

test('a database that is lost is one line, also where graphile-migrate prints an object', (t) => {
  const error = new DatabaseError('the database system is shutting down', 107, 'error')
  error.code = '57P03'
  const lost = {
    ...{ code: 'database_lost', exitCode: 3 },
    message: /^the database went away \(the database system is shutting down.*\): run this again/,
  }
  t.match(describeLostConnection(error), lost)
  const printed = (message: string, code: string) =>
    `graphile-migrate[shadow]: dropped database\nerror: ${message} {\n  length: 107,\n  severity: 'FATAL',\n  code: '${code}',\n  detail: undefined\n}\n`
  t.match(findLostConnection(printed(error.message, '57P03')), lost)
  const wrapped =
    "Error: Failed to create database 'shadow' with owner 'me': terminating connection due to x"
  t.match(findLostConnection(wrapped), { message: /went away \(terminating connection due to x\)/ })
  t.match(
    findLostConnection('An error occurred in the PgPool: terminating connection due to a\n'),
    {
      message: /went away \(terminating connection due to a\)/,
    },
  )
  t.match(findLostConnection('Error: Connection terminated unexpectedly\n'), { exitCode: 3 })

  const other = printed('column "x" does not exist', '42703')
  t.equal(findLostConnection(other), undefined)
  t.equal(
    withoutObjects(other),
    'graphile-migrate[shadow]: dropped database\nerror: column "x" does not exist\n',
  )
  t.end()
})

test('an error that nothing has foreseen is no object', (t) => {
  const error = new DatabaseError('division by zero', 50, 'error')
  error.code = '22012'
  t.equal(describeUnforeseen(error), "PostgreSQL's error: division by zero (22012)")
  t.match(describeUnforeseen(new TypeError('a bug')), /^TypeError: a bug\n {4}at /)
  t.end()
})
