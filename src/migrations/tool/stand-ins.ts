import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import { basename, dirname, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import pg from 'pg'
import { createMigrationParser } from '../files/migration.ts'
import { PIECE_BYTES, readPieces } from '../files/pieces.ts'
import type { LargeMigration } from './tool-pool.ts'

export interface StandInOptions {
  readonly databaseName: string
  readonly migrationsFolder: string
  /** What graphile-migrate gets in place of the driver's pool. */
  readonly pool: object
  /** Filled, by name, with the files in whose place it gets a short text. */
  readonly largeFiles: Map<string, LargeMigration>
}

export interface StandIns {
  /** Graphile-migrate reads only the database's name from it, which may have any characters. */
  readonly connectionString: string
  remove(): void
}

const { Pool } = pg
const { readFile } = fs.promises
const { localeCompare } = String.prototype

const FILES_AT_ONCE = 64

/** Graphile-migrate keeps the texts of all files, each several times. Those beyond this get a stand-in, too. */
const MAX_BYTES_KEPT = 4 * 1024 * 1024

interface Run extends StandInOptions {
  bytesKept: number
}

/** By connection string. */
const runs = new Map<string, Run>()
let isInstalled = false

/** Gives one run of graphile-migrate what it cannot be given as an argument. Nothing else notices it. */
export function standIn(options: StandInOptions): StandIns {
  if (!isInstalled) install()
  // The tool keeps the pool of a connection string for a while, and each run needs its own.
  const connectionString = `socket:/?db=${encodeURIComponent(options.databaseName)}&run=${randomUUID()}`
  runs.set(connectionString, { ...options, bytesKept: 0 })
  return {
    connectionString,
    remove() {
      runs.delete(connectionString)
      if (isGrowthOff && runs.size === 0) setGrowth(USUAL_GROWTH)
    },
  }
}

/** It takes these from their modules when it uses them. */
function install(): void {
  isInstalled = true
  Object.assign(pg, {
    Pool: function createPool(config?: pg.PoolConfig) {
      return runs.get(config?.connectionString ?? '')?.pool ?? new Pool(config)
    },
  })
  Object.assign(fs.promises, { readFile: readForTool })
  Object.defineProperty(String.prototype, 'localeCompare', { value: compareNumbersByCode })
}

/**
 * Returns, in place of each large file, one that has the same headers and no text: graphile-migrate holds all files
 * in memory at once, several times over. Its check of the hash is done here.
 */
async function readForTool(path: string, ...options: []): Promise<unknown> {
  const readers = typeof path === 'string' ? findReaders(resolve(dirname(path))) : []
  if (readers.length === 0) return readFile(path, ...options)
  await takeTurn()
  const { size } = fs.statSync(path)
  const isKept = ({ bytesKept }: Run) => size < PIECE_BYTES && bytesKept + size <= MAX_BYTES_KEPT
  if (!readers.every(isKept)) return inTurn(() => readLargeFile(path, readers))
  for (const run of readers) run.bytesKept += size
  // At once: with promises, a thousand files take four times as long.
  return fs.readFileSync(path, ...options)
}

/** Reads and checks a file in pieces, and returns what stands in for it. */
async function readLargeFile(path: string, readers: readonly Run[]): Promise<string> {
  if (!isGrowthOff) setGrowth(NO_GROWTH)
  const parser = createMigrationParser(path)
  for await (const piece of readPieces(path)) if (!parser.read(piece)) break
  const migration = parser.finish()
  if ('problem' in migration) throw new Error(`${basename(path)} ${migration.problem}`)
  const { hash, previousHash, noTransaction } = migration
  for (const { largeFiles } of readers) largeFiles.set(basename(path), migration)
  const lines = [
    `--! Previous: ${previousHash ?? '-'}`,
    `--! Hash: ${hash}`,
    '--! AllowInvalidHash',
    '',
    ...(noTransaction ? ['--! no-transaction'] : []),
    '-- in place of the file',
  ]
  return lines.join('\n')
}

let turn: Promise<unknown> = Promise.resolve()
let turns = 0

/** Lets other work of the process run after each so many small files: the tool asks for all at the same time. */
async function takeTurn(): Promise<void> {
  turns++
  await (turns % FILES_AT_ONCE === 0 ? inTurn(() => setImmediate()) : turn)
}

/** Runs one after another. */
function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const done = turn.then(work)
  turn = done.catch(() => {})
  return done
}

/** The runs that read the committed files in this folder. */
function findReaders(folder: string): Run[] {
  return [...runs.values()].filter(
    ({ migrationsFolder }) => resolve(migrationsFolder, 'committed') === folder,
  )
}

/** While a large file is read, the space for new objects would grow to 48 MB, for strings that are soon gone. */
const NO_GROWTH = 1
const USUAL_GROWTH = 2
let isGrowthOff = false

/** Only where there are large files: a changed flag costs Node.js the compiled code of modules that are loaded later. */
function setGrowth(factor: typeof NO_GROWTH | typeof USUAL_GROWTH): void {
  isGrowthOff = factor === NO_GROWTH
  setFlagsFromString(`--semi-space-growth-factor=${factor}`)
}

/**
 * Lets the tool sort `000001.sql` and `000002.sql` without the rules of a language, which Node.js takes 10 ms to load.
 * For such names the rules say the same as the codes of the characters.
 */
export function compareNumbersByCode(
  this: string,
  other: string,
  ...rules: [string?, Intl.CollatorOptions?]
): number {
  if (!NUMBERED.test(this) || !NUMBERED.test(other)) {
    return localeCompare.call(this, other, ...rules)
  }
  return this < other ? -1 : Number(this > other)
}

const NUMBERED = /^[0-9]+\.sql$/
