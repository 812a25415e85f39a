import { test } from 'tap'
import { PAGE, updateTables } from '../../scripts/error-codes.ts'
import { ERROR_CODE_CHAPTERS, ERROR_CODES } from '../../src/errors/codes.ts'
import { readProjectFile } from '../support/files.ts'

test('the page has the tables that npm run docs:error-codes generates', async (t) => {
  const page = readProjectFile(PAGE)

  t.equal(updateTables(page), page)
})

test('every code is in exactly one chapter', async (t) => {
  const listed = Object.values(ERROR_CODE_CHAPTERS).flatMap((entries) => Object.keys(entries))

  t.strictSame(listed, Object.keys(ERROR_CODES))
})
