-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table commandbus.process_audit (
  id bigint not null default nextval('commandbus.process_audit_id_seq'::regclass),
  domain text not null,
  process_id uuid not null,
  step_name text not null,
  command_id uuid not null,
  command_type text not null,
  command_data jsonb,
  sent_at timestamp with time zone not null,
  reply_outcome text,
  reply_data jsonb,
  received_at timestamp with time zone,
  constraint process_audit_pkey PRIMARY KEY (id)
);
alter table commandbus.process_audit add constraint process_audit_belongs_to_a_process FOREIGN KEY (domain, process_id) REFERENCES commandbus.process(domain, process_id);
CREATE INDEX process_audit_command_id_idx ON commandbus.process_audit USING btree (command_id);
CREATE INDEX process_audit_domain_process_id_idx ON commandbus.process_audit USING btree (domain, process_id);
comment on table commandbus.process_audit is 'The commands that each process sent, and the replies. Only the client writes it.';
comment on column commandbus.process_audit.id is 'Counts up.';
comment on column commandbus.process_audit.domain is 'The domain of the process.';
comment on column commandbus.process_audit.process_id is 'The process.';
comment on column commandbus.process_audit.step_name is 'The step of the process.';
comment on column commandbus.process_audit.command_id is 'The command that the step sent.';
comment on column commandbus.process_audit.command_type is 'The command''s type.';
comment on column commandbus.process_audit.command_data is 'The command''s payload.';
comment on column commandbus.process_audit.sent_at is 'When the command was sent.';
comment on column commandbus.process_audit.reply_outcome is 'SUCCESS, FAILED or CANCELED; null until the reply arrives.';
comment on column commandbus.process_audit.reply_data is 'The reply''s content.';
comment on column commandbus.process_audit.received_at is 'When the reply arrived.';
