// The page that shows each refusal: what it says is what a commit says. UPDATE_GOLDEN=1 writes it.
import { test } from 'tap'
import { RULES } from '../../../dev/commit/rules/index.ts'
import { createTestDatabase } from '../../support/postgres.ts'
import { BODY_CASE, CASES } from './cases.ts'
import { describeCase, readSection } from './page.ts'
import { createChange, tryChange } from './project.ts'

test('each rule refuses its case, alone, and permits it when it is allowed', async (t) => {
  const described: string[] = []
  for (const one of CASES) {
    const migrationsDir = createChange(t, one)
    const { url } = await createTestDatabase(t, { from: 'migrated' })
    const { text, code, rules } = await tryChange(migrationsDir, url)

    t.equal(code, 'commit_refused', text)
    t.strictSame(rules, [one.rule], text)
    const other = await createTestDatabase(t, { from: 'migrated' })
    t.equal((await tryChange(migrationsDir, other.url, [one.rule])).text, '', 'it is allowed')
    described.push(describeCase(one, text))
  }

  t.equal(readSection('refusals', described.join('\n\n')), described.join('\n\n'))
})

test('each rule has a case', (t) => {
  const covered = [...CASES, BODY_CASE].map(({ rule }) => rule)
  t.strictSame(
    RULES.map(({ name }) => name).filter((name) => !covered.includes(name)),
    [],
  )
  t.end()
})
