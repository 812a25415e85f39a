-- The interface of PGMQ 1.13, our own implementation for the embedded PostgreSQL (see ../README.md).
--
-- Functions, arguments, types, tables and columns have PGMQ's names, because its users call and read
-- them. test/pgmq/conformance.test.ts compares names and behavior with PGMQ itself. Names that begin
-- with an underscore belong to this file.
\echo This file is loaded by "create extension pgmq", not by psql. \quit

-- Tables ---------------------------------------------------------------------------------------------

create table pgmq.meta (
  queue_name     varchar     not null unique,
  is_partitioned boolean     not null,
  is_unlogged    boolean     not null,
  created_at     timestamptz not null default now()
);

comment on table pgmq.meta is 'The queues. Each has the tables pgmq.q_<queue> and pgmq.a_<queue>.';

-- Unlogged: after a crash it is unknown when a queue was last announced, which does no harm.
create unlogged table pgmq.notify_insert_throttle (
  queue_name           varchar     not null unique
    constraint notify_insert_throttle_meta_queue_name_fk
      references pgmq.meta (queue_name) on delete cascade,
  throttle_interval_ms integer     not null default 0,
  last_notified_at     timestamptz not null default to_timestamp(0)
);

comment on table pgmq.notify_insert_throttle is
  'Queues that announce new messages, with their minimum intervals. See pgmq.enable_notify_insert().';

select pg_catalog.pg_extension_config_dump('pgmq.meta', '');
select pg_catalog.pg_extension_config_dump('pgmq.notify_insert_throttle', '');

grant usage on schema pgmq to pg_monitor;
grant select on all tables in schema pgmq to pg_monitor;
alter default privileges in schema pgmq grant select on tables to pg_monitor;
alter default privileges in schema pgmq grant select on sequences to pg_monitor;

-- Types ----------------------------------------------------------------------------------------------

-- The column order of PGMQ up to 1.9, with the later column at the end: the command bus's released
-- clients read the columns by position.
create type pgmq.message_record as (
  msg_id       bigint,
  read_ct      integer,
  enqueued_at  timestamptz,
  vt           timestamptz,
  message      jsonb,
  headers      jsonb,
  last_read_at timestamptz
);

comment on type pgmq.message_record is 'A message. Readers cannot see it before vt.';

create type pgmq.queue_record as (
  queue_name     varchar,
  is_partitioned boolean,
  is_unlogged    boolean,
  created_at     timestamptz
);

comment on type pgmq.queue_record is 'A queue, as pgmq.list_queues() returns it.';

create type pgmq.metrics_result as (
  queue_name               text,
  queue_length             bigint,
  newest_msg_age_sec       integer,
  oldest_msg_age_sec       integer,
  total_messages           bigint,
  scrape_time              timestamptz,
  queue_visible_length     bigint,
  default_partition_length bigint
);

comment on type pgmq.metrics_result is
  'Metrics of one queue. total_messages: ever sent; default_partition_length: null, no queue is partitioned.';

-- Names ----------------------------------------------------------------------------------------------

