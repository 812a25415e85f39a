--! Previous: -
--! Hash: sha1:134854ecb19fda56688c40b303fc3214f2f85efe
--! Message: books

create schema if not exists bookshop;
comment on schema bookshop is 'What a bookshop sells.';

create table if not exists bookshop.books (
  isbn        text        primary key,
  title       text        not null,
  price_cents integer     not null,

  constraint price_is_not_negative check (price_cents >= 0)
);

comment on table bookshop.books is 'A book that can be sold.';
