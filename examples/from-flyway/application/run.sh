# Stands for your application: sends a batch of payments every second, and is their only worker.
set -eu

round() {
  psql --quiet --no-psqlrc --output /dev/null --set ON_ERROR_STOP=1 \
    --file /application/send.sql --file /application/work.sql
}

while round; do
  touch /tmp/working
  sleep 1
done
