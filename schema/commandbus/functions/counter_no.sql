-- Made by npm run db:schema. Change the migrations and fixtures, not this.

CREATE OR REPLACE FUNCTION commandbus.counter_no(p_command_id uuid)
 RETURNS smallint
 LANGUAGE plpgsql
 IMMUTABLE PARALLEL SAFE STRICT
 SET search_path TO 'pg_catalog', 'pg_temp'
AS $function$
declare
  v_bytes bytea := uuid_send(p_command_id);
begin
  -- These bytes differ between neighboring ids in every version of UUID, and in ids that count up.
  return (get_byte(v_bytes, 3) # get_byte(v_bytes, 7) # get_byte(v_bytes, 15)) & 15;
end;
$function$;
comment on function commandbus.counter_no(uuid) is 'Chooses which of a large batch''s 16 counter rows counts this command.';
revoke all on function commandbus.counter_no(uuid) from public;
