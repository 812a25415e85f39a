import type { ProvisionHooks } from './provision.ts'

/** Hooks that run one after the other; after the migrations, the last ones first. */
export function combineHooks(...all: readonly ProvisionHooks[]): ProvisionHooks {
  return {
    async afterLocking(client) {
      for (const hooks of all) await hooks.afterLocking?.(client)
    },
    async beforeMigrating(client, status) {
      for (const hooks of all) await hooks.beforeMigrating?.(client, status)
    },
    async beforeFirstFile(client) {
      for (const hooks of all) await hooks.beforeFirstFile?.(client)
    },
    async beforeFirstCommit(client) {
      for (const hooks of all) await hooks.beforeFirstCommit?.(client)
    },
    async whileMigrating(client, migration) {
      for (const hooks of all) await hooks.whileMigrating?.(client, migration)
    },
    async afterMigrating(client, result) {
      for (const hooks of all.toReversed()) await hooks.afterMigrating?.(client, result)
    },
  }
}
