import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { createLoop } from '../../../dev/loop/loop.ts'
import { NotNowError } from '../../../dev/loop/not-now.ts'
import { OtherHistoryError } from '../../../dev/loop/other-history.ts'
import type { AppliedRun } from '../../../dev/loop/report.ts'
import type { Applied } from '../../../dev/loop/run.ts'
import { createFolder } from '../../support/migrations-folder.ts'
import { until } from '../project.ts'

test('what is saved is applied once', async (t) => {
  const migrationsDir = createFolder(t)
  mkdirSync(join(migrationsDir, 'fixtures'))
  const write = (file: string, text: string) => writeFileSync(join(migrationsDir, file), text)
  const stopping = new AbortController()
  const runs: AppliedRun[] = []
  const notes: string[] = []
  const failures: string[] = []
  let apply = async (): Promise<Applied> => ({
    ...{ failure: undefined, changes: [], endedAt: Date.now() },
  })
  let count = 0
  const loop = createLoop({
    migrationsDir,
    apply: () => {
      count++
      return apply()
    },
    report: {
      applied: (run) => runs.push(run),
      failed: ({ message }) => failures.push(message),
      warned: () => {},
      note: (text) => notes.push(text),
    },
    signal: stopping.signal,
  })
  await loop.start()
  t.strictSame([count, runs], [1, []], 'at the start without a change there is nothing to say')

  write('fixtures/f.sql', 'one')
  // The loop's own change of current.sql is reported while it is being applied.
  apply = async () => {
    write('current.sql', 'listed')
    loop.saved('current.sql')
    return { failure: undefined, changes: [], written: 'listed', endedAt: Date.now() }
  }
  loop.saved('fixtures/f.sql')
  await until('applied', () => runs.length === 1)
  t.strictSame(runs[0]?.files, ['fixtures/f.sql'])
  loop.saved('current.sql')
  loop.saved('fixtures/f.sql')

  await t.test('a database that is not there is waited for, and named once', async (t) => {
    let failures = 2
    apply = async () => {
      if (failures-- > 0) throw new NotNowError('the connection is lost')
      return { failure: undefined, changes: [], endedAt: Date.now() }
    }
    write('current.sql', 'changed')
    loop.saved('current.sql')
    await until('applied', () => runs.length === 2)
    t.strictSame(notes, ['waiting for the database: the connection is lost'])
    t.strictSame(runs[1]?.files, ['current.sql'])
    t.equal(count, 1 + 1 + 3, 'saves without a change were not applied')
  })

  await t.test(
    'an error that nothing explains is shown, and the next save is applied',
    async (t) => {
      apply = () =>
        Promise.reject(Object.assign(new Error('unforeseen:\n  this'), { code: 'EACCES' }))
      write('current.sql', 'again')
      loop.saved('current.sql')
      await until('failed', () => failures.length === 1)
      t.strictSame(failures, ['unforeseen:; this (EACCES)'])
      apply = async () => ({ failure: undefined, changes: [], endedAt: Date.now() })
      write('current.sql', 'repaired')
      loop.saved('current.sql')
      await until('applied', () => runs.length === 3)
    },
  )

  await t.test('a commit, which changes no definition, is not reported', async (t) => {
    const commit = (file: string, text: string) => {
      write(file, text)
      loop.saved(file)
    }
    apply = async () => ({ failure: undefined, changes: [], endedAt: Date.now() })
    const isApplied = (times: number) => () => count === times
    const before = count
    mkdirSync(join(migrationsDir, 'committed'))
    write('committed/000001-one.sql', 'what was in current.sql')
    commit('current.sql', '')
    await until('applied', isApplied(before + 1))
    commit('committed/000001-one.sql', 'what was in current.sql')
    await until('applied', isApplied(before + 2))
    t.equal(runs.length, 3)
  })

  await t.test('a file whose time cannot be read is applied', async () => {
    symlinkSync('circle.sql', join(migrationsDir, 'circle.sql'))
    loop.saved('circle.sql')
    await until('applied', () => runs.length === 4)
  })

  await t.test('it ends with the signal, or where another database has to be used', async (t) => {
    apply = () => Promise.reject(new OtherHistoryError('another branch'))
    write('current.sql', 'switched')
    loop.saved('current.sql')
    await t.rejects(loop.ended, { message: 'another branch' })
    stopping.abort()
  })
})
