-- The eight functions by their names and signatures, executable by everybody. Their bodies do not matter:
-- adoption replaces them, and no test calls them before.

create function commandbus.sp_receive_command(
  p_domain text, p_command_id uuid, p_new_status text default 'IN_PROGRESS',
  p_msg_id bigint default null, p_max_attempts int default null
) returns table (
  domain text, command_id uuid, command_type text, status text, attempts int, max_attempts int,
  msg_id bigint, correlation_id uuid, reply_queue text, last_error_type text, last_error_code text,
  last_error_msg text, created_at timestamptz, updated_at timestamptz, batch_id uuid
)
language plpgsql as 'begin return; end';

create function commandbus.sp_finish_command(
  p_domain text, p_command_id uuid, p_status text, p_event_type text,
  p_error_type text default null, p_error_code text default null, p_error_msg text default null,
  p_details jsonb default null, p_batch_id uuid default null
) returns boolean
language plpgsql as 'begin return false; end';

create function commandbus.sp_fail_command(
  p_domain text, p_command_id uuid, p_error_type text, p_error_code text, p_error_msg text,
  p_attempt int, p_max_attempts int, p_msg_id bigint
) returns boolean
language plpgsql as 'begin return false; end';

create function commandbus.sp_update_batch_counters(p_domain text, p_batch_id uuid, p_update_type text)
returns boolean
language plpgsql as 'begin return false; end';

create function commandbus.sp_start_batch(p_domain text, p_batch_id uuid) returns boolean
language plpgsql as 'begin return false; end';

create function commandbus.sp_tsq_complete(p_domain text, p_batch_id uuid) returns boolean
language plpgsql as 'begin return false; end';

create function commandbus.sp_tsq_cancel(p_domain text, p_batch_id uuid) returns boolean
language plpgsql as 'begin return false; end';

create function commandbus.sp_tsq_retry(p_domain text, p_batch_id uuid) returns boolean
language plpgsql as 'begin return false; end';
