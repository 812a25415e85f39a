// npm run bench:image -- [--rounds=5] [--write]
// Needs a container engine; works on a compose project of its own, which it takes down.
import { execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
import { parseArgs } from 'node:util'
import { describeImageStart } from './image-programs.ts'
import { measureStart, type Timeline } from './image-start.ts'
import { median, replaceSection, toTable } from './report.ts'

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    write: { type: 'boolean', default: false },
  },
})
const rounds = Number(values.rounds)
const project = 'commandbus-bench'
const image = `${project}-commandbus-db`
const base = 'node:26-bookworm-slim'
const env = { ...process.env, COMPOSE_PROJECT_NAME: project, HTTP_PORT: '0', POSTGRES_PORT: '0' }
const compose = (...args: string[]) => docker('compose', '--progress=quiet', ...args)

const timelines: Timeline[] = []
let text: string
try {
  compose('build')
  for (let round = 0; round < rounds; round++) {
    compose('down', '--volumes')
    timelines.push(measureStart(docker))
  }
  const starts = describeImageStart({ docker, image, project, rounds: rounds * 3 })
  text = [starts, describeStart(timelines), describeLayers(), describeChecks()].join('\n\n')
} finally {
  compose('down', '--volumes', '--rmi', 'local')
}
if (values.write) {
  replaceSection(new URL('../docs/internals/benchmarks.md', import.meta.url), 'bench:image', text)
}
console.log(text)

function describeStart(timelines: readonly Timeline[]): string {
  const [first] = timelines
  if (first === undefined) throw new Error('--rounds must be at least 1')
  return [
    `Medians of ${rounds} starts on an empty volume, the images built; ${cpus().length} cores ` +
      `(${cpus()[0]?.model}). Times since \`docker compose up --wait\` was typed:`,
    '',
    toTable(
      ['', 'ms'],
      Object.keys(first).map((step) => [
        step,
        median(timelines.map((timeline) => timeline[step] ?? Number.NaN)).toFixed(0),
      ]),
    ),
  ].join('\n')
}

function describeLayers(): string {
  const size = (image: string) => Number(docker('inspect', '--format', '{{.Size}}', image))
  const layers = docker('history', '--no-trunc', '--format', '{{.Size}}\t{{.CreatedBy}}', image)
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([, by = '']) => /^(RUN|COPY).*buildkit/.test(by))
  const own = size(image) - size(base)
  return [
    'The layers over the base (the migrations, the service, the base without npm), and their sum:',
    '',
    toTable(
      ['layer', 'size'],
      [
        ...layers.map(([size = '', by = '']) => [
          `\`${by
            .replace(/^RUN \S+ VERSION.*?sh -c /, 'RUN ')
            .replace(/ # buildkit$/, '')
            .replace(/\s+/g, ' ')
            .slice(0, 70)}\``,
          size,
        ]),
        ['**all of ours**', `**${(own / 1e6).toFixed(2)} MB**`],
        [`\`${base}\``, `${(size(base) / 1e6).toFixed(0)} MB`],
      ],
    ),
  ].join('\n')
}

/** In the running container, one kind after the other, so that all see the same machine. */
function describeChecks(): string {
  const kinds = {
    'the health check': ['node', 'healthcheck.js'],
    '`node --eval 0`': ['node', '--eval', '0'],
    '`true`, the cost of `docker exec` itself': ['true'],
  }
  const durations = Object.keys(kinds).map((): number[] => [])
  for (let round = 0; round < rounds * 4; round++) {
    Object.values(kinds).forEach((command, kind) => {
      const startedAt = performance.now()
      docker('exec', `${image}-1`, ...command)
      durations[kind]?.push(performance.now() - startedAt)
    })
  }
  return [
    `One health check, medians of ${rounds * 4}:`,
    '',
    toTable(
      ['', 'ms'],
      Object.keys(kinds).map((name, kind) => [name, median(durations[kind] ?? []).toFixed(0)]),
    ),
  ].join('\n')
}

function docker(...args: string[]): string {
  return execFileSync('docker', args, {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  }).trim()
}