create function pgmq.validate_queue_name(queue_name text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  -- PostgreSQL allows 63 bytes, and 'archived_at_idx_' precedes the name.
  if length(queue_name) > 47 then
    raise exception 'queue name % is too long: it has % characters, 47 are allowed',
      queue_name, length(queue_name);
  end if;
end;
$$;

comment on function pgmq.validate_queue_name(text) is 'Raises an error if the name is too long.';

create function pgmq.format_table_name(queue_name text, prefix text)
returns text
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if queue_name ~ '[$;'']|--' then
    raise exception 'queue name % contains a character that is not allowed ($ ; '' --)',
      queue_name;
  end if;

  return lower(prefix || '_' || queue_name);
end;
$$;

comment on function pgmq.format_table_name(text, text) is
  'The table of a queue, in lower case and unquoted. Prefix q: the queue; a: its archive.';

create function pgmq.acquire_queue_lock(queue_name text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pg_advisory_xact_lock(hashtextextended('pgmq.q_' || lower(queue_name), 0));
$$;

comment on function pgmq.acquire_queue_lock(text) is
  'Blocks other sessions from creating or dropping this queue until the transaction ends.';

-- Queues ---------------------------------------------------------------------------------------------

create function pgmq._is_member(relation regclass)
returns boolean
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select exists (
    select
      from pg_depend d
      join pg_extension e on e.oid = d.refobjid and e.extname = 'pgmq'
     where d.classid = 'pg_class'::regclass
       and d.objid = relation
       and d.refclassid = 'pg_extension'::regclass
       and d.deptype = 'e'
  );
$$;

comment on function pgmq._is_member(regclass) is 'Whether a relation belongs to the extension.';

create function pgmq._add_member(kind text, relation text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if not pgmq._is_member(format('pgmq.%I', relation)::regclass) then
    execute format('alter extension pgmq add %s pgmq.%I', kind, relation);
  end if;
end;
$$;

comment on function pgmq._add_member(text, text) is
  'Makes a table or sequence in schema pgmq part of the extension.';

create function pgmq._drop_members(variadic relations text[])
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_member text;
begin
  -- One lookup for all: this makes dropping a queue a sixth faster.
  for v_member in
    select format('%s pgmq.%I', case relkind when 'S' then 'sequence' else 'table' end, relname)
      from pg_class
      join pg_depend d on d.classid = 'pg_class'::regclass and d.objid = pg_class.oid
      join pg_extension e on e.oid = d.refobjid and e.extname = 'pgmq'
     where relnamespace = 'pgmq'::regnamespace
       and relname = any (relations)
       and d.refclassid = 'pg_extension'::regclass
       and d.deptype = 'e'
  loop
    execute 'alter extension pgmq drop ' || v_member;
  end loop;
end;
$$;

comment on function pgmq._drop_members(text[]) is
  'Removes tables and sequences in schema pgmq from the extension, so that they can be dropped.';

create function pgmq._create_queue(queue_name text, is_unlogged boolean)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_queue   text := pgmq.format_table_name(queue_name, 'q');
  v_archive text := pgmq.format_table_name(queue_name, 'a');
begin
  perform pgmq.validate_queue_name(queue_name);
  perform pgmq.acquire_queue_lock(queue_name);

  execute format(
    'create %s table if not exists pgmq.%I (
       msg_id       bigint      primary key generated always as identity,
       read_ct      integer     not null default 0,
       enqueued_at  timestamptz not null default now(),
       vt           timestamptz not null,
       message      jsonb,
       headers      jsonb,
       last_read_at timestamptz
     )',
    case when is_unlogged then 'unlogged' else '' end, v_queue);
  execute format('create index if not exists %I on pgmq.%I (vt)', v_queue || '_vt_idx', v_queue);

  execute format(
    'create table if not exists pgmq.%I (
       msg_id       bigint      primary key,
       read_ct      integer     not null default 0,
       enqueued_at  timestamptz not null default now(),
       archived_at  timestamptz not null default now(),
       vt           timestamptz not null,
       message      jsonb,
       headers      jsonb,
       last_read_at timestamptz
     )',
    v_archive);
  execute format('create index if not exists %I on pgmq.%I (archived_at)',
    'archived_at_idx_' || queue_name, v_archive);

  perform pgmq._add_member('table', v_queue);
  perform pgmq._add_member('sequence', v_queue || '_msg_id_seq');
  perform pgmq._add_member('table', v_archive);

  insert into pgmq.meta (queue_name, is_partitioned, is_unlogged)
  values (_create_queue.queue_name, false, _create_queue.is_unlogged)
  on conflict do nothing;
end;
$$;

comment on function pgmq._create_queue(text, boolean) is
  'Creates the tables of a queue, unless they exist, and adds it to pgmq.meta.';

create function pgmq.create_non_partitioned(queue_name text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq._create_queue(queue_name, false);
$$;

comment on function pgmq.create_non_partitioned(text) is 'Creates a queue, unless it exists.';

create function pgmq.create(queue_name text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq._create_queue(queue_name, false);
$$;

comment on function pgmq.create(text) is 'Creates a queue, unless it exists.';

create function pgmq.create_unlogged(queue_name text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq._create_queue(queue_name, true);
$$;

comment on function pgmq.create_unlogged(text) is
  'Creates a queue that loses its messages if the server crashes; its archive is an ordinary table.';

create function pgmq.drop_queue(queue_name text)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_queue   text := pgmq.format_table_name(queue_name, 'q');
  v_archive text := pgmq.format_table_name(queue_name, 'a');
begin
  perform pgmq.acquire_queue_lock(queue_name);

  if to_regclass(format('pgmq.%I', v_queue)) is null then
    raise notice 'pgmq queue % does not exist', queue_name;
    return false;
  end if;

  perform pgmq._drop_members(v_queue, v_queue || '_msg_id_seq', v_archive);
  execute format('drop table if exists pgmq.%I, pgmq.%I', v_queue, v_archive);

  delete from pgmq.meta where lower(meta.queue_name) = lower(drop_queue.queue_name);
  return true;
end;
$$;

comment on function pgmq.drop_queue(text) is
  'Drops a queue and its archive; false if there is no such queue.';

create function pgmq.drop_queue(queue_name text, partitioned boolean)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  raise warning 'drop_queue(queue_name, partitioned) is deprecated: call drop_queue(queue_name)';
  return pgmq.drop_queue(queue_name);
end;
$$;

comment on function pgmq.drop_queue(text, boolean) is 'The deprecated form; raises a warning.';

create function pgmq.list_queues()
returns setof pgmq.queue_record
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select queue_name, is_partitioned, is_unlogged, created_at from pgmq.meta;
$$;

comment on function pgmq.list_queues() is 'All queues.';

create function pgmq.purge_queue(queue_name text)
returns bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_queue text := pgmq.format_table_name(queue_name, 'q');
  v_count bigint;
begin
  -- Locked before counting: otherwise a message sent in between would be removed but not counted.
  execute format('lock table pgmq.%I in access exclusive mode', v_queue);
  execute format('select count(*) from pgmq.%I', v_queue) into v_count;
  execute format('truncate table pgmq.%I', v_queue);
  return v_count;
end;
$$;

comment on function pgmq.purge_queue(text) is
  'Removes every message of a queue, visible or not, and returns how many. Ids continue.';

create function pgmq.detach_archive(queue_name text)
returns void
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq._drop_members(pgmq.format_table_name(queue_name, 'a'));
$$;

comment on function pgmq.detach_archive(text) is
  'Removes an archive from the extension, so that "drop extension pgmq" keeps it.';

-- Sending --------------------------------------------------------------------------------------------

create function pgmq.send(queue_name text, msg jsonb, headers jsonb, delay timestamptz)
returns setof bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return query execute format(
    'insert into pgmq.%I (vt, message, headers) values ($1, $2, $3) returning msg_id',
    pgmq.format_table_name(queue_name, 'q'))
  using delay, msg, headers;
end;
$$;

comment on function pgmq.send(text, jsonb, jsonb, timestamptz) is
  'Sends a message with headers, not visible before the given time, and returns its id.';

create function pgmq.send(queue_name text, msg jsonb, headers jsonb, delay integer)
returns setof bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq.send(queue_name, msg, headers, clock_timestamp() + make_interval(secs => delay));
$$;

comment on function pgmq.send(text, jsonb, jsonb, integer) is
  'Sends a message with headers, visible after the delay in seconds, and returns its id.';

create function pgmq.send(queue_name text, msg jsonb)
returns setof bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq.send(queue_name, msg, null, clock_timestamp());
$$;

comment on function pgmq.send(text, jsonb) is 'Sends a message and returns its id.';

create function pgmq.send(queue_name text, msg jsonb, headers jsonb)
returns setof bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq.send(queue_name, msg, headers, clock_timestamp());
$$;

comment on function pgmq.send(text, jsonb, jsonb) is
  'Sends a message with headers and returns its id.';

create function pgmq.send(queue_name text, msg jsonb, delay integer)
returns setof bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq.send(queue_name, msg, null, delay);
$$;

comment on function pgmq.send(text, jsonb, integer) is
  'Sends a message, visible after the delay in seconds, and returns its id.';

create function pgmq.send(queue_name text, msg jsonb, delay timestamptz)
returns setof bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq.send(queue_name, msg, null, delay);
$$;

comment on function pgmq.send(text, jsonb, timestamptz) is
  'Sends a message, not visible before the given time, and returns its id.';

create function pgmq.send_batch(queue_name text, msgs jsonb[], headers jsonb[], delay timestamptz)
returns setof bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if coalesce(cardinality(msgs), 0) = 0 then
    raise exception 'send_batch needs at least one message: msgs is null or empty';
  end if;
  if headers is not null and cardinality(headers) <> cardinality(msgs) then
    raise exception 'send_batch needs headers for each message or for none: % headers, % messages',
      cardinality(headers), cardinality(msgs);
  end if;

  -- Ids are assigned in the order of the rows, so they increase in the order of the array.
  return query execute format(
    'insert into pgmq.%I (vt, message, headers)
     select $1, sent.message, sent.headers
       from unnest($2, $3) with ordinality as sent (message, headers, place)
      order by sent.place
     returning msg_id',
    pgmq.format_table_name(queue_name, 'q'))
  using delay, msgs, headers;
end;
$$;

comment on function pgmq.send_batch(text, jsonb[], jsonb[], timestamptz) is
  'Sends messages, each with its headers, not visible before the given time; returns their ids in order.';

create function pgmq.send_batch(queue_name text, msgs jsonb[], headers jsonb[], delay integer)
returns setof bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq.send_batch(queue_name, msgs, headers, clock_timestamp() + make_interval(secs => delay));
$$;

comment on function pgmq.send_batch(text, jsonb[], jsonb[], integer) is
  'Sends messages, each with its headers, visible after the delay in seconds; returns their ids in order.';

create function pgmq.send_batch(queue_name text, msgs jsonb[])
returns setof bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq.send_batch(queue_name, msgs, null, clock_timestamp());
$$;

comment on function pgmq.send_batch(text, jsonb[]) is 'Sends messages; returns their ids in order.';

create function pgmq.send_batch(queue_name text, msgs jsonb[], headers jsonb[])
returns setof bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq.send_batch(queue_name, msgs, headers, clock_timestamp());
$$;

comment on function pgmq.send_batch(text, jsonb[], jsonb[]) is
  'Sends messages, each with its headers; returns their ids in order.';

create function pgmq.send_batch(queue_name text, msgs jsonb[], delay integer)
returns setof bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq.send_batch(queue_name, msgs, null, delay);
$$;

comment on function pgmq.send_batch(text, jsonb[], integer) is
  'Sends messages, visible after the delay in seconds; returns their ids in order.';

create function pgmq.send_batch(queue_name text, msgs jsonb[], delay timestamptz)
returns setof bigint
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select pgmq.send_batch(queue_name, msgs, null, delay);
$$;

comment on function pgmq.send_batch(text, jsonb[], timestamptz) is
  'Sends messages, not visible before the given time; returns their ids in order.';

-- Receiving ------------------------------------------------------------------------------------------

create function pgmq.read(queue_name text, vt integer, qty integer, conditional jsonb default '{}')
returns setof pgmq.message_record
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  -- clock_timestamp(), not now(): messages become visible and hidden within a long transaction, too.
  return query execute format(
    'with visible as (
       select msg_id
         from pgmq.%1$I
        where vt <= clock_timestamp()
          and (coalesce($3, ''{}'') = ''{}'' or message @> $3)
        order by msg_id
        limit $2
          for update skip locked
     ),
     taken as (
       update pgmq.%1$I q
          set read_ct = q.read_ct + 1,
              last_read_at = clock_timestamp(),
              vt = clock_timestamp() + make_interval(secs => $1)
         from visible
        where q.msg_id = visible.msg_id
       returning q.msg_id, q.read_ct, q.enqueued_at, q.vt, q.message, q.headers, q.last_read_at
     )
     select * from taken order by msg_id',
    pgmq.format_table_name(queue_name, 'q'))
  using vt, qty, conditional;
end;
$$;

comment on function pgmq.read(text, integer, integer, jsonb) is
  'Reads up to qty visible messages that contain the condition, and hides them for vt seconds.';

create function pgmq.read_with_poll(
  queue_name       text,
  vt               integer,
  qty              integer,
  max_poll_seconds integer default 5,
  poll_interval_ms integer default 100,
  conditional      jsonb   default '{}'
)
returns setof pgmq.message_record
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_until timestamptz := clock_timestamp() + make_interval(secs => max_poll_seconds);
begin
  loop
    exit when clock_timestamp() >= v_until;
    return query select * from pgmq.read(queue_name, vt, qty, conditional);
    exit when found;
    perform pg_sleep(poll_interval_ms / 1000.0);
  end loop;
end;
$$;

comment on function pgmq.read_with_poll(text, integer, integer, integer, integer, jsonb) is
  'Like pgmq.read(), but waits up to max_poll_seconds for a message.';

create function pgmq.pop(queue_name text, qty integer default 1)
returns setof pgmq.message_record
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return query execute format(
    'with visible as (
       select msg_id
         from pgmq.%1$I
        where vt <= clock_timestamp()
        order by msg_id
        limit $1
          for update skip locked
     ),
     taken as (
       delete from pgmq.%1$I q
        using visible
        where q.msg_id = visible.msg_id
       returning q.msg_id, q.read_ct, q.enqueued_at, q.vt, q.message, q.headers, q.last_read_at
     )
     select * from taken order by msg_id',
    pgmq.format_table_name(queue_name, 'q'))
  using qty;
end;
$$;

comment on function pgmq.pop(text, integer) is
  'Reads and deletes up to qty visible messages: at-most-once delivery.';

create function pgmq.set_vt(queue_name text, msg_ids bigint[], vt timestamptz)
returns setof pgmq.message_record
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return query execute format(
    'update pgmq.%I
        set vt = $1
      where msg_id = any ($2)
     returning msg_id, read_ct, enqueued_at, vt, message, headers, last_read_at',
    pgmq.format_table_name(queue_name, 'q'))
  using vt, msg_ids;
end;
$$;

comment on function pgmq.set_vt(text, bigint[], timestamptz) is
  'Hides messages until the given time, and returns those that exist.';

create function pgmq.set_vt(queue_name text, msg_ids bigint[], vt integer)
returns setof pgmq.message_record
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select * from pgmq.set_vt(queue_name, msg_ids, clock_timestamp() + make_interval(secs => vt));
$$;

comment on function pgmq.set_vt(text, bigint[], integer) is
  'Hides messages for the given seconds, and returns those that exist.';

create function pgmq.set_vt(queue_name text, msg_id bigint, vt timestamptz)
returns setof pgmq.message_record
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select * from pgmq.set_vt(queue_name, array[msg_id], vt);
$$;

comment on function pgmq.set_vt(text, bigint, timestamptz) is
  'Hides a message until the given time, and returns it.';

create function pgmq.set_vt(queue_name text, msg_id bigint, vt integer)
returns setof pgmq.message_record
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select * from pgmq.set_vt(queue_name, array[msg_id], vt);
$$;

comment on function pgmq.set_vt(text, bigint, integer) is
  'Hides a message for the given seconds, and returns it.';

create function pgmq.delete(queue_name text, msg_ids bigint[])
returns setof bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return query execute format(
    'delete from pgmq.%I where msg_id = any ($1) returning msg_id',
    pgmq.format_table_name(queue_name, 'q'))
  using msg_ids;
end;
$$;

comment on function pgmq.delete(text, bigint[]) is 'Deletes messages; returns the ids that existed.';

create function pgmq.delete(queue_name text, msg_id bigint)
returns boolean
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from pgmq.delete(queue_name, array[msg_id]));
$$;

comment on function pgmq.delete(text, bigint) is 'Deletes a message; false if there is none.';

create function pgmq.archive(queue_name text, msg_ids bigint[])
returns setof bigint
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return query execute format(
    'with taken as (
       delete from pgmq.%I
        where msg_id = any ($1)
       returning msg_id, read_ct, enqueued_at, vt, message, headers, last_read_at
     )
     insert into pgmq.%I (msg_id, read_ct, enqueued_at, vt, message, headers, last_read_at)
     select * from taken
     returning msg_id',
    pgmq.format_table_name(queue_name, 'q'),
    pgmq.format_table_name(queue_name, 'a'))
  using msg_ids;
