// What each fault of the database does to lending: a table of docs/use/test-databases.md is made of what this sees,
// with `FAULTS_WRITE=1 npm run test:lending-faults`. Answers that depend on the moment are added to it.
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { FAULTS } from '../faults/faults.ts'
import { runAtOnce, withScope } from '../faults/scope.ts'
import { createTemplate } from '../faults/server.ts'
import { PASSWORD } from '../faults/world.ts'
import { type Cell, runCell } from './cell.ts'
import { type Answers, addAnswers, findDifferences, PAGE, toAnswers } from './page.ts'
import { SITUATIONS } from './situations.ts'

/** Most of the time of a cell is waiting. */
const AT_ONCE = 6

/** How often a cell is tried that shows what the page does not say. */
const RUNS = 3

/** For a look at some cells only, such as `silent × (idle|lent)`. */
const only = new RegExp(process.env.FAULTS_ONLY ?? '')
const nameOf = ({ fault, situation }: Cell) => `${fault.name} × ${situation.name}`

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
        let seen = toAnswers(await runCell(template, cell))
        // A busy machine may show another moment; what is seen each time is so.
        for (let run = 1; run < RUNS && differencesOf(seen).length > 0; run++) {
          t.comment(`${nameOf(cell)}: run again: ${differencesOf(seen)}`)
          seen = toAnswers(await runCell(template, cell))
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
