insert into public.test_command (command_id, payload, behavior, attempts, result)
select command_id, '{"a": 1}', '{"type": "fail"}', 1, '{"ok": true}' from public.command_bus_command;
select nextval('public.test_command_id_seq') from generate_series(1, 9);
