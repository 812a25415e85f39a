import { readdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { EXIT } from '../../src/errors/codes.ts'
import { ServiceError } from '../../src/errors/service-error.ts'
import { findLostConnection } from '../lost-connection.ts'
import { type CommandRun, runMigrationTool } from '../tool.ts'
import { slugOf } from './message.ts'

/** Drops and creates the shadow database, and migrates it to the committed files of a folder. */
export async function resetShadow(run: CommandRun, migrationsDir: string, command: string) {
  await runTool(['reset', '--shadow', '--erase'], { run, migrationsDir, command })
}

/** Makes current.sql of a folder its next committed migration, with no other database than the shadow database. */
export async function commitInShadow(run: CommandRun, migrationsDir: string, message: string) {
  const { shadowUrl = '' } = run.database
  // The tool also migrates DATABASE_URL, and compares it with the shadow database's as a text. The development database gets
  // the migration later, when nothing else can fail.
  const url = `${shadowUrl}${shadowUrl.includes('?') ? '&' : '?'}application_name=commit`
  const inShadow = { ...run, database: { ...run.database, url } }
  await runTool(['commit', '--message', message], {
    ...{ run: inShadow, migrationsDir, command: 'commit' },
  })
  renameBySlug(join(migrationsDir, 'committed'), message)
}

/** The tool leaves letters with accents out of the name, which is recorded nowhere else. */
function renameBySlug(folder: string, message: string): void {
  const numberOf = (name: string) => Number.parseInt(name, 10) || 0
  const names = readdirSync(folder).sort((one, other) => numberOf(one) - numberOf(other))
  const last = names.at(-1) ?? ''
  const slug = slugOf(message)
  const [number] = last.split(/[-.]/)
  renameSync(join(folder, last), join(folder, `${number}${slug && `-${slug}`}.sql`))
}

async function runTool(
  args: readonly string[],
  { run, migrationsDir, command }: { run: CommandRun; migrationsDir: string; command: string },
): Promise<void> {
  const { exitCode, output } = await runMigrationTool(args, { ...run, migrationsDir })
  if (exitCode === EXIT.stopped) return
  const folder = run.config.migrationsDir
  run.signal.throwIfAborted()
  const lost = findLostConnection(output)
  if (lost !== undefined) throw lost
  throw new ServiceError(
    'migration_command_failed',
    `${nameFiles(withoutObjects(output), folder).trim()}\n\n${command} failed in the shadow database, see above; ${folder} is unchanged`,
  )
}

/** Runs a command. If it fails after an interrupt, the error says that it was interrupted: no file was changed before the end. */
export async function orInterrupted<T>(
  { signal, config }: CommandRun,
  command: string,
  work: () => Promise<T>,
): Promise<T> {
  try {
    signal.throwIfAborted()
    return await work()
  } catch (error) {
    if (!signal.aborted) throw error
    throw new ServiceError(
      'migration_command_failed',
      `${command} was interrupted; ${config.migrationsDir} is unchanged`,
    )
  }
}

/** Without the properties that Node.js prints behind an error. */
export function withoutObjects(output: string): string {
  return output.replaceAll(/ \{\n(?:[ \t].*\n)*?\}(?=\n|$)/g, '')
}

/** The tool writes `000003.sql` for a committed file. */
function nameFiles(output: string, folder: string): string {
  return output.replaceAll(/(?<![\w/-])(\d{6}[\w-]*\.sql)/g, `${folder}/committed/$1`)
}
