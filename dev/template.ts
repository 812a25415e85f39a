import { Logger, migrate } from 'graphile-migrate'
import { escapeIdentifier } from 'pg'
import { ensureRecorder } from '../src/baseline/recorder.ts'
import { urlOfDatabase } from '../src/postgres/connection/other-database.ts'
import {
  type Branching,
  createCopy,
  findTemplate,
  listDatabases,
  readHashes,
  rootOf,
  shorten,
} from './branches.ts'
import { openToolSession, withToolSessions } from './loop/tool-session.ts'
import { createCommandSettings } from './tool.ts'
import { withClient } from './with-client.ts'

/** Makes a template of the committed files' history, from the nearest one, unless there is one. */
export async function ensureTemplate({ config, database, signal }: Branching): Promise<void> {
  const { name } = database
  const hashes = await readHashes(config)
  const wanted = `${name}_template_${shorten(hashes.at(-1) ?? 'none')}`
  const unfinished = `${name}_unfinished_${shorten(hashes.at(-1) ?? 'none')}`
  await withClient(rootOf(database), async (root) => {
    const existing = await listDatabases(root, name)
    if (existing.includes(wanted) || signal.aborted) return
    await root.query(`drop database if exists ${escapeIdentifier(unfinished)} with (force)`)
    await createCopy(root, unfinished, findTemplate(name, hashes, existing))
    const url = urlOfDatabase(database.url, unfinished)
    const settings = await createCommandSettings({
      config,
      database,
      signal,
      migrationsDir: config.migrationsDir,
    })
    const open = () => openToolSession({ url, lockTimeoutMs: 0, onNotice: () => {} })
    await withToolSessions({ open, onFailure: () => {} }, () =>
      migrate({ ...settings, connectionString: `socket:/?db=${unfinished}`, logger: SILENT }),
    )
    await withClient(url, async (client) => {
      if ((await ensureRecorder(client)) === undefined) {
        await client.query('select provisioning.record_schema()')
      }
    })
    await root.query(
      `alter database ${escapeIdentifier(unfinished)} rename to ${escapeIdentifier(wanted)}`,
    )
  })
}

const SILENT = new Logger(() => () => {})
