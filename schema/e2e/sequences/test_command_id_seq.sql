-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create sequence e2e.test_command_id_seq as integer start 1 increment 1 minvalue 1 maxvalue 2147483647 cache 1;
alter sequence e2e.test_command_id_seq owned by e2e.test_command.id;
