import { createHash } from 'node:crypto'
import { ServiceError } from '../errors/service-error.ts'
import type { SeedVersion } from '../migrations/files/seeds.ts'
import type { AppliedMigration } from '../migrations/history.ts'

/** What the database of DATABASE_URL was made of. */
export interface Recipe {
  /** Its history, oldest first. */
  readonly applied: readonly AppliedMigration[]
  readonly optionalSchema: 'on' | 'off'
  /** The version of the service, which may record or compare differently than another one. */
  readonly version: string
}

/** What a template is made of. */
export interface TemplateRecipe extends Recipe {
  /** The whole that it is a part of. */
  readonly from: Recipe
  /** The same for all services that would make the same template. */
  readonly key: string
  /** None where a number of the last migration was named. */
  readonly seeds: readonly SeedVersion[]
  /** The one for requests that name no last migration. */
  readonly isWhole: boolean
  /** As the answer shows it: the number and the hash of the last migration. */
  readonly last: { readonly number: string; readonly hash: string }
}

/**
 * Reduces a recipe to the migrations up to `through`, without seeds; throws `body_wrong` if it has none of
 * that number.
 */
export function chooseRecipe(
  recipe: Recipe,
  allSeeds: readonly SeedVersion[],
  through: string | undefined,
): TemplateRecipe {
  const applied = through === undefined ? recipe.applied : cut(recipe.applied, through)
  const last = applied.at(-1)
  if (last === undefined) throw new Error('a database that is ready has a migration')
  const isWhole = through === undefined
  const seeds = isWhole ? allSeeds : []
  const made = { ...recipe, applied: applied.map(({ hash }) => hash), seeds }
  return {
    ...recipe,
    from: recipe,
    applied,
    seeds,
    isWhole,
    key: createHash('sha256').update(JSON.stringify(made)).digest('hex'),
    last: { number: numberOf(last), hash: last.hash },
  }
}

function cut(applied: readonly AppliedMigration[], through: string): readonly AppliedMigration[] {
  const wanted = Number.parseInt(through, 10)
  const index = applied.findIndex((migration) => Number(numberOf(migration)) === wanted)
  if (index >= 0) return applied.slice(0, index + 1)
  throw new ServiceError(
    'body_wrong',
    `the body is wrong: through must be the number of a migration from ${numberOf(applied[0])} to ` +
      `${numberOf(applied.at(-1))}; there is no ${JSON.stringify(through.slice(0, 20))}`,
  )
}

function numberOf(migration: AppliedMigration | undefined): string {
  return migration?.recordedAs.replace(/\.sql$/, '') ?? ''
}
