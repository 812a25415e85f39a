import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { median, toTable } from './report.ts'

type Docker = (...args: string[]) => string

export interface ImageStartOptions {
  readonly docker: Docker
  readonly image: string
  /** A compose project that is running. */
  readonly project: string
  readonly rounds: number
}

const PASSWORD = 'postgres'
const URL_OF = (database: string) => `postgres://postgres:${PASSWORD}@postgres:5432/${database}`

/**
 * Measures starts of the image beside the least that they could take. Each program runs in a container that
 * is up already, all on one network, and is timed inside it, so no row has any of the engine's own time in it.
 */
export function describeImageStart({ docker, image, project, rounds }: ImageStartOptions): string {
  const network = `${project}_default`
  const [service, client] = [`${project}-start`, `${project}-psql`]
  const once = readFileSync(join(import.meta.dirname, 'image-once.mjs'), 'utf8')
  const run = ['run', '--detach', '--rm', '--no-healthcheck', '--network', network]
  const postgresId = docker('compose', 'ps', '--quiet', 'postgres')
  const postgresImage = docker('inspect', '--format', '{{.Config.Image}}', postgresId)
  const measured = new Map<string, number[]>()
  const note = (name: string, ms: string) =>
    measured.set(name, [...(measured.get(name) ?? []), Number(ms)])

  const inImage = (env: Readonly<Record<string, string>>, ...command: string[]) => {
    // A base image may bring certificates of its own, which each start of Node.js would read.
    const own = { ...env, NODE_EXTRA_CA_CERTS: '' }
    const variables = Object.entries(own).flatMap(([name, value]) => ['-e', `${name}=${value}`])
    const [until, ...program] = command
    const evaluated = ['node', '--input-type=module', '--eval', once, until ?? '', ...program]
    return docker('exec', ...variables, service, ...evaluated)
  }
  const inClient = (script: string) =>
    docker('exec', '-e', `PGPASSWORD=${PASSWORD}`, client, 'bash', '-c', script)
  const psql = (database: string, work: string) =>
    'PGOPTIONS="-c client_min_messages=warning" psql --no-psqlrc --quiet --single-transaction ' +
    `--set=ON_ERROR_STOP=1 --host=postgres --username=postgres --dbname=${database} ${work} > /dev/null`
  const timed = (command: string) =>
    `begin=$(date +%s%N); ${command} && echo $(( ($(date +%s%N) - begin) / 10000 ))e-2`
  const create = (name: string) =>
    inClient(
      `psql --no-psqlrc --quiet --host=postgres --username=postgres --command='drop database if exists ${name} with (force)' --command='create database ${name}'`,
    )

  docker(
    ...run,
    '--name',
    service,
    '--entrypoint',
    'node',
    image,
    '-e',
    'setInterval(() => {}, 1e9)',
  )
  docker(...run, '--name', client, '--entrypoint', 'sleep', postgresImage, 'infinity')
  try {
    const files = copyMigrations(docker, client)
    create('bench_up')
    const entryPoint: string[] = JSON.parse(
      docker('inspect', '--format', '{{json .Config.Entrypoint}}', image),
    )
    const env = (database: string) => ({ DATABASE_URL: URL_OF(database), PORT: '0' })
    inImage(env('bench_up'), 'ready', ...entryPoint)
    for (let round = 0; round < rounds; round++) {
      note('node', inImage({}, 'ended', 'node', '-e', '0'))
      note('up to date', inImage(env('bench_up'), 'ready', ...entryPoint))
      note('psql, up to date', inClient(timed(psql('bench_up', "--command='select 1'"))))
      create('bench_empty')
      note('psql, empty', inClient(timed(psql('bench_empty', files))))
      create('bench_empty')
      note('empty', inImage(env('bench_empty'), 'ready', ...entryPoint))
    }
  } finally {
    docker('rm', '--force', service, client)
  }
  const ms = (name: string) => median(measured.get(name) ?? [])
  const cell = (name: string, base: string) =>
    `${ms(name).toFixed(0)} (${(ms(name) / ms(base)).toFixed(2)})`
  return [
    `One start of the image, medians of ${rounds} interleaved rounds in ms, each program in a container that is up ` +
      'already and timed inside it; in brackets the ratio to psql, and of what is up to date to `node -e 0`:',
    '',
    toTable(
      ['', 'empty database', 'up to date'],
      [
        ['`node -e 0`', '', cell('node', 'node')],
        ['psql', cell('psql, empty', 'psql, empty'), cell('psql, up to date', 'node')],
        ['the image', cell('empty', 'psql, empty'), cell('up to date', 'node')],
      ],
    ),
  ].join('\n')
}

/** Copies what psql runs into its container, and returns psql's arguments for it. */
function copyMigrations(docker: Docker, container: string): string {
  const committed = join(dirname(import.meta.dirname), 'migrations', 'committed')
  const folder = join(mkdtempSync(join(tmpdir(), 'commandbus-bench-')), 'sql')
  mkdirSync(folder)
  const names = readdirSync(committed)
    .filter((name) => name.endsWith('.sql'))
    .sort()
  for (const name of names) {
    const body = readFileSync(join(committed, name), 'utf8').replace(/^(?:--! .*\n)*/, '')
    writeFileSync(join(folder, name), body.replaceAll(':E2E_SCHEMA', 'on'))
  }
  docker('cp', folder, `${container}:/tmp/sql`)
  rmSync(dirname(folder), { recursive: true })
  return names.map((name) => `--file=/tmp/sql/${name}`).join(' ')
}
