-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create view commandbus.batch_progress with (security_invoker=true) as
SELECT batch.domain,
    batch.batch_id,
    batch.status,
    batch.total_count,
    ((batch.completed_count + COALESCE(counter.unreported, (0)::bigint)))::integer AS completed_count,
    batch.canceled_count,
    batch.failed_count,
    batch.in_troubleshooting_count
   FROM (commandbus.batch
     LEFT JOIN LATERAL ( SELECT sum(batch_counter.unreported) AS unreported
           FROM commandbus.batch_counter
          WHERE ((batch_counter.domain = batch.domain) AND (batch_counter.batch_id = batch.batch_id) AND (batch.counter_rows > 0))) counter ON (true));
comment on view commandbus.batch_progress is 'The exact counts of each batch, even of a large one while it runs.';
comment on column commandbus.batch_progress.domain is 'The batch''s domain.';
comment on column commandbus.batch_progress.batch_id is 'The batch.';
comment on column commandbus.batch_progress.status is 'The batch''s status.';
comment on column commandbus.batch_progress.total_count is 'How many commands or processes were announced.';
comment on column commandbus.batch_progress.completed_count is 'How many completed.';
comment on column commandbus.batch_progress.canceled_count is 'How many were canceled.';
comment on column commandbus.batch_progress.failed_count is 'How many a business rule rejected.';
comment on column commandbus.batch_progress.in_troubleshooting_count is 'How many wait for an operator.';
