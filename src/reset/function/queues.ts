import { QUEUE_TABLES_SQL } from '../../catalog/queues.ts'
import { sql } from '../../postgres/sql-text.ts'
import { lockAtOnce, raiseBlocked } from './blocked.ts'
import type { NumberedSchema } from './numbered.ts'

/** The function that drops a queue. */
export function dropQueueFunction({ queues, tableOf }: NumberedSchema): string {
  if (queues === undefined) return ''
  return sql`
    -- Drops a queue, unless any transaction, a reader's included, blocks it.
    create or replace function pg_temp.drop_queue(p_queue text)
    returns void
    language plpgsql
    as $$
    declare
      v_relation text;
    begin
      foreach v_relation in array array['q_', 'a_'] loop
        v_relation := format('pgmq.%I', lower(v_relation || p_queue));
        continue when to_regclass(v_relation) is null;
        begin
          execute format('lock table %s in access exclusive mode nowait', v_relation);
        exception when lock_not_available then
          ${raiseBlocked('v_relation', 'reader')}
        end;
      end loop;
      ${tableOf.get('pgmq.meta')?.refusesDeletes ? DROP_PUBLISHED : 'perform pgmq.drop_queue(p_queue);'}
    end;
    $$;`
}

/** PGMQ deletes the queue from its list, which has no primary key. */
const DROP_PUBLISHED = sql`
  -- A publication refuses to delete from PGMQ's list of queues as long as nothing identifies its rows.
  ${lockAtOnce('pgmq.meta')}
  alter table pgmq.meta replica identity full;
  perform pgmq.drop_queue(p_queue);
  alter table pgmq.meta replica identity default;
  `

/** Drops the queues that were created since the baseline. */
export function dropNewQueues({ queues }: NumberedSchema): string {
  if (queues === undefined) return ''
  return sql`
    -- Drop the queues that are not in the baseline: without them, the catalogue should be the same.
    foreach v_queue in array array(
      select queue_name
        from pgmq.meta
       where lower(queue_name) <> all (c_queue_names)
       order by 1
    ) loop
      v_dropped_queues := v_dropped_queues || v_queue;
      if not p_only_detect then
        perform pg_temp.drop_queue(v_queue);
      end if;
    end loop;
    if p_only_detect and v_dropped_queues <> '{}' then
      return jsonb_build_object('isClean', false);
    end if;`
}

/** Drops the new queues that are missing in PGMQ's own list. */
export function dropUnlistedQueues({ queues }: NumberedSchema): string {
  if (queues === undefined) return ''
  return sql`
    -- A new queue can be missing in pgmq.meta, which is a table like any other.
    for v_queue in
      select queue
        from (
          ${QUEUE_TABLES_SQL}
        ) as existing (queue)
       where queue <> all (c_queue_names)
       order by 1
    loop
      v_dropped_queues := v_dropped_queues || v_queue;
      v_wrote_catalog := true;
      perform pg_temp.drop_queue(v_queue);
    end loop;`
}
