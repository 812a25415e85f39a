-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table commandbus.batch (
  domain text not null,
  batch_id uuid not null,
  name text,
  custom_data jsonb,
  status text not null default 'PENDING'::text,
  total_count integer not null default 0,
  completed_count integer not null default 0,
  canceled_count integer not null default 0,
  in_troubleshooting_count integer not null default 0,
  created_at timestamp with time zone not null default now(),
  started_at timestamp with time zone,
  completed_at timestamp with time zone,
  failed_count integer not null default 0,
  batch_type text not null default 'COMMAND'::text,
  counter_rows smallint not null default 0,
  constraint batch_counts_are_not_negative CHECK (((completed_count >= 0) AND (canceled_count >= 0) AND (failed_count >= 0) AND (in_troubleshooting_count >= 0))),
  constraint batch_counts_do_not_exceed_total CHECK (((((completed_count + canceled_count) + failed_count) + in_troubleshooting_count) <= total_count)),
  constraint batch_pkey PRIMARY KEY (domain, batch_id),
  constraint batch_status_is_known CHECK ((status = ANY (ARRAY['PENDING'::text, 'IN_PROGRESS'::text, 'COMPLETED'::text, 'COMPLETED_WITH_FAILURES'::text]))),
  constraint batch_type_is_known CHECK ((batch_type = ANY (ARRAY['COMMAND'::text, 'PROCESS'::text])))
) with (fillfactor=50);
CREATE INDEX batch_domain_created_at_idx ON commandbus.batch USING btree (domain, created_at DESC);
CREATE INDEX batch_domain_status_idx ON commandbus.batch USING btree (domain, status);
comment on table commandbus.batch is 'A group of commands or processes that is tracked as a whole; the client runs a callback when it completes.';
comment on column commandbus.batch.domain is 'The domain of its commands or processes.';
comment on column commandbus.batch.batch_id is 'Chosen by the client; unique within the domain.';
comment on column commandbus.batch.name is 'A name for people to read.';
comment on column commandbus.batch.custom_data is 'Belongs to the client; no function reads it.';
comment on column commandbus.batch.status is 'PENDING, IN_PROGRESS, then COMPLETED, or COMPLETED_WITH_FAILURES if any was canceled or failed.';
comment on column commandbus.batch.total_count is 'The number of commands or processes that the client announced; final from the insert.';
comment on column commandbus.batch.completed_count is 'How many completed. While a large batch runs, this lags; view commandbus.batch_progress is exact.';
comment on column commandbus.batch.canceled_count is 'How many were canceled; in a PROCESS batch also those that failed.';
comment on column commandbus.batch.in_troubleshooting_count is 'How many wait for an operator in the troubleshooting queue.';
comment on column commandbus.batch.created_at is 'When the client created the batch.';
comment on column commandbus.batch.started_at is 'When the batch became IN_PROGRESS.';
comment on column commandbus.batch.completed_at is 'When the batch completed.';
comment on column commandbus.batch.failed_count is 'How many commands a business rule rejected; always 0 in a PROCESS batch.';
comment on column commandbus.batch.batch_type is 'COMMAND: functions count its commands as they finish. PROCESS: sp_refresh_batch_stats() counts its processes.';
comment on column commandbus.batch.counter_rows is 'The number of its rows in commandbus.batch_counter; 0 if the batch counts in its own row.';
