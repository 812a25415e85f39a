import { test } from 'tap'
import { createTestDatabase } from '../support/postgres.ts'
import { collect, createProject, exitOf, until } from './project.ts'

for (const where of ['a given database', 'embedded servers']) {
  test(`checkouts that start at the same moment get ports of their own: ${where}`, async (t) => {
    const settings: Record<string, string> =
      where === 'embedded servers'
        ? { HOST: '127.0.0.1' }
        : {
            HOST: '127.0.0.1',
            DATABASE_URL: (await createTestDatabase(t, { from: 'migrated' })).url,
          }
    const start = () => {
      const dev = createProject(t, settings).start('dev.js')
      return { dev, output: collect(dev), ended: exitOf(dev) }
    }
    const checkouts = [start(), start()]

    await until('all watch', () =>
      checkouts.every(({ dev, output }) => dev.exitCode !== null || /watching /.test(output())),
    )
    const ports = new Set<string>()
    for (const { dev, output, ended } of checkouts) {
      ports.add(/listening at http:\/\/127\.0\.0\.1:(\d+)/.exec(output())?.[1] ?? output())
      if (dev.exitCode === null) process.kill(-Number(dev.pid), 'SIGINT')
      t.equal(await ended, 0, output())
    }
    t.equal(ports.size, checkouts.length, [...ports].join(', '))
  })
}
