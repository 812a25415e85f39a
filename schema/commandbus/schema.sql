-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create schema commandbus;
comment on schema commandbus is 'The command bus: commands sent through PGMQ queues, their audit trail, and their batches.';
