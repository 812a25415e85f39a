import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Config } from '../src/config/config.ts'
import { pickEnvironment } from '../src/config/environment.ts'
import { createMask } from '../src/config/redact.ts'
import { EXIT } from '../src/errors/codes.ts'
import { readGmrc } from '../src/migrations/tool/gmrc.ts'
import type { DevelopmentDatabase } from './database.ts'

/** What a development command works with. */
export type CommandRun = Omit<ToolRun, 'migrationsDir'>

export interface ToolRun {
  readonly config: Config
  readonly database: DevelopmentDatabase
  /** The folder to work on: the project's, or a copy of it. */
  readonly migrationsDir: string
  /** Stops the tool. */
  readonly signal: AbortSignal
}

export interface ToolResult {
  readonly exitCode: number
  /** What it printed, without passwords. */
  readonly output: string
}

/** A stack of the tool does not help those who wrote the SQL. */
const STACK_LINE = /^\s+at .*(node_modules|node:)/

/**
 * Runs a command of graphile-migrate's command line. The URLs are passed in the environment, and the output
 * passes the mask, so neither it nor a list of processes has passwords.
 */
export async function runMigrationTool(args: readonly string[], run: ToolRun): Promise<ToolResult> {
  const { config, database, migrationsDir, signal } = run
  const folder = mkdtempSync(join(tmpdir(), 'commandbus-db-'))
  try {
    const settings = join(folder, 'gmrc.json')
    writeFileSync(settings, JSON.stringify(await createCommandSettings(run)))
    const cli = join(dirname(createRequire(import.meta.url).resolve('graphile-migrate')), 'cli.js')
    const tool = spawn(process.execPath, [cli, '--config', settings, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        // For the commands among the actions of .gmrc.
        ...pickEnvironment(['PATH']),
        ...config.nodeVariables,
        ...config.placeholderVariables,
        DATABASE_URL: database.url,
        SHADOW_DATABASE_URL: database.shadowUrl,
        ROOT_DATABASE_URL: database.rootUrl,
      },
    })
    const mask = createMask(config)
    const show = (text: string) => mask(text).replaceAll(migrationsDir, config.migrationsDir)
    let output = ''
    for (const stream of ['stdout', 'stderr'] as const) {
      const lines = createInterface({ input: tool[stream] })
      lines.on('line', (line) => {
        if (!STACK_LINE.test(line)) output += `${show(line)}\n`
      })
    }
    const stop = () => tool.kill('SIGTERM')
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    return await new Promise<ToolResult>((resolve, reject) => {
      tool.once('error', reject)
      tool.once('close', (code) => resolve({ exitCode: code ?? EXIT.unforeseen, output }))
    }).finally(() => signal.removeEventListener('abort', stop))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The settings of `.gmrc`, for this migrations folder, with its variables and E2E_SCHEMA applied. */
export async function createCommandSettings({
  config,
  migrationsDir,
}: ToolRun): Promise<CommandSettings> {
  const gmrc = (await readGmrc(config.migrationsDir))?.content ?? {}
  const settings = gmrc as { placeholders?: object; pgSettings?: Record<string, string> }
  const { placeholder, wanted } = config.optionalSchema
  const placeholders = Object.entries(settings.placeholders ?? {}).map(([name, value]) => [
    name,
    value === '!ENV' ? (config.placeholderVariables[name.slice(1)] ?? value) : value,
  ])
  return {
    ...settings,
    placeholders: { ...Object.fromEntries(placeholders), ...(wanted && { [placeholder]: wanted }) },
    // As on the embedded server: what PL/pgSQL can find, it finds while a function is written.
    pgSettings: { 'plpgsql.extra_errors': 'all', ...settings.pgSettings },
    migrationsFolder: migrationsDir,
  }
}

type CommandSettings = Readonly<Record<string, unknown>> & {
  readonly placeholders: Readonly<Record<string, string>>
  readonly pgSettings: Readonly<Record<string, string>>
}
