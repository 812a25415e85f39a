-- Made by npm run db:schema. Change the migrations and fixtures, not this.

create schema e2e;
comment on schema e2e is 'For end-to-end tests: commands that behave as the test says.';
