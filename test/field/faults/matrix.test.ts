// What each fault does to the service in each situation: docs/operate/faults.md is made of what this sees,
// with `FAULTS_WRITE=1 npm run test:field -- test/field/faults/matrix.test.ts`.
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'tap'
import { type Observation, runCell } from './cell.ts'
import { FAULTS } from './faults.ts'
import { describeRow, PAGE, readRow, saysThatItChanges, writeTables } from './page.ts'
import { runAtOnce, withScope } from './scope.ts'
import { createTemplate } from './server.ts'
import { type Cell, listCells } from './situations.ts'
import { PASSWORD } from './world.ts'

/** Most of the time of a cell is waiting. */
const AT_ONCE = 6

/** For a look at some cells only, such as `silent × (migrating|at rest)`. */
const only = new RegExp(process.env.FAULTS_ONLY ?? '')
const isWanted = ({ fault, situation }: Cell) => only.test(`${fault.name} × ${situation.name}`)

test('each fault in each situation: nothing is lost, it heals, and the page says how', async (t) => {
  const committed = readFileSync(PAGE, 'utf8')
  const problems = new Map(FAULTS.map((fault) => [fault.name, fault.findProblem?.()]))
  const cells = listCells(FAULTS)
    .filter(isWanted)
    .filter(({ fault }) => problems.get(fault.name) === undefined)
  const results = await withScope(async (scope) => {
    const template = await createTemplate(scope, PASSWORD)
    return runAtOnce(AT_ONCE, cells, async (cell) => ({ cell, ...(await observe(cell)) }))

    async function observe(cell: Cell): Promise<{ seen?: Observation; error?: unknown }> {
      try {
        const run = () => runCell(template, cell, saysThatItChanges(committed, cell))
        const first = await run()
        // A busy machine may show another moment; what is seen again is so.
        const isNew = describeRow({ cell, seen: first }, committed) !== readRow(committed, cell)
        const seen = isNew ? await run() : first
        if (isNew) t.comment(`${cell.fault.name} × ${cell.situation.name}: run again`)
        if (process.env.FAULTS_WRITE) {
          writeFileSync(PAGE, writeTables(readFileSync(PAGE, 'utf8'), FAULTS, [{ cell, seen }]))
        }
        return { seen }
      } catch (error) {
        return { error }
      }
    }
  })

  for (const [name, problem] of problems) if (problem) t.comment(`${name}: ${problem}`)
  const rows = results.flatMap(({ cell, seen }) => (seen ? [{ cell, seen }] : []))
  for (const { error } of results) {
    if (!error) continue
    t.fail((error as Error).message.split('\n')[0] ?? '')
    t.comment((error as Error).message)
  }
  const page = readFileSync(PAGE, 'utf8')
  for (const row of rows)
    t.equal(describeRow(row, page), readRow(page, row.cell), row.cell.fault.name)
})
