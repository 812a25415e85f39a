-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table e2e.batch_summary (
  id integer not null default nextval('e2e.batch_summary_id_seq'::regclass),
  batch_id uuid not null,
  domain text not null default 'e2e'::text,
  total_expected integer not null default 0,
  success_count integer not null default 0,
  failed_count integer not null default 0,
  canceled_count integer not null default 0,
  created_at timestamp with time zone not null default now(),
  completed_at timestamp with time zone,
  constraint batch_summary_batch_id_key UNIQUE (batch_id),
  constraint batch_summary_pkey PRIMARY KEY (id)
);
CREATE INDEX batch_summary_created_at_idx ON e2e.batch_summary USING btree (created_at);
comment on table e2e.batch_summary is 'What the test application counted from the replies to a batch.';
comment on column e2e.batch_summary.id is 'Counts up.';
comment on column e2e.batch_summary.batch_id is 'The batch on the bus.';
comment on column e2e.batch_summary.domain is 'The batch''s domain.';
comment on column e2e.batch_summary.total_expected is 'How many replies the application expects.';
comment on column e2e.batch_summary.success_count is 'How many replies reported success.';
comment on column e2e.batch_summary.failed_count is 'How many reported failure.';
comment on column e2e.batch_summary.canceled_count is 'How many reported a cancellation.';
comment on column e2e.batch_summary.created_at is 'When the application created it.';
comment on column e2e.batch_summary.completed_at is 'When the last reply was counted.';
