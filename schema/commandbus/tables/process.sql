-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table commandbus.process (
  domain text not null,
  process_id uuid not null,
  process_type text not null,
  status text not null default 'PENDING'::text,
  current_step text,
  state jsonb not null default '{}'::jsonb,
  error_code text,
  error_message text,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  completed_at timestamp with time zone,
  batch_id uuid,
  constraint process_pkey PRIMARY KEY (domain, process_id)
);
CREATE INDEX process_batch_id_idx ON commandbus.process USING btree (batch_id);
CREATE INDEX process_batch_id_status_idx ON commandbus.process USING btree (batch_id, status);
CREATE INDEX process_created_at_idx ON commandbus.process USING btree (created_at);
CREATE INDEX process_domain_process_type_idx ON commandbus.process USING btree (domain, process_type);
CREATE INDEX process_domain_status_idx ON commandbus.process USING btree (domain, status);
comment on table commandbus.process is 'State of the client''s process manager: one row for each process. Only the client writes it.';
comment on column commandbus.process.domain is 'The domain of the process.';
comment on column commandbus.process.process_id is 'Chosen by the client; the correlation_id of its commands.';
comment on column commandbus.process.process_type is 'Selects the client''s process definition.';
comment on column commandbus.process.status is 'The client''s word: PENDING, WAITING, COMPLETED, COMPENSATING, COMPENSATED, CANCELED or another.';
comment on column commandbus.process.current_step is 'The step whose reply the process waits for.';
comment on column commandbus.process.state is 'The client''s data.';
comment on column commandbus.process.error_code is 'Code of the error that ended it.';
comment on column commandbus.process.error_message is 'Message of that error.';
comment on column commandbus.process.created_at is 'When the client created it.';
comment on column commandbus.process.updated_at is 'When the client last changed it.';
comment on column commandbus.process.completed_at is 'When it ended.';
comment on column commandbus.process.batch_id is 'Its batch of type PROCESS, if it belongs to one.';
