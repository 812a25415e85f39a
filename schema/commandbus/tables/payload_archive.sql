-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table commandbus.payload_archive (
  domain text not null,
  command_id uuid not null,
  payload_json jsonb not null,
  archived_at timestamp with time zone not null default now(),
  constraint payload_archive_pkey PRIMARY KEY (domain, command_id)
);
comment on table commandbus.payload_archive is 'Payloads that are kept after their messages are gone.';
comment on column commandbus.payload_archive.domain is 'The command''s domain.';
comment on column commandbus.payload_archive.command_id is 'The command.';
comment on column commandbus.payload_archive.payload_json is 'The message as it was sent.';
comment on column commandbus.payload_archive.archived_at is 'When it was archived.';
