// A commit on a server that has plpgsql_check. UPDATE_GOLDEN=1 writes what the documentation shows.
import { test } from 'tap'
import { openClient } from '../../src/postgres/client.ts'
import { BODY_CASE } from '../dev/commit/cases.ts'
import { describeCase, readSection } from '../dev/commit/page.ts'
import { createChange, tryChange } from '../dev/commit/project.ts'
import { needsPlpgsqlCheck } from '../support/debian-server.ts'
import { startMigrated15 } from '../support/migrated-15.ts'

test('a commit refuses a misspelt column in PL/pgSQL', needsPlpgsqlCheck, async (t) => {
  const { text, rules } = await tryChange(createChange(t, BODY_CASE), await startMigrated15(t))

  t.strictSame(rules, [BODY_CASE.rule], text)
  const described = describeCase(BODY_CASE, text)
  t.equal(readSection('refusal of a body', described), described)
})

test('also where the migrations install plpgsql_check themselves', needsPlpgsqlCheck, async (t) => {
  const url = await startMigrated15(t)
  const client = await openClient(url, 'test')
  await client.query('create extension plpgsql_check').finally(() => client.end())

  const { text, rules } = await tryChange(createChange(t, BODY_CASE), url)

  t.strictSame(rules, [BODY_CASE.rule], text)
})
