import { test } from 'tap'
import { PAGE, updateTables } from '../../scripts/error-codes.ts'
import {
  describeErrorCode,
  ERROR_CODE_CHAPTERS,
  ERROR_CODES,
  type ErrorCode,
  EXIT,
} from '../../src/errors/codes.ts'
import { readProjectFile } from '../support/files.ts'

test('the page has the tables that npm run docs:error-codes generates', async (t) => {
  const page = readProjectFile(PAGE)

  t.equal(updateTables(page), page)
})

test('every code is in exactly one chapter', async (t) => {
  const listed = Object.values(ERROR_CODE_CHAPTERS).flatMap((entries) => Object.keys(entries))

  t.strictSame(listed, Object.keys(ERROR_CODES))
})

test('a database that refuses the service is no fault of the service: 503', async (t) => {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[]
  const entries = codes.map((code) => describeErrorCode(code))
  for (const { exitCode, status, meaning } of entries) {
    if (exitCode === EXIT.database) t.equal(status, 503, meaning)
  }
  t.equal(describeErrorCode('database_password_wrong').status, 503)
})
