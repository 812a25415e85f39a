// A stop while databases are lent, on a server that does not answer or is slow.
import { test } from 'tap'
import { settled } from '../../support/until.ts'
import { withScope } from '../faults/scope.ts'
import { createTemplate } from '../faults/server.ts'
import { openWorld, PASSWORD } from '../faults/world.ts'
import { SITUATIONS } from './situations.ts'

test('a server that does not answer holds up a stop for a second', async (t) => {
  await withScope(async (scope) => {
    const template = await createTemplate(scope, PASSWORD)
    for (const { name, reach } of SITUATIONS) {
      const world = await openWorld(scope, template)
      const { service } = await reach(world)
      world.server.freeze()
      const startedAt = performance.now()
      const { code } = await settled('the service stops', service.stop())
      const durationMs = performance.now() - startedAt
      t.equal(code, 0, name)
      t.ok(durationMs < 2500, `${name}: ${Math.round(durationMs)} ms`)
      if (durationMs > 2500) t.comment(service.output().slice(-4000))
      world.server.thaw()
    }
  })
})
