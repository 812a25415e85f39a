// A commit that waits for a synchronous standby, and then loses its session: row F11.
import { type Test, test } from 'tap'
import { becomes } from '../support/becomes.ts'
import { type Cluster, findClusterProblem, startCluster } from '../support/cluster.ts'
import { createMigrationsFolder } from '../support/migrations-folder.ts'
import { startService } from '../support/service.ts'

const skip = findClusterProblem() ?? false

const WAITING = `select pid from pg_stat_activity
  where wait_event = 'SyncRep' and application_name like 'commandbus-db migration%'`

async function startWaiting(t: Test) {
  const cluster = await startCluster(t)
  const service = startService(t, {
    DATABASE_URL: cluster.url(),
    MIGRATIONS_DIR: createMigrationsFolder(t, [
      'create schema one;',
      `create schema two; select pg_sleep(2);`,
      'create schema three;',
    ]),
  })
  await becomes(t, async () => (await service.get('/readyz')).body.detail?.includes('2 of 3'), true)
  await cluster.query(`alter system set synchronous_standby_names = '*'`)
  await cluster.query('select pg_reload_conf()')
  await becomes(t, async () => (await cluster.query(WAITING)).rowCount, 1)
  return { cluster, service }
}

async function stopWaiting(cluster: Cluster) {
  await cluster.query('alter system reset synchronous_standby_names')
}

for (const how of ['its session is terminated', 'the server restarts'] as const) {
  test(`a commit waits for a standby when ${how}: the history is asked`, { skip }, async (t) => {
    const { cluster, service } = await startWaiting(t)

    await stopWaiting(cluster)
    if (how === 'the server restarts') {
      await cluster.stop('fast')
      await cluster.start()
    } else {
      await cluster.query(`select pg_terminate_backend(pid) from (${WAITING}) waiting`)
      await cluster.query('select pg_reload_conf()')
    }

    await service.waitForReady()
    t.notMatch(service.output(), 'rolled back')
    const { rows } = await cluster.query(
      'select filename from graphile_migrate.migrations order by filename',
    )
    t.equal(rows.length, 3)
    t.match(await service.stop(), { code: 0 })
  })
}
