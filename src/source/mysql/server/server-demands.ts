/**
 * What the server's settings must be so that capture can follow its binlog, what those cost that may be either way, and
 * how each is mended: by a statement on a server of one's own, and by the words of the managed services.
 */
import type { FindingLevel } from '../../source.ts'
import type { Flavor } from '../gtid/gtid.ts'

export type Remedies = Readonly<Record<string, string>>

/** One global variable. */
export interface Demand {
  readonly name: string
  /** Only servers of this flavor have it. */
  readonly only?: Flavor
  readonly isGood: (value: string) => boolean
  /** What a value costs that capture works with, for a person who wonders; undefined = nothing. */
  readonly cost?: (value: string) => string | undefined
  /** What a value that is not good means. */
  readonly level: Exclude<FindingLevel, 'ok'>
  /** What the variable's absence means; where it is not given, the server needs none. */
  readonly absence?: string
  readonly remedies: (flavor: Flavor) => Remedies
}

const withoutNames =
  'the binlog does not name columns, so they are read from the tables; when a captured table is altered while capture is behind, capture stops at the rows before that and the source is loaded anew'

const encryptedAtRest =
  'the files are encrypted on disk only: the server sends their content in the clear, so reach it over TLS'

export const demands: readonly Demand[] = [
  {
    name: 'log_bin',
    isGood: is('ON'),
    level: 'fatal',
    remedies: () => ({
      mysql: 'add log_bin = binlog below [mysqld] in its option file and restart the server',
      rds: 'switch automated backups on: a backup retention period of at least one day starts the binlog',
      aurora: 'set binlog_format = ROW in the DB cluster parameter group and reboot the writer',
      cloudsql: 'gcloud sql instances patch INSTANCE --enable-bin-log',
    }),
  },
  {
    name: 'server_id',
    isGood: (value) => value !== '0',
    level: 'fatal',
    remedies: (flavor) => ({
      mysql:
        flavor === 'mysql' ? 'SET PERSIST server_id = 1' : 'SET GLOBAL server_id = 1, and in its option file',
    }),
  },
  variable('binlog_format', 'ROW', { cloudsql: 'nothing to do: Cloud SQL always writes rows' }),
  {
    ...variable('binlog_row_image', 'FULL'),
    level: 'warning',
    cost: (value) =>
      is('FULL')(value)
        ? undefined
        : 'changes do not show every column: the rows of such changes are read from the table by key, and tables need a primary key',
  },
  {
    ...variable('binlog_row_metadata', 'FULL'),
    level: 'warning',
    absence: `the server has none, which MySQL 8.0.1 and later have: ${withoutNames}`,
    cost: (value) => (is('FULL')(value) ? undefined : withoutNames),
  },
  {
    name: 'gtid_mode',
    only: 'mysql',
    isGood: is('ON'),
    level: 'fatal',
    absence: 'the server has no GTIDs',
    remedies: () => ({
      mysql:
        "SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE; SET PERSIST gtid_mode = ON_PERMISSIVE; then, once SHOW STATUS LIKE 'Ongoing_anonymous_transaction_count' is 0: SET PERSIST gtid_mode = ON",
      rds: 'set gtid-mode = ON and enforce_gtid_consistency = ON in the DB parameter group and reboot',
      aurora:
        'set gtid-mode = ON and enforce_gtid_consistency = ON in the DB cluster parameter group and reboot',
      cloudsql: 'nothing to do: Cloud SQL has GTIDs on for MySQL',
    }),
  },
  {
    name: 'enforce_gtid_consistency',
    only: 'mysql',
    isGood: is('ON'),
    level: 'fatal',
    remedies: () => ({
      mysql: 'SET PERSIST enforce_gtid_consistency = ON',
      rds: 'set enforce_gtid_consistency = ON in the DB parameter group and reboot',
      aurora: 'set enforce_gtid_consistency = ON in the DB cluster parameter group and reboot',
    }),
  },
  // Each session may set these for itself, so that events are recognised one by one whatever is found here.
  switched(
    'binlog_transaction_compression',
    'mysql',
    'a transaction is given only when its last byte has arrived; its compressed size, 1 GiB at most, is set aside meanwhile, above 16 MB in TMPDIR',
  ),
  {
    name: 'binlog_row_value_options',
    only: 'mysql',
    isGood: (value) => value === '' || is('PARTIAL_JSON')(value),
    cost: (value) =>
      value === ''
        ? undefined
        : 'each changed JSON document is put together from the row before and its differences',
    level: 'fatal',
    remedies: variable('binlog_row_value_options', '').remedies,
  },
  switched('encrypt_binlog', 'mariadb', encryptedAtRest),
  switched('binlog_encryption', 'mysql', encryptedAtRest),
  switched('log_bin_compress', 'mariadb', 'each event of 256 bytes and more is unpacked for itself'),
  {
    name: 'binlog_checksum',
    isGood: (value) => value === 'CRC32' || value === 'NONE',
    level: 'fatal',
    remedies: () => ({ mysql: 'SET GLOBAL binlog_checksum = CRC32' }),
  },
]

/** A way of packing events that is unpacked again, at a cost. */
function switched(name: string, only: Flavor, cost: string): Demand {
  return {
    ...variable(name, 'OFF'),
    only,
    isGood: (value) => is('OFF')(value) || is('ON')(value),
    cost: (value) => (is('ON')(value) ? cost : undefined),
  }
}

/** A variable that statements and parameter groups set alike. */
function variable(name: string, wanted: string, others: Remedies = {}): Demand {
  const value = wanted === '' ? "''" : wanted
  return {
    name,
    isGood: is(wanted),
    level: 'fatal',
    remedies: (flavor) => ({
      mysql:
        flavor === 'mysql'
          ? `SET PERSIST ${name} = ${value}`
          : `SET GLOBAL ${name} = ${value}, and in its option file; sessions that are open keep the old value`,
      rds: `set ${name} = ${value} in the DB parameter group`,
      aurora: `set ${name} = ${value} in the DB cluster parameter group and reboot the writer`,
      cloudsql: `gcloud sql instances patch INSTANCE --database-flags=${name}=${wanted.toLowerCase()}`,
      ...others,
    }),
  }
}

function is(wanted: string): (value: string) => boolean {
  return (value) => value.toUpperCase() === wanted
}

/** A remedy in the words of this server's version: MySQL keeps a setting by itself only from 8.0 on. */
export function wordedFor(version: string, remedy: string): string {
  if (/mariadb/i.test(version) || Number.parseInt(version, 10) >= 8) return remedy
  const kept = remedy.replaceAll('SET PERSIST', 'SET GLOBAL')
  return kept === remedy ? remedy : `${kept}, and in its option file`
}