end;
$$;

comment on function pgmq.archive(text, bigint[]) is
  'Moves messages to the archive; returns the ids that existed.';

create function pgmq.archive(queue_name text, msg_id bigint)
returns boolean
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select exists (select from pgmq.archive(queue_name, array[msg_id]));
$$;

comment on function pgmq.archive(text, bigint) is
  'Moves a message to the archive; false if there is none.';

-- Metrics --------------------------------------------------------------------------------------------

create function pgmq.metrics(queue_name text)
returns pgmq.metrics_result
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  v_queue  text := pgmq.format_table_name(queue_name, 'q');
  v_result pgmq.metrics_result;
begin
  execute format(
    'select $1,
            count(*),
            extract(epoch from now() - max(q.enqueued_at))::integer,
            extract(epoch from now() - min(q.enqueued_at))::integer,
            (select case when is_called then last_value else 0 end from pgmq.%I),
            now(),
            count(*) filter (where q.vt <= now()),
            null::bigint
       from pgmq.%I q',
    v_queue || '_msg_id_seq', v_queue)
  into v_result
  using queue_name;

  return v_result;
end;
$$;

comment on function pgmq.metrics(text) is 'Metrics of one queue; counts its messages.';

create function pgmq.metrics_all()
returns setof pgmq.metrics_result
language sql
volatile
set search_path = pg_catalog, pg_temp
as $$
  select figures.* from pgmq.meta, pgmq.metrics(meta.queue_name) as figures;
