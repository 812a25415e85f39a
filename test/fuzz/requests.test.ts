import { test } from 'tap'
import { createAnswerCheck, readBuiltDescription } from '../support/described.ts'
import { fuzz } from './run.ts'
import { startSubject, TOKEN } from './subject.ts'

test('10,000 requests of every kind are answered as described, and change nothing', async (t) => {
  const subject = await startSubject(t)
  const description = readBuiltDescription()
  const check = createAnswerCheck(description)

  await fuzz(t, { ...subject, description, check, token: TOKEN, requests: 10_000 })

  t.strictSame(await subject.listChanges(), [])
  await subject.assertWell()
})
