import { QUEUE_TABLES_SQL } from '../../catalog/queues.ts'
import { textArray } from '../../postgres/quote.ts'
import { raiseLocked } from './blocked.ts'

/** Queues made since go first: without them the catalogue is what it was. */
export function planQueues(queues: readonly string[] | undefined): string {
  if (queues === undefined) return ''
  return `
  for v_queue in
    select queue_name from pgmq.meta where lower(queue_name) <> all (${keptNames(queues)}) order by 1
  loop
    v_dropped := v_dropped || v_queue;
    if not p_only_look then
      ${DROP_QUEUE}
    end if;
  end loop;
  if p_only_look and v_dropped <> '{}' then
    return jsonb_build_object('isClean', false);
  end if;`
}

/** Those that PGMQ's list has lost are looked for only when the catalogue says that something is new. */
export function planLostQueues(queues: readonly string[] | undefined): string {
  if (queues === undefined) return ''
  return `
    for v_queue in
      select queue from (${QUEUE_TABLES_SQL}) as lost (queue)
       where queue <> all (${keptNames(queues)}) order by 1
    loop
      v_dropped := v_dropped || v_queue;
      v_signs_anew := true;
      ${DROP_QUEUE}
    end loop;`
}

function keptNames(queues: readonly string[]): string {
  return textArray(queues.map((queue) => queue.toLowerCase()))
}

const DROP_QUEUE = `foreach v_table in array array['q_', 'a_'] loop
        v_table := format('pgmq.%I', lower(v_table || v_queue));
        continue when to_regclass(v_table) is null;
        begin
          execute format('lock table %s in access exclusive mode nowait', v_table);
        exception when lock_not_available then
          ${raiseLocked('v_table', 'all')}
        end;
      end loop;
      perform pgmq.drop_queue(v_queue);`
