--! Previous: sha1:134854ecb19fda56688c40b303fc3214f2f85efe
--! Hash: sha1:69c9140aa95aad7c42ad9cc14527864f8a2670c3
--! Message: sales

create table if not exists bookshop.sales (
  sale_id bigint      generated always as identity primary key,
  isbn    text        not null references bookshop.books (isbn) on delete restrict,
  sold_at timestamptz not null default now()
);

comment on table bookshop.sales is 'One copy of a book that was sold.';

-- Finds the sales of a book, newest first.
create index if not exists sales_isbn_sold_at_idx on bookshop.sales (isbn, sold_at desc);