$$;

comment on function pgmq.metrics_all() is 'Metrics of all queues.';

-- Announcing -----------------------------------------------------------------------------------------

create function pgmq.notify_queue_listeners()
returns trigger
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  update pgmq.notify_insert_throttle
     set last_notified_at = clock_timestamp()
   where lower(queue_name) = substr(TG_TABLE_NAME, 3)
     and last_notified_at + throttle_interval_ms * interval '1 millisecond' <= clock_timestamp();

  if found then
    perform pg_notify(format('%s.%s.%s', TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_OP), null);
  end if;

  return null;
end;
$$;

comment on function pgmq.notify_queue_listeners() is
  'Notifies pgmq.q_<queue>.INSERT, unless it did so within the queue''s interval.';

create function pgmq.enable_notify_insert(queue_name text, throttle_interval_ms integer default 250)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if throttle_interval_ms < 0 then
    raise exception 'throttle_interval_ms has to be 0 or more, not %', throttle_interval_ms;
  end if;
  if to_regclass(format('pgmq.%I', pgmq.format_table_name(queue_name, 'q'))) is null then
    raise exception 'queue % does not exist: make it with pgmq.create()', queue_name;
  end if;

  insert into pgmq.notify_insert_throttle as throttle (queue_name, throttle_interval_ms)
  values (enable_notify_insert.queue_name, enable_notify_insert.throttle_interval_ms)
  on conflict on constraint notify_insert_throttle_queue_name_key do update
    set throttle_interval_ms = excluded.throttle_interval_ms,
        last_notified_at = excluded.last_notified_at;

  execute format(
    'create or replace trigger trigger_notify_queue_insert_listeners
       after insert on pgmq.%I
       for each statement execute function pgmq.notify_queue_listeners()',
    pgmq.format_table_name(queue_name, 'q'));
