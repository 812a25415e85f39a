-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create table commandbus.batch_counter (
  domain text not null,
  batch_id uuid not null,
  counter_no smallint not null,
  quota integer not null,
  completed integer not null default 0,
  unreported integer not null default 0,
  constraint batch_counter_pkey PRIMARY KEY (domain, batch_id, counter_no)
) with (fillfactor=50);
alter table commandbus.batch_counter add constraint counter_belongs_to_a_batch FOREIGN KEY (domain, batch_id) REFERENCES commandbus.batch(domain, batch_id) ON DELETE CASCADE;
comment on table commandbus.batch_counter is 'Counts the completed commands of a large batch in 16 rows, so that workers do not wait for each other.';
comment on column commandbus.batch_counter.domain is 'The batch''s domain.';
comment on column commandbus.batch_counter.batch_id is 'The batch.';
comment on column commandbus.batch_counter.counter_no is 'This row counts the commands for which commandbus.counter_no(command_id) returns this number.';
comment on column commandbus.batch_counter.quota is 'How many commands this row counts; the batch''s own row counts the rest.';
comment on column commandbus.batch_counter.completed is 'How many of them it has counted so far.';
comment on column commandbus.batch_counter.unreported is 'How many of those it has yet to add to the batch''s own row.';
