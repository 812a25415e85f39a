/** Files below the migrations folder, saved before and by the mistake; undefined removes one. */
export type Files = Readonly<Record<string, string | Buffer | undefined>>

/** Something that is saved by mistake. */
export interface Mistake {
  readonly before?: Files
  readonly save: Files
  /** What the terminal shows, without the time. */
  readonly shows: readonly string[]
}

const FUNCTION = (body: string) =>
  `create or replace function commandbus.f()\nreturns int\nlanguage plpgsql\nas $$\n${body}\n$$;\n`

/** By what the mistake is. */
export const MISTAKES: Readonly<Record<string, Mistake>> = {
  'a syntax error in the middle of a body': {
    save: { 'fixtures/f.sql': FUNCTION('begin\n  if true the\n    return 1;\n  end if;\nend;') },
    shows: [
      'error: migrations/fixtures/f.sql:7: missing "THEN" at end of SQL expression (42601)',
      '  7 |     return 1;',
      '                  ^',
    ],
  },
  'a syntax error at the end of a body': {
    save: { 'fixtures/f.sql': FUNCTION('begin\n  return 1;\nend').replace('end\n', '') },
    shows: [
      'error: migrations/fixtures/f.sql:7: syntax error at end of input (42601)',
      '  7 | $$;',
      '      ^',
    ],
  },
  'an error in a DO block': {
    save: { 'current.sql': 'select 1;\n\ndo $$\nbegin\n  perform 1\n  perform 2;\nend\n$$;\n' },
    shows: [
      'error: migrations/current.sql:6: syntax error at or near "2" (42601)',
      '  6 |   perform 2;',
      '                ^',
    ],
  },
  'a wrong type while a DO block runs': {
    save: {
      'current.sql':
        "select 1;\ndo $$\ndeclare\n  v_count int;\nbegin\n  v_count := 'many';\nend\n$$;\n",
    },
    shows: [
      'error: migrations/current.sql:6: invalid input syntax for type integer: "many" (22P02)',
      "  6 |   v_count := 'many';",
      '  context: PL/pgSQL function inline_code_block line 5 at assignment',
    ],
  },
  'a dollar quote without an end': {
    save: { 'fixtures/f.sql': FUNCTION('begin\n  return 1;\nend;').replace('\n$$;\n', '\n;\n') },
    shows: [
      'error: migrations/fixtures/f.sql:4: unterminated dollar-quoted string at or near "$$ …" (42601)',
      '  4 | as $$',
      '         ^',
    ],
  },
  'a quote without an end': {
    save: { 'current.sql': "select 1;\nselect 'open;\nselect 2;\n" },
    shows: [
      'error: migrations/current.sql:2: a quote is opened here and never closed',
      "  2 | select 'open;",
      '             ^',
      "  hint: If it is closed: graphile-migrate knows neither the quotes $name$ nor E'\\''; write $$ around a body and '' for a quote.",
    ],
  },
  'a byte order mark': {
    save: { 'fixtures/f.sql': `\ufeff${FUNCTION('begin return 1; end')}` },
    shows: [
      'error: migrations/fixtures/f.sql:1: begins with a byte order mark (EF BB BF); save it as UTF-8 without one',
      '  1 | create or replace function commandbus.f()',
    ],
  },
  'Windows line ends, with a mistake': {
    save: { 'fixtures/f.sql': FUNCTION('begin\n  retrun 1;\nend;').replaceAll('\n', '\r\n') },
    shows: [
      'error: migrations/fixtures/f.sql:6: syntax error at or near "retrun" (42601)',
      '  6 |   retrun 1;',
      '        ^',
    ],
  },
  'Latin-1': {
    save: { 'fixtures/f.sql': Buffer.from("select 1;\nselect 'Zo\xeb';\n", 'latin1') },
    shows: [
      'error: migrations/fixtures/f.sql:2: not UTF-8: line 2, byte 11 is 0xEB; save it as UTF-8',
      "  2 | select 'Zo�';",
    ],
  },
  'a NUL byte in a fixture': {
    save: { 'fixtures/f.sql': "select 1;\nselect 'a\0b';\n" },
    shows: [
      'error: migrations/fixtures/f.sql:2: a NUL byte, which PostgreSQL does not accept: line 2, byte 10; remove it',
      "  2 | select 'a\0b';",
    ],
  },
  'a NUL byte in current.sql': {
    save: { 'current.sql': '\0' },
    shows: [
      'error: migrations/current.sql:1: a NUL byte, which PostgreSQL does not accept: line 1, byte 1; remove it',
      '  1 | \0',
    ],
  },
  'an empty fixture': {
    save: { 'fixtures/f.sql': '' },
    shows: ['f.sql: no definition changed (1 ms)'],
  },
  'a fixture that another one includes is deleted': {
    before: {
      'fixtures/inner.sql': 'select 1;\n',
      'fixtures/f.sql': '-- Uses it\n--!include inner.sql\n',
    },
    save: { 'fixtures/inner.sql': undefined },
    shows: [
      'error: migrations/fixtures/f.sql:2: fixtures/inner.sql does not exist',
      '  2 | --!include inner.sql',
    ],
  },
  'a fixture that current.sql includes by hand is renamed': {
    before: { 'fixtures/f.sql': 'select 1;\n', 'current.sql': '--!include f.sql\n' },
    save: { 'fixtures/f.sql': undefined, 'fixtures/g.sql': 'select 1;\n' },
    shows: [
      'error: migrations/current.sql:1: fixtures/f.sql does not exist',
      '  1 | --!include f.sql',
    ],
  },
  'a mistake in a sub-folder': {
    save: { 'fixtures/a/b/f.sql': 'select nonsense;\n' },
    shows: [
      'error: migrations/fixtures/a/b/f.sql:1: column "nonsense" does not exist (42703)',
      '  1 | select nonsense;',
      '             ^',
    ],
  },
  'two functions that need each other': {
    save: {
      'fixtures/f.sql':
        'create or replace function commandbus.f() returns int return commandbus.g();\n',
      'fixtures/g.sql':
        'create or replace function commandbus.g() returns int return commandbus.f();\n',
    },
    shows: [
      'error: migrations/fixtures/f.sql:1: function commandbus.g() does not exist (42883)',
      '  1 | create or replace function commandbus.f() returns int return commandbus.g();',
      '                                                                   ^',
      '  hint: No function matches the given name and argument types. You might need to add explicit type casts.',
    ],
  },
  'two fixtures that include each other': {
    save: {
      'fixtures/f.sql': '--!include g.sql\nselect 1;\n',
      'fixtures/g.sql': '--!include f.sql\nselect 2;\n',
      'current.sql': '--!include f.sql\n',
    },
    shows: [
      'error: migrations/fixtures/g.sql:1: fixtures/f.sql includes itself: current.sql → fixtures/f.sql → fixtures/g.sql → fixtures/f.sql',
      '  1 | --!include f.sql',
    ],
  },
  'a fixture that includes itself': {
    before: { 'fixtures/f.sql': FUNCTION('begin return 1; end') },
    save: { 'fixtures/f.sql': `${FUNCTION('begin return 1; end')}--!include f.sql\n` },
    shows: [
      'error: migrations/fixtures/f.sql:7: fixtures/f.sql includes itself: current.sql → fixtures/f.sql → fixtures/f.sql',
      '  7 | --!include f.sql',
    ],
  },
  'a statement that takes too long': {
    save: { 'current.sql': "set local statement_timeout = '50ms';\nselect pg_sleep(5);\n" },
    shows: [
      'error: migrations/current.sql:2: canceling statement due to statement timeout (57014)',
      '  2 | select pg_sleep(5);',
    ],
  },
  'a psql command': {
    save: { 'current.sql': 'select 1;\n\\d\n' },
    shows: [
      'error: migrations/current.sql:2: a statement that no migration may have: "\\d" is a command of psql\'s, not SQL; delete the line, or write what it does in SQL; in a dump, \\restrict, \\unrestrict and \\connect can be deleted',
      '  2 | \\d',
    ],
  },
  'an unknown column in the body of a SQL function': {
    save: {
      'fixtures/f.sql':
        'create or replace function commandbus.f()\nreturns bigint\nlanguage sql\nas $$\n  select count(nonsense)\n    from commandbus.command;\n$$;\n',
    },
    shows: [
      'error: migrations/fixtures/f.sql:5: column "nonsense" does not exist (42703)',
      '  5 |   select count(nonsense)',
      '                     ^',
    ],
  },
  'a result of another type': {
    before: { 'fixtures/f.sql': FUNCTION('begin\n  return 1;\nend;') },
    save: { 'fixtures/f.sql': FUNCTION('begin\n  return 1;\nend;').replace('int', 'text') },
    shows: [
      'error: migrations/fixtures/f.sql:1: cannot change return type of existing function (42P13)',
      '  1 | create or replace function commandbus.f()',
      '  hint: Use DROP FUNCTION commandbus.f() first.',
    ],
  },
}
