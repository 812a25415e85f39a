-- What a bus in use holds: commands 1 to 6, one of each status; batch 1 waits, batch 2 runs, batch 3 is
-- complete, with right counters; audit events with a gap in their ids; an archived payload.

insert into commandbus.batch
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

insert into commandbus.command
  (domain, queue_name, msg_id, command_id, command_type, status, attempts, max_attempts,
   last_error_type, last_error_code, last_error_msg, created_at, updated_at, reply_queue, correlation_id)
select 'payments', 'payments__commands', n, ('cccccccc-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid,
       'Debit', status, n, 3, 'E' || n, 'code', 'text', timestamptz '2025-01-01Z' + n * interval '1 h',
       timestamptz '2025-01-02Z' + n * interval '1 h', 'payments__replies',
       ('dddddddd-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid
  from unnest(array['PENDING', 'IN_PROGRESS', 'COMPLETED', 'FAILED', 'CANCELED',
                    'IN_TROUBLESHOOTING_QUEUE']) with ordinality as statuses (status, n);

insert into commandbus.command
  (domain, queue_name, command_id, command_type, status, max_attempts, batch_id)
select 'payments', 'payments__commands',
       ('cccccccc-0000-4000-8000-' || lpad((100 * batch + row_number() over (partition by batch))::text, 12, '0'))::uuid,
       'Credit', status, 3, ('bbbbbbbb-0000-4000-8000-' || lpad(batch::text, 12, '0'))::uuid
  from (values
    (1, 'PENDING'), (1, 'PENDING'),
    (2, 'COMPLETED'), (2, 'COMPLETED'), (2, 'CANCELED'), (2, 'IN_TROUBLESHOOTING_QUEUE'), (2, 'IN_PROGRESS'),
    (3, 'COMPLETED'), (3, 'COMPLETED'), (3, 'CANCELED')
  ) as commands (batch, status);

insert into commandbus.audit (domain, command_id, event_type, ts, details_json)
select domain, command_id, 'SENT', created_at, '{"by": "an earlier client"}'
  from commandbus.command
 where batch_id is null;
select nextval('commandbus.audit_audit_id_seq') from generate_series(1, 36);
insert into commandbus.audit (domain, command_id, event_type)
select domain, command_id, 'RECEIVED' from commandbus.command where batch_id is null and status <> 'PENDING';

insert into commandbus.payload_archive (domain, command_id, payload_json)
select domain, command_id, '{"amount": 12}' from commandbus.command where batch_id is null;
