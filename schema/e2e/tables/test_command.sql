-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table e2e.test_command (
  id integer not null default nextval('e2e.test_command_id_seq'::regclass),
  command_id uuid not null,
  payload jsonb not null default '{}'::jsonb,
  behavior jsonb not null,
  created_at timestamp with time zone not null default now(),
  processed_at timestamp with time zone,
  attempts integer not null default 0,
  result jsonb,
  constraint test_command_command_id_key UNIQUE (command_id),
  constraint test_command_pkey PRIMARY KEY (id)
);
CREATE INDEX test_command_created_at_idx ON e2e.test_command USING btree (created_at);
comment on table e2e.test_command is 'A command whose handler does what the test says.';
comment on column e2e.test_command.id is 'Counts up.';
comment on column e2e.test_command.command_id is 'The command on the bus.';
comment on column e2e.test_command.payload is 'The command''s payload.';
comment on column e2e.test_command.behavior is 'What the handler does: succeed, fail, or take some time.';
comment on column e2e.test_command.created_at is 'When the test created it.';
comment on column e2e.test_command.processed_at is 'When the handler finished.';
comment on column e2e.test_command.attempts is 'How often the handler was called.';
comment on column e2e.test_command.result is 'What the handler returned.';
