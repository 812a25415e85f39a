
-- What a newer client leaves besides: counters that nobody has refreshed, and 10,000 processes in batches
-- of 100.

update commandbus.batch
   set completed_count = 0, in_troubleshooting_count = 0
 where status = 'IN_PROGRESS';

insert into commandbus.batch
  (domain, batch_id, batch_type, status, total_count, completed_count, canceled_count, started_at)
select 'payments', ('dddddddd-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'PROCESS', 'IN_PROGRESS',
       100, 0, 0, now()
  from generate_series(0, 99) as n;

insert into commandbus.process (domain, process_id, process_type, status, batch_id)
select 'payments', gen_random_uuid(), 'Transfer', case when n % 100 < 60 then 'COMPLETED' else 'WAITING' end,
       ('dddddddd-0000-4000-8000-' || lpad((n / 100)::text, 12, '0'))::uuid
  from generate_series(0, 9999) as n;

insert into commandbus.process_audit
  (domain, process_id, step_name, command_id, command_type, sent_at)
select domain, process_id, 'debit', gen_random_uuid(), 'Debit', now()
  from commandbus.process
 cross join generate_series(1, 3);
