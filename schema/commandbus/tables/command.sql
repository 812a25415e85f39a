-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table commandbus.command (
  domain text not null,
  queue_name text not null,
  msg_id bigint,
  command_id uuid not null,
  command_type text not null,
  status text not null,
  attempts integer not null default 0,
  max_attempts integer not null,
  lease_expires_at timestamp with time zone,
  last_error_type text,
  last_error_code text,
  last_error_msg text,
  created_at timestamp with time zone not null default now(),
  updated_at timestamp with time zone not null default now(),
  reply_queue text not null default ''::text,
  correlation_id uuid,
  batch_id uuid,
  counted_as text,
  finished_as text,
  constraint command_domain_command_id_key UNIQUE (domain, command_id),
  constraint command_is_counted_as_final_or_in_troubleshooting CHECK ((counted_as = ANY (ARRAY['COMPLETED'::text, 'CANCELED'::text, 'FAILED'::text, 'IN_TROUBLESHOOTING_QUEUE'::text, 'AS_STATUS'::text]))),
  constraint command_status_is_known CHECK ((status = ANY (ARRAY['PENDING'::text, 'IN_PROGRESS'::text, 'COMPLETED'::text, 'FAILED'::text, 'CANCELED'::text, 'IN_TROUBLESHOOTING_QUEUE'::text])))
);
alter table commandbus.command add constraint command_belongs_to_a_batch_that_exists FOREIGN KEY (domain, batch_id) REFERENCES commandbus.batch(domain, batch_id);
CREATE INDEX command_correlation_id_idx ON commandbus.command USING btree (correlation_id) WHERE (status = 'IN_TROUBLESHOOTING_QUEUE'::text);
CREATE INDEX command_domain_batch_id_idx ON commandbus.command USING btree (domain, batch_id) WHERE (batch_id IS NOT NULL);
CREATE INDEX command_status_command_type_idx ON commandbus.command USING btree (status, command_type);
CREATE INDEX command_status_created_at_idx ON commandbus.command USING btree (status, created_at DESC);
CREATE INDEX command_updated_at_idx ON commandbus.command USING btree (updated_at);
CREATE TRIGGER keep_final_status BEFORE UPDATE OF status ON commandbus.command FOR EACH ROW WHEN (((old.status = ANY (ARRAY['COMPLETED'::text, 'CANCELED'::text, 'FAILED'::text])) AND (new.status IS DISTINCT FROM old.status))) EXECUTE FUNCTION commandbus.tg_command__keep_final_status();
CREATE TRIGGER mark_adopted BEFORE UPDATE OF status ON commandbus.command FOR EACH ROW WHEN (((old.counted_as = 'AS_STATUS'::text) AND (new.counted_as = 'AS_STATUS'::text) AND (new.status IS DISTINCT FROM old.status))) EXECUTE FUNCTION commandbus.tg_command__mark_adopted();
CREATE TRIGGER mark_inserted BEFORE INSERT ON commandbus.command FOR EACH ROW WHEN (((new.batch_id IS NOT NULL) AND (new.counted_as IS NULL) AND (new.status = ANY (ARRAY['COMPLETED'::text, 'CANCELED'::text, 'FAILED'::text, 'IN_TROUBLESHOOTING_QUEUE'::text])))) EXECUTE FUNCTION commandbus.tg_command__mark_inserted();
comment on table commandbus.command is 'The state of each command; the payload travels in the queue''s message.';
comment on column commandbus.command.domain is 'The domain that the command is sent to.';
comment on column commandbus.command.queue_name is 'The queue that carries it.';
comment on column commandbus.command.msg_id is 'Its message in that queue; null if there is none.';
comment on column commandbus.command.command_id is 'Chosen by the client; unique within the domain.';
comment on column commandbus.command.command_type is 'Selects the handler.';
comment on column commandbus.command.status is 'PENDING, IN_PROGRESS, IN_TROUBLESHOOTING_QUEUE; or final: COMPLETED, CANCELED, FAILED.';
comment on column commandbus.command.attempts is 'How often it has been received.';
comment on column commandbus.command.max_attempts is 'After this many attempts it moves to the troubleshooting queue.';
comment on column commandbus.command.lease_expires_at is 'Belongs to the client; no function reads it.';
comment on column commandbus.command.last_error_type is 'Class of the last error.';
comment on column commandbus.command.last_error_code is 'Code of the last error.';
comment on column commandbus.command.last_error_msg is 'Message of the last error.';
comment on column commandbus.command.created_at is 'When it was sent.';
comment on column commandbus.command.updated_at is 'When its state last changed.';
comment on column commandbus.command.reply_queue is 'The queue for the reply; empty if none is wanted.';
comment on column commandbus.command.correlation_id is 'Links request and reply; for a process''s command, the process_id.';
comment on column commandbus.command.batch_id is 'Its batch, if it belongs to one.';
comment on column commandbus.command.counted_as is 'The status under which the batch''s counters include this command; null if they do not. AS_STATUS, on adopted rows only: as what its status says.';
comment on column commandbus.command.finished_as is 'PENDING or IN_PROGRESS, if a finish set that since the last receive: a finish with the same status is then a duplicate.';