end;
$$;

comment on function pgmq.enable_notify_insert(text, integer) is
  'Makes a queue notify pgmq.q_<queue>.INSERT when messages are sent, at most once per interval.';

create function pgmq.update_notify_insert(queue_name text, throttle_interval_ms integer)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if throttle_interval_ms < 0 then
    raise exception 'throttle_interval_ms has to be 0 or more, not %', throttle_interval_ms;
  end if;

  update pgmq.notify_insert_throttle throttle
     set throttle_interval_ms = update_notify_insert.throttle_interval_ms,
         last_notified_at = to_timestamp(0)
   where throttle.queue_name = update_notify_insert.queue_name;

  if not found then
    raise exception 'queue % announces no messages: call pgmq.enable_notify_insert() first', queue_name;
  end if;
end;
$$;

comment on function pgmq.update_notify_insert(text, integer) is
  'Sets the minimum interval between a queue''s notifications.';

create function pgmq.disable_notify_insert(queue_name text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  execute format('drop trigger if exists trigger_notify_queue_insert_listeners on pgmq.%I',
    pgmq.format_table_name(queue_name, 'q'));

  delete from pgmq.notify_insert_throttle throttle
   where throttle.queue_name = disable_notify_insert.queue_name;
end;
$$;

comment on function pgmq.disable_notify_insert(text) is 'Turns a queue''s notifications off.';

create function pgmq.list_notify_insert_throttles()
returns table (queue_name text, throttle_interval_ms integer, last_notified_at timestamptz)
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
  select throttle.queue_name, throttle.throttle_interval_ms, throttle.last_notified_at
    from pgmq.notify_insert_throttle throttle
   order by throttle.queue_name;
$$;

comment on function pgmq.list_notify_insert_throttles() is 'The queues that announce new messages.';

-- What the stand-in does not support -------------------------------------------------------------------

create function pgmq._not_supported(feature text)
returns void
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  raise exception 'the stand-in for PGMQ in the embedded PostgreSQL does not support %', feature
    using errcode = 'feature_not_supported',
          hint = 'Set DATABASE_URL to a PostgreSQL that has PGMQ itself.';
end;
$$;

comment on function pgmq._not_supported(text) is 'Raises feature_not_supported and names the feature.';

-- The functions exist, so that the error can explain itself.
do $$
declare
  v_feature   text;
  v_signature text;
  v_result    text;
begin
  for v_feature, v_signature, v_result in
    values
      ('partitioned queues', 'create_partitioned(queue_name text, partition_interval text default ''10000'', retention_interval text default ''100000'', premake integer default 4)', 'void'),
      ('partitioned archives', 'convert_archive_partitioned(table_name text, partition_interval text default ''10000'', retention_interval text default ''100000'', leading_partition integer default 10)', 'void'),
      ('grouped reads', 'create_fifo_index(queue_name text)', 'void'),
      ('grouped reads', 'create_fifo_indexes_all()', 'void'),
      ('grouped reads', 'read_grouped(queue_name text, vt integer, qty integer)', 'setof pgmq.message_record'),
      ('grouped reads', 'read_grouped_with_poll(queue_name text, vt integer, qty integer, max_poll_seconds integer default 5, poll_interval_ms integer default 100)', 'setof pgmq.message_record'),
      ('grouped reads', 'read_grouped_head(queue_name text, vt integer, qty integer)', 'setof pgmq.message_record'),
      ('grouped reads', 'read_grouped_head_with_poll(queue_name text, vt integer, qty integer, max_poll_seconds integer default 5, poll_interval_ms integer default 100)', 'setof pgmq.message_record'),
      ('grouped reads', 'read_grouped_rr(queue_name text, vt integer, qty integer)', 'setof pgmq.message_record'),
      ('grouped reads', 'read_grouped_rr_with_poll(queue_name text, vt integer, qty integer, max_poll_seconds integer default 5, poll_interval_ms integer default 100)', 'setof pgmq.message_record'),
      ('topics', 'bind_topic(pattern text, queue_name text)', 'void'),
      ('topics', 'unbind_topic(pattern text, queue_name text)', 'boolean'),
      ('topics', 'test_routing(routing_key text)', 'table (pattern text, queue_name text, compiled_regex text)'),
      ('topics', 'list_topic_bindings()', 'table (pattern text, queue_name text, bound_at timestamptz, compiled_regex text)'),
      ('topics', 'send_topic(routing_key text, msg jsonb)', 'integer'),
      ('topics', 'send_topic(routing_key text, msg jsonb, delay integer)', 'integer'),
      ('topics', 'send_topic(routing_key text, msg jsonb, headers jsonb, delay integer)', 'integer'),
      ('topics', 'send_batch_topic(routing_key text, msgs jsonb[])', 'table (queue_name text, msg_id bigint)'),
      ('topics', 'send_batch_topic(routing_key text, msgs jsonb[], headers jsonb[])', 'table (queue_name text, msg_id bigint)'),
      ('topics', 'send_batch_topic(routing_key text, msgs jsonb[], delay integer)', 'table (queue_name text, msg_id bigint)'),
      ('topics', 'send_batch_topic(routing_key text, msgs jsonb[], delay timestamptz)', 'table (queue_name text, msg_id bigint)'),
      ('topics', 'send_batch_topic(routing_key text, msgs jsonb[], headers jsonb[], delay integer)', 'table (queue_name text, msg_id bigint)'),
      ('topics', 'send_batch_topic(routing_key text, msgs jsonb[], headers jsonb[], delay timestamptz)', 'table (queue_name text, msg_id bigint)'),
      ('topics', 'validate_routing_key(routing_key text)', 'boolean'),
      ('topics', 'validate_topic_pattern(pattern text)', 'boolean')
  loop
    execute format(
      'create function pgmq.%s returns %s language plpgsql volatile
         set search_path = pg_catalog, pg_temp
         as $f$ begin perform pgmq._not_supported(%L); end $f$',
      v_signature, v_result, v_feature);
  end loop;

  -- In SQL, because PL/pgSQL does not allow an argument and a column with the same name.
  create function pgmq.list_topic_bindings(queue_name text)
  returns table (pattern text, queue_name text, bound_at timestamptz, compiled_regex text)
  language sql
  volatile
  set search_path = pg_catalog, pg_temp
  as 'select * from pgmq.list_topic_bindings()';

  for v_signature in
    select p.oid::regprocedure
      from pg_proc p
     where p.pronamespace = 'pgmq'::regnamespace
       and obj_description(p.oid, 'pg_proc') is null
  loop
    execute format('comment on function %s is %L', v_signature,
      'Not supported by the stand-in: raises feature_not_supported.');
  end loop;
end;
$$;
