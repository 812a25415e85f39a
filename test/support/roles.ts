import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { loadServer } from './server.ts'

/**
 * Creates a role that lives as long as the test. Roles outlive databases: to be created before the
 * database in which it will own or may do something, as teardowns run in reverse order.
 */
export async function createTestRole(
  t: { teardown(work: () => Promise<void>): unknown },
  attributes = 'login',
): Promise<string> {
  const role = `test_role_${randomBytes(5).toString('hex')}`
  await withServer((client) => client.query(`create role ${role} ${attributes}`))
  t.teardown(() => withServer((client) => client.query(`drop role ${role}`)))
  return role
}

async function withServer(work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: loadServer().url })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}
