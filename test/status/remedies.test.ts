import { test } from 'tap'
import { PAGE, updateStates } from '../../scripts/states.ts'
import { NOT_READY_REASONS } from '../../src/readiness.ts'
import { STATES } from '../../src/status/remedies.ts'
import { listProjectFiles, readProjectFile } from '../support/files.ts'

test('the page on states has what npm run docs:states generates', async (t) => {
  const page = readProjectFile(PAGE)

  t.equal(updateStates(page), page)
})

test('every state has its entry, and every log line that it names is logged', async (t) => {
  const source = listProjectFiles('src', '.ts')
    .filter((file) => file !== 'src/status/remedies.ts')
    .map(readProjectFile)
    .join('\n')

  t.strictSame(Object.keys(STATES).sort(), ['ready', ...NOT_READY_REASONS].sort())
  for (const { log } of Object.values(STATES)) {
    // `${happened}; staying up` in the source.
    for (const part of log.split(/(?=; )/)) {
      t.ok(
        source.includes(`'${part}`) || source.includes(`\`${part}`) || source.includes(`}${part}`),
        log,
      )
    }
  }
})
