/** What is done on a server for the events that are recorded. */

export interface Corpus {
  /** Of its file's name. */
  readonly prefix: string
  /** By their names in the stack. */
  readonly servers: readonly string[]
  /** Not recorded. */
  readonly before: readonly string[]
  readonly statements: readonly Statement[]
}

interface Statement {
  readonly sql: string
  readonly only?: 'mysql' | 'mariadb'
}

const database = ['DROP DATABASE IF EXISTS shop', 'CREATE DATABASE shop CHARACTER SET utf8mb4', 'USE shop']
const long = (text: string): string => `REPEAT('${text}', 40)`

/** In this order: the branch that the last one leaves prepared would hold up others. */
export const corpora: readonly Corpus[] = [
  {
    prefix: 'packed-',
    servers: ['mariadb', 'mariadb@11.8'],
    before: [
      ...database,
      `CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(20), doc LONGTEXT, amount DECIMAL(10,2), at DATETIME(6),
         tags SET('a','b'), raw BLOB)`,
      'CREATE TABLE others (id INT PRIMARY KEY, name VARCHAR(100))',
      'SET GLOBAL log_bin_compress = ON, log_bin_compress_min_len = 10',
    ],
    statements: [
      'BEGIN',
      `INSERT INTO items VALUES (1, 'one', ${long('doc')}, 1.5, '2024-05-31 12:34:56.789', 'a,b', x'00ff'),
         (2, 'zwölf', ${long('two')}, -1.25, NULL, '', ''), (3, 'zwölf', NULL, NULL, NULL, NULL, NULL)`,
      `INSERT INTO others VALUES (1, ${long('o')})`,
      `UPDATE items SET doc = ${long('new')}, name = 'two' WHERE id <= 2`,
      `DELETE FROM items WHERE id = 1`,
      'COMMIT',
      `ALTER TABLE items COMMENT = '${'c'.repeat(300)}'`,
      'SET GLOBAL log_bin_compress = OFF',
      "INSERT INTO items (id, name) VALUES (4, 'plain')",
      'DELETE FROM items WHERE id = 3',
    ].map((sql) => ({ sql })),
  },
  {
    prefix: '',
    servers: ['mysql@8.0', 'mysql@5.7', 'mariadb', 'mariadb@11.8'],
    before: [
      ...database,
      'CREATE TABLE items (id INT PRIMARY KEY, name VARCHAR(20))',
      'CREATE TABLE other (id INT PRIMARY KEY)',
    ],
    statements: [
      { sql: "INSERT INTO items VALUES (1, 'one'), (2, 'zwölf')" },
      { sql: "UPDATE items SET name = 'two' WHERE id = 2" },
      { sql: 'BEGIN' },
      { sql: 'INSERT INTO other VALUES (1)' },
      { sql: 'DELETE FROM items WHERE id = 1' },
      { sql: 'UPDATE items SET id = 3 WHERE id = 2' },
      { sql: 'COMMIT' },
      { sql: 'ALTER TABLE items ADD INDEX (name)' },
      { sql: 'ALTER TABLE items ADD COLUMN n INT DEFAULT 7' },
      { sql: 'TRUNCATE items' },
      { sql: "XA START 'a'" },
      { sql: "INSERT INTO items VALUES (4, 'four', 4)" },
      { sql: "XA END 'a'" },
      { sql: "XA COMMIT 'a' ONE PHASE" },
      { sql: "XA START 'b'" },
      { sql: 'INSERT INTO other VALUES (5)' },
      { sql: "XA END 'b'" },
      { sql: "XA PREPARE 'b'" },
      { sql: "XA COMMIT 'b'" },
      { sql: "INSERT INTO items VALUES (7, 'seven', NULL)" },
      { sql: 'SET SESSION binlog_rows_query_log_events = ON', only: 'mysql' },
      { sql: "INSERT INTO items VALUES (8, 'eight', NULL)" },
      { sql: "XA START 'c'" },
      { sql: "INSERT INTO items VALUES (9, 'nine', 9)" },
      { sql: "XA END 'c'" },
      { sql: "XA PREPARE 'c'" },
    ],
  },
]
