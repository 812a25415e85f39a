-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table commandbus.audit (
  audit_id bigint not null default nextval('commandbus.audit_audit_id_seq'::regclass),
  domain text not null,
  command_id uuid not null,
  event_type text not null,
  ts timestamp with time zone not null default now(),
  details_json jsonb,
  constraint audit_pkey PRIMARY KEY (audit_id)
);
CREATE INDEX audit_command_id_ts_idx ON commandbus.audit USING btree (command_id, ts);
comment on table commandbus.audit is 'What happened to each command and batch. Append-only, except in tests.';
comment on column commandbus.audit.audit_id is 'Counts up.';
comment on column commandbus.audit.domain is 'The domain of the command or batch.';
comment on column commandbus.audit.command_id is 'The command; for batch events, the batch''s id.';
comment on column commandbus.audit.event_type is 'SENT, RECEIVED, and so on; clients add their own.';
comment on column commandbus.audit.ts is 'When the transaction began.';
comment on column commandbus.audit.details_json is 'Details, depending on the event type.';
