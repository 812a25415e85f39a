-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create sequence commandbus.process_audit_id_seq as bigint start 1 increment 1 minvalue 1 maxvalue 9223372036854775807 cache 1;
alter sequence commandbus.process_audit_id_seq owned by commandbus.process_audit.id;
