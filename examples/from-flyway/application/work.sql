-- Makes the payments that are waiting, each in a transaction of its own. One of a negative amount goes to
-- the troubleshooting queue.
do $$
declare
  v_message record;
  v_command record;
begin
  loop
    select read.msg_id, read.message
      into v_message
      from pgmq.read('payments__commands', 30, 1) as read;
    exit when not found;

    select received.command_id, received.batch_id, received.reply_queue
      into v_command
      from commandbus.sp_receive_command(
             'payments', (v_message.message ->> 'command_id')::uuid, 'IN_PROGRESS', v_message.msg_id
           ) as received;

    if not found then
      perform pgmq.archive('payments__commands', v_message.msg_id);
    elsif (v_message.message ->> 'amount')::int < 0 then
      perform commandbus.sp_finish_command(
        'payments', v_command.command_id, 'IN_TROUBLESHOOTING_QUEUE', 'MOVED_TO_TSQ',
        'PERMANENT', 'NEGATIVE_AMOUNT', 'a payment cannot be negative', null, v_command.batch_id
      );
      perform pgmq.archive('payments__commands', v_message.msg_id);
    else
      perform commandbus.sp_finish_command(
        'payments', v_command.command_id, 'COMPLETED', 'COMPLETED', null, null, null, null,
        v_command.batch_id
      );
      perform pgmq.send(
        v_command.reply_queue,
        jsonb_build_object('command_id', v_command.command_id, 'outcome', 'SUCCESS')
      );
      perform pgmq.delete('payments__commands', v_message.msg_id);
    end if;
    commit;
  end loop;
end;
$$;
