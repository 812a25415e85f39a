-- Made by npm run db:schema. Change the migrations and fixtures, not this.

select pgmq.create('e2e__commands');
select pgmq.create('e2e__replies');
select pgmq.create('payments__commands');
select pgmq.create('payments__replies');
select pgmq.create('reporting__commands');
select pgmq.create('reporting__process_replies');
select pgmq.create('reporting__replies');
select pgmq.create('reports__commands');
select pgmq.create('reports__replies');
select pgmq.create('test__commands');
select pgmq.create('test__replies');
