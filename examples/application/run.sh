# What an application of the command bus can rely on once commandbus-db is healthy: one command goes
# all the way from its queue to COMPLETED. It is rolled back, so nothing of it stays.
set -eu

psql --quiet --no-psqlrc --output /dev/null --set ON_ERROR_STOP=1 --file /example/command.sql
touch /tmp/proved
echo 'the schema is there: a command was sent, received and completed'
exec sleep infinity
