-- Commands 1 to 6, one of each status; their audit with a gap in its ids; messages and an archive.

insert into public.command_bus_command
  (domain, queue_name, msg_id, command_id, command_type, status, attempts, max_attempts,
   last_error_type, last_error_code, last_error_msg, created_at, updated_at, reply_queue)
select 'payments', 'payments__commands', n, ('cccccccc-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
       'Debit', status, n, 3, 'E' || n, 'code', 'text', timestamptz '2025-01-01Z' + n * interval '1 h',
       timestamptz '2025-01-02Z' + n * interval '1 h', 'payments__replies'
  from unnest(array['PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELED',
                    'IN_TROUBLESHOOTING_QUEUE']) with ordinality as statuses (status, n);

insert into public.command_bus_audit (domain, command_id, event_type, ts, details_json)
select domain, command_id, 'SENT', created_at, '{"by": "the old client"}'
  from public.command_bus_command;
select nextval('public.command_bus_audit_audit_id_seq') from generate_series(1, 36);
insert into public.command_bus_audit (domain, command_id, event_type)
select domain, command_id, 'RECEIVED' from public.command_bus_command where status <> 'PENDING';

insert into public.command_bus_payload_archive (domain, command_id, payload_json)
select domain, command_id, '{"amount": 12}' from public.command_bus_command;

update public.e2e_config set value = '{"concurrency": 16}' where key = 'worker';

select pgmq.create('billing__commands');
select pgmq.send('payments__commands', jsonb_build_object('n', n)) from generate_series(1, 5) as n;
select pgmq.send('billing__commands', '{"n": 1}');
select pgmq.archive('payments__commands', 2::bigint);
