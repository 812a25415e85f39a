// What each fault of the database does to lending: a table of docs/use/test-databases.md is made of what this sees,
// with `FAULTS_WRITE=1 npm run test:lending-faults`. Answers that depend on the moment are added to it.
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { FAULTS } from '../faults/faults.ts'
import { runAtOnce, withScope } from '../faults/scope.ts'
import { createTemplate, type Template } from '../faults/server.ts'
import { PASSWORD } from '../faults/world.ts'
import { type Cell, NotReachedError, runCell } from './cell.ts'
import { type Answers, addAnswers, findDifferences, PAGE, toAnswers } from './page.ts'
import { SITUATIONS } from './situations.ts'

/** Most of the time of a cell is waiting. */
const AT_ONCE = 6

/** How often a cell is tried that shows what the page does not say. */
const RUNS = 3

/** For a look at some cells only, such as `silent × (idle|lent)`. */
const only = new RegExp(process.env.FAULTS_ONLY ?? '')
const nameOf = ({ fault, situation }: Cell) => `${fault.name} × ${situation.name}`

/** Runs a cell again if its answers differ, or if it was not reached: a busy machine may show another moment. */
async function observe(
  template: Template,
  cell: Cell,
  differencesOf: (answers: Answers) => string[],
  onRepeat: (problem: string) => void,
): Promise<Answers> {
  for (let run = 1; ; run++) {
    try {
      const seen = toAnswers(await runCell(template, cell))
      const differences = differencesOf(seen)
      if (differences.length === 0 || run === RUNS) return seen
      onRepeat(String(differences))
    } catch (error) {
      if (!(error instanceof NotReachedError) || run === RUNS) throw error
      onRepeat(error.message)
    }
  }
}

test('each fault while databases are lent: none is lost, dirty or lent twice, and the page says what is answered', async (t) => {
  const problems = new Map(FAULTS.map((fault) => [fault.name, fault.findProblem?.()]))
  const cells = FAULTS.flatMap((fault) => SITUATIONS.map((situation) => ({ fault, situation })))
    .filter((cell) => only.test(nameOf(cell)))
    .filter(({ fault }) => problems.get(fault.name) === undefined)
  for (const [name, problem] of problems) if (problem) t.comment(`${name}: ${problem}`)

  await withScope(async (scope) => {
    const template = await createTemplate(scope, PASSWORD)
    await runAtOnce(AT_ONCE, cells, async (cell) => {
      try {
        const differencesOf = (answers: Answers) =>
          findDifferences(readFileSync(PAGE, 'utf8'), cell, answers)
        const seen = await observe(template, cell, differencesOf, (problem) =>
          t.comment(`${nameOf(cell)}: run again: ${problem}`),
        )
        if (process.env.FAULTS_WRITE) {
          writeFileSync(PAGE, addAnswers(readFileSync(PAGE, 'utf8'), cell, seen))
        }
        t.strictSame(differencesOf(seen), [], nameOf(cell))
      } catch (error) {
        t.fail(nameOf(cell))
        t.comment((error as Error).message)
      }
    })
  })
})
