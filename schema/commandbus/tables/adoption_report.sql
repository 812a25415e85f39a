-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table commandbus.adoption_report (
  finding_id bigint not null default nextval('commandbus.adoption_report_finding_id_seq'::regclass),
  found_at timestamp with time zone not null default now(),
  finding text not null,
  details jsonb not null,
  constraint adoption_report_pkey PRIMARY KEY (finding_id)
);
comment on table commandbus.adoption_report is 'What adoption found in an existing command bus and changed; empty in a new database.';
comment on column commandbus.adoption_report.finding_id is 'Counts up.';
comment on column commandbus.adoption_report.found_at is 'When the database was adopted.';
comment on column commandbus.adoption_report.finding is 'What was found, and what was changed.';
comment on column commandbus.adoption_report.details is 'The rows concerned, with values before and after.';
