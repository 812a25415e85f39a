-- A bus that has been in use for long: 1000000 commands, the first four fifths of them in batches of
-- 1,000, of which every twentieth runs; two audit events for each command.

insert into public.command_bus_batch
  (domain, batch_id, status, total_count, completed_count, in_troubleshooting_count, started_at)
select 'payments', ('bbbbbbbb-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
       case when n % 20 = 0 then 'IN_PROGRESS' else 'COMPLETED' end, 1000,
       case when n % 20 = 0 then 600 else 1000 end, case when n % 20 = 0 then 10 else 0 end, now()
  from generate_series(0, 1000000 / 1250 - 1) as n;

insert into public.command_bus_command
  (domain, queue_name, msg_id, command_id, command_type, status, attempts, max_attempts, batch_id)
select 'payments', 'payments__commands', n, gen_random_uuid(), 'Debit',
       case
         when batch % 20 <> 0 or batch >= 1000000 / 1250 or n % 1000 < 600 then 'COMPLETED'
         when n % 1000 < 610 then 'IN_TROUBLESHOOTING_QUEUE'
         else 'PENDING'
       end,
       1, 3,
       case when batch < 1000000 / 1250
            then ('bbbbbbbb-0000-4000-8000-' || lpad(batch::text, 12, '0'))::uuid end
  from (select n, n / 1000 as batch from generate_series(0, 1000000 - 1) as n) as numbers;

insert into public.command_bus_audit (domain, command_id, event_type, details_json)
select domain, command_id, event_type, '{"msg_id": 1, "attempt": 1, "max_attempts": 3}'
  from public.command_bus_command
  cross join unnest(array['RECEIVED', 'COMPLETED']) as event_type;
