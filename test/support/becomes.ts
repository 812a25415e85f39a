import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

/** Waits until `read` gives the wanted value; the failure of a wait shows the last one. */
export async function becomes(
  t: Test,
  read: () => Promise<unknown>,
  wanted: unknown,
): Promise<void> {
  const deadline = Date.now() + 20_000
  let found = await read()
  while (JSON.stringify(found) !== JSON.stringify(wanted) && Date.now() < deadline) {
    await sleep(20)
    found = await read()
  }
  t.strictSame(found, wanted)
}
