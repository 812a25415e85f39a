/** What had happened how many milliseconds after `docker compose up --wait` was typed. */
export type Timeline = Readonly<Record<string, number>>

interface State {
  readonly StartedAt: string
  readonly Health: { readonly Log: readonly { readonly End: string; readonly ExitCode: number }[] }
}

/** Starts the stack and reads from the containers' logs when which part of it was ready. */
export function measureStart(docker: (...args: string[]) => string): Timeline {
  const typedAt = Date.now()
  docker('compose', '--progress=quiet', 'up', '--wait', '--no-build')
  const returnedAt = Date.now()

  const postgres = readState('postgres')
  const service = readState('commandbus-db')
  const answering = findLine('postgres', 'ready to accept connections')
  const listening = findLine('commandbus-db', 'listening at')
  const ready = findLine('commandbus-db', '"msg":"ready"')
  return {
    'PostgreSQL: container started': postgres.startedAt - typedAt,
    'PostgreSQL: cluster made, answers': answering - typedAt,
    'service: container started': service.startedAt - typedAt,
    'service: listens': listening - typedAt,
    'service: both migrations applied, ready': ready - typedAt,
    '… of which after PostgreSQL answered': ready - answering,
    'service: seen as healthy': service.healthyAt - typedAt,
    'example: seen as healthy': readState('example').healthyAt - typedAt,
    '`up --wait` returned': returnedAt - typedAt,
  }

  function readState(name: string): { startedAt: number; healthyAt: number } {
    const id = docker('compose', 'ps', '--quiet', name)
    const state: State = JSON.parse(docker('inspect', '--format', '{{json .State}}', id))
    const healthy = state.Health.Log.find(({ ExitCode }) => ExitCode === 0)
    if (healthy === undefined) throw new Error(`${name} keeps no record of having become healthy`)
    return { startedAt: Date.parse(state.StartedAt), healthyAt: Date.parse(healthy.End) }
  }

  /** When the last such line was written: a server that makes a cluster says it twice. */
  function findLine(name: string, part: string): number {
    const log = docker('compose', 'logs', '--no-log-prefix', '--timestamps', name)
    const line = log.split('\n').findLast((text) => text.includes(part))
    if (line === undefined) throw new Error(`${name} did not say: ${part}`)
    return Date.parse(line.slice(line.search(/\d{4}-/)).split(' ')[0] ?? '')
  }
}
