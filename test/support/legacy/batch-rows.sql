-- Batch 1 waits, batch 2 runs, batch 3 is complete; every counter is right.

insert into public.command_bus_batch
  (domain, batch_id, name, custom_data, status, total_count, completed_count, canceled_count,
   in_troubleshooting_count, created_at, started_at, completed_at)
select 'payments', ('bbbbbbbb-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'batch ' || n,
       '{"made": "before"}', status, total, completed, canceled, troubled,
       timestamptz '2025-01-01Z', started, ended
  from (values
    (1, 'PENDING', 2, 0, 0, 0, null::timestamptz, null::timestamptz),
    (2, 'IN_PROGRESS', 5, 2, 1, 1, '2025-01-02Z', null),
    (3, 'COMPLETED_WITH_FAILURES', 3, 2, 1, 0, '2025-01-02Z', '2025-01-03Z')
  ) as batches (n, status, total, completed, canceled, troubled, started, ended);

insert into public.command_bus_command
  (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
select 'payments', 'payments__commands',
       ('cccccccc-0000-4000-8000-' || lpad((100 * batch + row_number() over (partition by batch))::text, 12, '0'))::uuid,
       'Credit', status, 3, ('bbbbbbbb-0000-4000-8000-' || lpad(batch::text, 12, '0'))::uuid
  from (values
    (1, 'PENDING'), (1, 'PENDING'),
    (2, 'COMPLETED'), (2, 'COMPLETED'), (2, 'CANCELED'), (2, 'IN_TROUBLESHOOTING_QUEUE'), (2, 'IN_PROGRESS'),
    (3, 'COMPLETED'), (3, 'COMPLETED'), (3, 'CANCELED')
  ) as commands (batch, status);
