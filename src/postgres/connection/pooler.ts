import { ServiceError } from '../../errors/service-error.ts'
import { describeError, isProtocolViolation } from '../errors.ts'
import type { SessionClient } from './client.ts'

/**
 * Who asks for its backend, one query after the other, outside a transaction. A pooler that hands out
 * the backend used last gives the same one to both; one that hands them out in turn changes it between
 * two queries of one client. Under load it changes at random.
 */
const ORDER = [
  'one',
  'one',
  'other',
  'one',
  'other',
  'other',
  'one',
  'other',
  'one',
  'one',
] as const

/** Longest wait for a backend for the second client; a pooler may have no more for this user. */
const WAIT_MS = 2000

/**
 * Throws if the pooler does not keep a backend for each client (transaction or statement mode): advisory
 * locks and settings would be left on the backend of another client. Changes nothing in any session.
 */
export async function assertSessionPooling(
  client: SessionClient,
  openOther: () => Promise<SessionClient>,
): Promise<void> {
  const other = await openOther()
  const pids = new Map<string, number>()
  try {
    for (const name of ORDER) {
      const pid = await readPid(name === 'one' ? client : other)
      // In session mode, too, a pool may be used up: then there is no second backend to compare.
      if (pid === undefined) return
      const known = pids.get(name)
      if (known !== undefined && known !== pid) throw poolerError('it changed between two queries')
      pids.set(name, pid)
      if (pids.get('one') === pids.get('other')) throw poolerError('two connections share one')
    }
  } catch (error) {
    // Statement mode may also reject what needs more than one statement.
    throw isProtocolViolation(error) ? poolerError(describeError(error)) : error
  } finally {
    void other.end()
  }
}

async function readPid(client: SessionClient): Promise<number | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, WAIT_MS, undefined)
  })
  const query = client
    .query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid')
    .then(({ rows }) => rows[0]?.pid)
  query.catch(() => {})
  try {
    return await Promise.race([query, late])
  } finally {
    clearTimeout(timer)
  }
}

function poolerError(found: string): ServiceError {
  return new ServiceError(
    'pooler_not_supported',
    `DATABASE_URL leads to a pooler that does not keep one backend for each connection (${found}), as ` +
      'PgBouncer does with pool_mode=transaction or statement; a migration lock belongs to a backend. ' +
      'Connect to PostgreSQL itself, or to the pooler in session mode. No lock was taken, nothing was run',
  )
}
