import { writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { beginRecording, finishRecording } from '../src/baseline/recorder.ts'
import { openClient } from '../src/postgres/client.ts'
import type { DevelopmentDatabase } from './database.ts'

/** The hooks of the migration tool, in front of which and after which the schema is recorded. */
const HOOKS = [
  ['beforeAllMigrations', 'afterAllMigrations'],
  ['beforeCurrent', 'afterCurrent'],
] as const

type Settings = Readonly<Record<string, unknown>>

/**
 * Returns the tool's settings with actions that record what current.sql and migrations change, so that it is
 * no drift. They do nothing in a database whose schema was never recorded. `folder` holds their files.
 */
export function withRecording(settings: Settings, folder: string, migrationsDir: string): Settings {
  const write = (step: 'begin' | 'finish') => {
    const path = join(folder, `${step}-recording.sql`)
    writeFileSync(path, recordIfRecorded(step))
    // The tool looks for it from the migrations folder.
    return { _: 'sql', file: relative(migrationsDir, path), shadow: false }
  }
  const [begin, finish] = [write('begin'), write('finish')]
  const added = HOOKS.flatMap(([before, after]) => [
    [before, [...listActions(settings[before]), begin]],
    [after, [finish, ...listActions(settings[after])]],
  ])
  return { ...settings, ...Object.fromEntries(added) }
}

/** Records what `work` changes in the database and its history; what prevents that does not prevent the work. */
export async function recordChanges<T>(
  database: DevelopmentDatabase,
  work: () => Promise<T>,
): Promise<T> {
  await withClient(database, beginRecording)
  try {
    return await work()
  } finally {
    await withClient(database, finishRecording)
  }
}

async function withClient(
  database: DevelopmentDatabase,
  record: (client: Awaited<ReturnType<typeof openClient>>) => Promise<unknown>,
): Promise<void> {
  try {
    const client = await openClient(database.url, 'development')
    await record(client).finally(() => client.end())
  } catch {
    // Then drift is not known, and says so.
  }
}

function recordIfRecorded(step: 'begin' | 'finish'): string {
  return `do $$
begin
  if obj_description(to_regclass('provisioning.recorded_schema'), 'pg_class')
       = 'The moments of which the schema was recorded, without any row of data.' then
    if exists (select from provisioning.recorded_schema where moment = 'after') then
      perform provisioning.${step}_recording();
    end if;
  end if;
exception
  when others then
    raise warning 'what current.sql changes is not recorded: %', sqlerrm;
end
$$;
`
}

function listActions(actions: unknown): readonly unknown[] {
  if (actions === undefined || actions === null) return []
  return Array.isArray(actions) ? actions : [actions]
}
