import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GenericContainer, Network, type StartedTestContainer, Wait } from 'testcontainers'
import { projectDir } from '../support/server.ts'

// The tests take down what they start; the helper that does so after a killed run is an image that
// cannot be pulled everywhere.
process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'

/** The compose file's image, or another by the same variable. */
const image =
  process.env.PGMQ_IMAGE ??
  /\$\{PGMQ_IMAGE:-(.+)\}/.exec(
    readFileSync(join(projectDir, 'docker-compose.yml'), 'utf8'),
  )?.[1] ??
  ''

/** PostgreSQL with the real PGMQ, as the compose file runs it. */
export interface DatabaseContainer {
  readonly container: StartedTestContainer
  /** For containers that are to reach it. */
  readonly network: string
  readonly urlInNetwork: string
  readonly urlOnHost: string
}

interface Test {
  teardown(work: () => Promise<unknown>): unknown
}

/** Starts a server that lives as long as the test. */
export async function startDatabase(t: Test): Promise<DatabaseContainer> {
  const network = await new Network().start()
  t.teardown(() => network.stop())
  const settings = { fsync: 'off', max_connections: 200, max_prepared_transactions: 10 }
  const container = await new GenericContainer(image)
    .withNetwork(network)
    .withNetworkAliases('database')
    .withExposedPorts(5432)
    .withEnvironment({ POSTGRES_PASSWORD: 'postgres' })
    .withCommand([
      'postgres',
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ])
    // Over TCP: the server that makes the cluster answers on its socket alone.
    .withHealthCheck({
      test: ['CMD', 'pg_isready', '--host=127.0.0.1', '--username=postgres'],
      interval: 250,
      timeout: 3000,
      retries: 240,
    })
    .withWaitStrategy(Wait.forHealthCheck())
    .start()
  t.teardown(() => container.stop({ timeout: 0, removeVolumes: true }))

  const at = `${container.getHost()}:${container.getMappedPort(5432)}`
  return {
    container,
    network: network.getName(),
    urlInNetwork: 'postgres://postgres:postgres@database:5432/postgres',
    urlOnHost: `postgres://postgres:postgres@${at}/postgres`,
  }
}
