/** A migration that a commit refuses. */
export interface RefusedCase {
  /** The rule that refuses it. */
  readonly rule: string
  /** What `current.sql` has. */
  readonly sql: string
  /** What is replaced in a fixture. */
  readonly fixture?: { readonly path: string; readonly from: string; readonly to: string }
  /** The fixture that is deleted. */
  readonly deleted?: string
}

const LABEL = 'commandbus.label'
const FIXTURE = 'commandbus/functions/sp_start_batch.sql'

/** A function that no rule refuses, but for what is replaced in it. */
const FUNCTION = `create or replace function commandbus.count_batches(p_domain text)
returns bigint
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select count(*) from commandbus.batch where batch.domain = p_domain;
$$;
comment on function commandbus.count_batches(text) is 'Counts the batches of a domain.';
revoke all on function commandbus.count_batches(text) from public;
`

/** One for each rule: docs/use/what-a-commit-refuses.md shows them with what the commit says. */
export const CASES: readonly RefusedCase[] = [
  {
    rule: 'fixture-not-included',
    sql: "comment on table commandbus.batch is 'Batches.';\n",
    fixture: { path: FIXTURE, from: 'p_wait => true', to: 'p_wait => false' },
  },
  {
    rule: 'fixture-gone',
    sql: "comment on table commandbus.batch is 'Batches.';\n",
    deleted: FIXTURE,
  },
  {
    rule: 'not-repeatable',
    sql: `create table ${LABEL} (name text primary key);
comment on table ${LABEL} is 'Labels.';
comment on column ${LABEL}.name is 'Its name.';
`,
  },
  {
    rule: 'signature-changed',
    sql: `create or replace function commandbus.sp_start_batch(p_domain text, p_batch_id uuid, p_wait boolean default true)
returns boolean
language sql
set search_path = pg_catalog, pg_temp
as $$
  select commandbus.start_batch(p_domain, p_batch_id, p_wait);
$$;
comment on function commandbus.sp_start_batch(text, uuid, boolean) is 'Starts a batch.';
revoke all on function commandbus.sp_start_batch(text, uuid, boolean) from public;
`,
  },
  {
    rule: 'recreated',
    sql: `drop function if exists commandbus.sp_start_batch(text, uuid);
--!include ${FIXTURE}
`,
  },
  {
    rule: 'long-lock',
    sql: 'create index if not exists batch_created_at_idx on commandbus.batch (created_at);\n',
  },
  {
    rule: 'unqualified-name',
    sql: FUNCTION.replace(
      '  select count(*) from commandbus.batch',
      '  select count(*) from batch',
    ).replace('pg_catalog, pg_temp', 'commandbus, pg_temp'),
  },
  {
    rule: 'function-search-path',
    sql: FUNCTION.replace('set search_path = pg_catalog, pg_temp\n', ''),
  },
  {
    rule: 'function-grants',
    sql: FUNCTION.replace(/revoke all .*\n/, ''),
  },
  {
    rule: 'missing-comment',
    sql: FUNCTION.replace(/comment on .*\n/, ''),
  },
  {
    rule: 'session-state',
    sql: "select pg_catalog.set_config('search_path', '', false);\n",
  },
  {
    rule: 'squawk/adding-required-field',
    sql: `alter table commandbus.batch add column if not exists label text not null;
comment on column commandbus.batch.label is 'Its label.';
`,
  },
]

/** On a PostgreSQL with plpgsql_check. */
export const BODY_CASE: RefusedCase = {
  rule: 'function-body',
  sql: FUNCTION.replace('language sql', 'language plpgsql').replace(
    /as \$\$[^$]*\$\$/,
    () => `as $$
begin
  return (select count(*) from commandbus.batch where batch.domian = p_domain);
end;
$$`,
  ),
}
