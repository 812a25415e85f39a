# Applies sql/V*.sql in the order of their versions, each in one transaction with its row in Flyway's table
# of history, and skips those that have one.
set -eu
export PGOPTIONS=--client-min-messages=warning

run() {
  psql --quiet --no-psqlrc --no-align --tuples-only --set ON_ERROR_STOP=1 "$@"
}

run --command "
  create table if not exists public.flyway_schema_history (
    installed_rank int           not null constraint flyway_schema_history_pk primary key,
    version        varchar(50),
    description    varchar(200)  not null,
    type           varchar(20)   not null,
    script         varchar(1000) not null,
    checksum       int,
    installed_by   varchar(100)  not null,
    installed_on   timestamp     not null default now(),
    execution_time int           not null,
    success        boolean       not null
  );
  create index if not exists flyway_schema_history_s_idx on public.flyway_schema_history (success)"

applied=0
for path in /flyway/sql/V*__*.sql; do
  script=${path##*/}
  name=${script%.sql}
  version=${name%%__*}
  version=${version#V}
  known=$(run --command "select count(*) from public.flyway_schema_history where version = '$version'")
  if [ "$known" != 0 ]; then continue; fi

  description=$(echo "${name#*__}" | tr _ ' ')
  sum=$(md5sum "$path" | cut -c 1-8)
  run --single-transaction --file "$path" --command "
    insert into public.flyway_schema_history
    select coalesce(max(installed_rank), 0) + 1, '$version', '$description', 'SQL', '$script',
           x'$sum'::int, current_user, now(), 0, true
      from public.flyway_schema_history" > /dev/null
  echo "Migrating to version \"$version - $description\""
  applied=$((applied + 1))
done

if [ "$applied" = 0 ]; then
  echo 'Schema is up to date. No migration necessary.'
else
  echo "Successfully applied $applied migrations"
fi
