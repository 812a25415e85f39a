import { ServiceError } from '../../src/errors/service-error.ts'
import { findCurrentProblems } from '../../src/migrations/files/current.ts'
import { parseConnectionUrl } from '../../src/postgres/connection/url.ts'
import { type Failure, findRefusal } from '../loop/failure.ts'
import { formatFailure, nameFolder } from '../loop/format.ts'
import { listPlaceholders } from '../loop/placeholders.ts'
import type { ShadowUrls } from '../shadow-database.ts'
import { type CommandRun, createCommandSettings } from '../tool.ts'
import { describeFindings } from './report.ts'
import type { Finding } from './rules/finding.ts'
import { RULES } from './rules/index.ts'
import { runSquawk } from './rules/squawk.ts'
import { isFailure, type Trial, tryMigration } from './trial/trial.ts'

/** What a commit may say and do. */
export interface CommitOptions {
  readonly message: string
  /** Rules that may be broken. */
  readonly allowed: ReadonlySet<string>
}

/** Throws if a file that the commit would copy is not what it seems: it is left as it is. */
export function assertCurrentReadable(migrationsDir: string): void {
  const problems = findCurrentProblems(migrationsDir)
  if (problems.length === 0) return
  const folder = nameFolder(migrationsDir)
  const first = findRefusal(migrationsDir)
  const [, ...others] = problems.map(({ filename, problem }) => `${folder}/${filename} ${problem}`)
  throw new ServiceError(
    'current_refused',
    [
      ...(first === undefined ? [] : [formatFailure(first, folder)]),
      ...others,
      'nothing was committed, and every file is as it was. No service would run such a file, so this cannot be allowed.',
    ].join('\n\n'),
    { extensions: { problems } },
  )
}

/**
 * Runs the uncommitted migration twice in the shadow database, which has the committed ones, and throws if it fails or breaks a
 * rule that is not allowed. Returns what is known of it, and what could not be checked.
 */
export async function assertCommittable(
  run: CommandRun,
  { shadowUrl }: ShadowUrls,
  { message, allowed }: CommitOptions,
): Promise<{ readonly trial: Trial; readonly unchecked: readonly string[] }> {
  const { migrationsDir, lockTimeoutMs } = run.config
  const settings = await createCommandSettings({ ...run, migrationsDir })
  const { database: databaseName } = parseConnectionUrl(shadowUrl)
  const trial = await tryMigration({
    ...{ migrationsDir, shadowUrl, lockTimeoutMs, signal: run.signal, onNotice: () => {} },
    placeholders: listPlaceholders({ settings, databaseName }),
    pgSettings: settings.pgSettings,
  })
  const folder = nameFolder(migrationsDir)
  if (isFailure(trial)) throw failedError(trial, folder)
  const squawk = await runSquawk(trial.text, migrationsDir)
  const findings = [
    ...RULES.flatMap((rule) => toFindings(rule.name, rule.check(trial))),
    ...(squawk ?? []),
  ]
  const refused = findings.filter(({ rule }) => !allowed.has(rule)).sort(byPlace)
  if (refused.length > 0) {
    const rules = [...new Set(refused.map(({ rule }) => rule))]
    throw new ServiceError(
      'commit_refused',
      describeFindings(refused, { folder, message, allowed }),
      {
        extensions: { rules },
      },
    )
  }
  return { trial, unchecked: listUnchecked(trial, squawk !== undefined) }
}

/** In the order of the files; what has no place comes last. */
function byPlace({ place: one }: Finding, { place: other }: Finding): number {
  if (one === undefined || other === undefined)
    return Number(one === undefined) - Number(other === undefined)
  return one.file === other.file ? one.line - other.line : one.file < other.file ? -1 : 1
}

const toFindings = (rule: string, found: readonly Omit<Finding, 'rule'>[]) =>
  found.map((one) => ({ ...one, rule }))

function failedError(failure: Failure, folder: string): ServiceError {
  return new ServiceError(
    'migration_command_failed',
    `${formatFailure(failure, folder)}\n\ncommit failed in the shadow database; ${folder} is unchanged`,
  )
}

function listUnchecked({ bodyProblem, text }: Trial, hasSquawk: boolean): string[] {
  const unknown = text.statements.find(({ tree }) => tree === undefined)
  const line = unknown && text.placeAt(unknown.start)
  return [
    ...(bodyProblem === undefined
      ? []
      : [`the statements inside PL/pgSQL functions: ${bodyProblem}`]),
    ...(hasSquawk ? [] : ['what squawk finds: it is not installed']),
    ...(line ? [`names in ${line.file}:${line.line}: the parser does not know the syntax`] : []),
  ]
}
