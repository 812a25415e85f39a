-- Sends a batch of three payments, as a client of the command bus does. Every fourth batch, the first
-- included, has a payment that the worker cannot make.
do $$
declare
  v_batch_id uuid := gen_random_uuid();
  v_batches bigint;
  v_command_id uuid;
  v_msg_id bigint;
begin
  select count(*)
    into v_batches
    from commandbus.batch
   where batch.domain = 'payments';

  insert into commandbus.batch
    (domain, batch_id, name, total_count)
  values
    ('payments', v_batch_id, format('payments %s', v_batches + 1), 3);

  for v_number in 1..3 loop
    v_command_id := gen_random_uuid();
    v_msg_id := pgmq.send(
      'payments__commands',
      jsonb_build_object(
        'command_id', v_command_id,
        'amount', case when v_number = 3 and v_batches % 4 = 0 then -10 else 10 * v_number end
      )
    );

    insert into commandbus.command
      (domain, queue_name, msg_id, command_id, command_type, status, max_attempts, reply_queue, batch_id)
    values
      ('payments', 'payments__commands', v_msg_id, v_command_id, 'Pay', 'PENDING', 3,
       'payments__replies', v_batch_id);

    insert into commandbus.audit
      (domain, command_id, event_type)
    values
      ('payments', v_command_id, 'SENT');
  end loop;
end;
$$;
