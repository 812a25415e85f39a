import type { Queryable } from '../postgres/client.ts'

/** A seed by its name, in the version that its hash tells. */
export interface StoredSeed {
  readonly filename: string
  readonly hash: string
}

/** Replaces the list of the seeds that are to run in this database, before its first migration. */
export async function planSeeds(client: Queryable, seeds: readonly StoredSeed[]): Promise<void> {
  await client.query(
    `with gone as (
       delete from provisioning.seed where filename <> all ($1::text[]))
     insert into provisioning.seed (filename, hash)
     select * from unnest($1::text[], $2::text[])
         on conflict (filename) do update set hash = excluded.hash, applied_at = null`,
    [seeds.map(({ filename }) => filename), seeds.map(({ hash }) => hash)],
  )
}

/** Lists the seeds that were planned and have not run; the file of one may be another version by now. */
export async function listPendingSeeds(client: Queryable): Promise<string[]> {
  const { rows } = await client.query<{ filename: string }>(
    'select filename from provisioning.seed where applied_at is null',
  )
  return rows.map(({ filename }) => filename)
}

/** Records, in the seed's own transaction, that it has run. */
export async function recordSeed(client: Queryable, { filename, hash }: StoredSeed): Promise<void> {
  await client.query(
    `insert into provisioning.seed (filename, hash, applied_at) values ($1, $2, now())
         on conflict (filename) do update set hash = excluded.hash, applied_at = now()`,
    [filename, hash],
  )
}

/** Forgets seeds whose files were removed before they ran. */
export async function forgetPendingSeeds(client: Queryable): Promise<void> {
  await client.query('delete from provisioning.seed where applied_at is null')
}

/** Lists the seeds that have run. */
export async function listAppliedSeeds(client: Queryable): Promise<StoredSeed[]> {
  const { rows } = await client.query<StoredSeed>(
    'select filename, hash from provisioning.seed where applied_at is not null order by filename',
  )
  return rows
}
