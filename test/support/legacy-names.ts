import type { Queryable } from './procedures.ts'

/** The views that `commandbus.install_legacy_names()` makes in public; the last two only with the schema e2e. */
export const LEGACY_VIEWS = [
  'command_bus_audit',
  'command_bus_batch',
  'command_bus_command',
  'command_bus_payload_archive',
  'e2e_config',
  'test_command',
]

/** The functions that it makes there, which are those that earlier clients brought along. */
export const LEGACY_FUNCTIONS = [
  'sp_fail_command',
  'sp_finish_command',
  'sp_receive_command',
  'sp_start_batch',
  'sp_tsq_cancel',
  'sp_tsq_complete',
  'sp_tsq_retry',
  'sp_update_batch_counters',
]

/** Installs the legacy names; returns them in their order. */
export async function installLegacyNames(db: Queryable): Promise<string[]> {
  const { rows } = await db.query<{ name: string }>(
    'select name from commandbus.install_legacy_names() as name order by name',
  )
  return rows.map(({ name }) => name)
}

/** The names as `installLegacyNames` returns them. */
export const legacyNames = (names: readonly string[]) =>
  [...names].sort().map((name) => `public.${name}`)

/** What two roles may do by way of the legacy names: one that writes, and one that reads. */
export async function readLegacyRights(db: Queryable, writer: string, reader: string) {
  const { rows } = await db.query<Record<string, boolean>>(
    `select has_table_privilege($1, 'public.command_bus_command', 'insert') as writes,
            has_table_privilege($1, 'public.command_bus_command', 'delete') as deletes,
            has_function_privilege($1, 'public.sp_tsq_retry(text, uuid)', 'execute') as calls,
            has_function_privilege('public', 'public.sp_tsq_retry(text, uuid)', 'execute') as anyone,
            has_column_privilege($2, 'public.command_bus_batch', 'status', 'select') as status,
            has_column_privilege($2, 'public.command_bus_batch', 'name', 'select') as name,
            has_table_privilege($2, 'public.e2e_config', 'select with grant option') as option`,
    [writer, reader],
  )
  return rows[0]
}

/** The rights of a writer of the tables, and of a reader of some columns and of the settings, which it may grant. */
export const GRANTED_LEGACY_RIGHTS = {
  ...{ writes: true, deletes: false, calls: true, anyone: false },
  ...{ status: true, name: false, option: true },
}
