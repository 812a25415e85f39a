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

/** How often a cell may fail to be reached before its fault. */
const MAX_NOT_REACHED = 2

/** For a look at some cells only, such as `silent × (idle|lent)`. */
const only = new RegExp(process.env.FAULTS_ONLY ?? '')
const nameOf = ({ fault, situation }: Cell) => `${fault.name} × ${situation.name}`

/** Runs a cell, and again if it was not reached before its fault: a busy machine needs longer. */
async function reachAndRun(
  template: Template,
  cell: Cell,
  onRepeat: (problem: string) => void,
): Promise<Answers> {
  for (let missed = 0; ; missed++) {
    try {
      return toAnswers(await runCell(template, cell))
    } catch (error) {
      if (!(error instanceof NotReachedError) || missed === MAX_NOT_REACHED) throw error
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
        const onRepeat = (problem: string) => t.comment(`${nameOf(cell)}: run again: ${problem}`)
        let seen = await reachAndRun(template, cell, onRepeat)
        const differences = differencesOf(seen)
        // A busy machine may show another moment; what is seen again is so.
        if (differences.length > 0) {
          onRepeat(String(differences))
          seen = await reachAndRun(template, cell, onRepeat)
        }
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
