-- Sends, receives and completes one command, as a client of the command bus does; then rolls back.
begin;

select pgmq.create('example__commands');

do $$
declare
  v_command_id uuid := gen_random_uuid();
  v_msg_id bigint;
  v_status text;
begin
  v_msg_id := pgmq.send('example__commands', jsonb_build_object('command_id', v_command_id));

  insert into commandbus.command
    (domain, queue_name, msg_id, command_id, command_type, status, max_attempts)
  values
    ('example', 'example__commands', v_msg_id, v_command_id, 'SayHello', 'PENDING', 3);

  perform commandbus.sp_receive_command('example', v_command_id);
  perform commandbus.sp_finish_command('example', v_command_id, 'COMPLETED', 'COMPLETED');
  perform pgmq.archive('example__commands', v_msg_id);

  select command.status
    into strict v_status
    from commandbus.command
   where command.domain = 'example'
     and command.command_id = v_command_id;

  assert v_status = 'COMPLETED', format('the command is %s', v_status);
end;
$$;

rollback;
