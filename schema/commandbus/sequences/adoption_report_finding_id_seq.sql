-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create sequence commandbus.adoption_report_finding_id_seq as bigint start 1 increment 1 minvalue 1 maxvalue 9223372036854775807 cache 1;
alter sequence commandbus.adoption_report_finding_id_seq owned by commandbus.adoption_report.finding_id;
