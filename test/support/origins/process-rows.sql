-- Processes 1 to 6, one of each status and one whose command waits for an operator (command 6).

insert into commandbus.process (domain, process_id, process_type, status, current_step, state, created_at, updated_at)
select 'payments', ('dddddddd-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'Transfer', status, 'debit',
       jsonb_build_object('n', n), timestamptz '2025-01-01Z', timestamptz '2025-01-02Z'
  from unnest(array['PENDING', 'COMPLETED', 'COMPENSATED', 'CANCELED', 'FAILED',
                    'WAITING']) with ordinality as statuses (status, n);

insert into commandbus.process_audit
  (domain, process_id, step_name, command_id, command_type, command_data, sent_at, reply_outcome)
select 'payments', process_id, 'debit', gen_random_uuid(), 'Debit', '{}', created_at, 'SUCCESS'
  from commandbus.process;
select nextval('commandbus.process_audit_id_seq') from generate_series(1, 9);
