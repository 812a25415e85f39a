import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Pool } from 'pg'
import { installPythonPackage } from '../support/python.ts'

/** A PGMQ that can be put into an empty database. */
export interface Implementation {
  readonly name: string
  install(pool: Pool): Promise<void>
}

/** The extension that the embedded server finds in embedded/. */
export const standIn: Implementation = {
  name: 'the stand-in',
  async install(pool) {
    await pool.query('create extension pgmq')
  },
}

/** Which release of the Python package `pgmq`: it carries the SQL of PGMQ 1.13.0. */
const carrierVersion = '1.1.4'

/** PGMQ's own SQL, which is not part of this project, or why it could not be had. */
export async function loadRealPgmq(): Promise<Implementation | { readonly missing: string }> {
  const carrier = await installPythonPackage('pgmq', carrierVersion, { dependencies: false })
  if ('missing' in carrier) return carrier
  const sql = readFileSync(join(carrier.dir, 'pgmq', 'sql', 'pgmq.sql'), 'utf8')
  return {
    name: 'the real PGMQ',
    async install(pool) {
      await pool.query(sql)
    },
  }
}

/** Whether the server has the stand-in: a server given by TEST_DATABASE_URL need not. */
export async function hasStandIn(pool: Pool): Promise<boolean> {
  const { rows } = await pool.query(
    `select from pg_catalog.pg_available_extension_versions
      where name = 'pgmq' and version like '%standin'`,
  )
  return rows.length > 0
}
