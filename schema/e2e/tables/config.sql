-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table e2e.config (
  key text not null,
  value jsonb not null,
  updated_at timestamp with time zone not null default now(),
  constraint config_pkey PRIMARY KEY (key)
);
comment on table e2e.config is 'Settings of the test application.';
comment on column e2e.config.key is 'The part of the application.';
comment on column e2e.config.value is 'Its settings.';
comment on column e2e.config.updated_at is 'When they last changed.';
