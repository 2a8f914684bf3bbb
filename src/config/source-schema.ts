/** Settings of a source: a server that is read itself, or topics that a connector of others fills from one. */
import { login, serverTls } from './connection-schema.ts'
import { brokerSettings } from './log-schema.ts'
import { choice, group, integer, number, secret, text, Type } from './schema-words.ts'

export const sourceType = group('A MySQL or MariaDB server, or topics that Debezium fills from one.', {
  kind: choice(
    ['mysql', 'debezium-topic'],
    'mysql',
    'mysql (a server of MySQL or MariaDB, whose binlog is read) or debezium-topic (topics in Kafka that the Debezium connector for either fills, as JSON).',
  ),
  url: Type.Optional(
    secret(
      text('Of mysql: where the server is: mysql://user:password@host:port/', {
        pattern: '^(mysql|mariadb)://[^/]',
        examples: ['mysql://user:password@host:3306/'],
      }),
    ),
  ),
  hosts: Type.Array(text('', { pattern: '^[^:/@\\s]+(:\\d+)?$', examples: ['db2.example.com:3306'] }), {
    default: [],
    description:
      'Further servers of the same topology, as host or host:port, reached as the URL says: one of them is read where the first cannot be.',
  }),
  prefer: choice(
    ['any', 'primary', 'replica'],
    'any',
    'Which of several servers is read where there is a choice: any (the one that was read last, else the first that can be), the primary, or a replica.',
  ),
  catchUpSeconds: number(
    30,
    0,
    86_400,
    'How long a server may lack changes that were read from another one before they count as lost.',
  ),
  ...login,
  tls: serverTls,
  serverId: integer(
    0,
    0,
    4_294_967_295,
    'How we number ourselves among the replicas of the server, where no other has that number; 0 = drawn at random.',
  ),
  reads: group('Reading rows for documents of several tables, and of changes that do not show their row.', {
    from: Type.Optional(
      text(
        'Another source of these settings that is a replica of this one: rows are read there, once it has what they must show. Whole tables are read from this source all the same.',
      ),
    ),
    waitSeconds: number(10, 1, 3600, 'So long the replica may lack what a read has to see; then ...'),
    otherwise: choice(
      ['primary', 'wait'],
      'primary',
      '... this source is read for a while (primary), or the read is tried again until the replica has it (wait).',
    ),
    timeoutSeconds: number(
      300,
      5,
      86_400,
      'The server gives up a read at which it works for longer; it is tried again.',
    ),
  }),
  heartbeatSeconds: number(5, 0.1, 3600, 'How often the server says that it is alive while nothing changes.'),
  topic: text(
    'Of debezium-topic: how its topics are named; {table} stands for schema.table, as in shop.{table} where topic.prefix of the connector is shop.',
    { pattern: '^[A-Za-z0-9._{}-]{1,249}$', default: '{table}' },
  ),
  kafka: group('Of debezium-topic: the brokers.', brokerSettings),
  types: Type.Array(
    text('', {
      pattern:
        '^[^.]+\\.[^.]+\\.[^:]+: *([a-z][a-z0-9]*|decimal\\(\\d{1,2}\\)|(io\\.debezium|org\\.apache\\.kafka)\\.[A-Za-z.]+(\\(\\d{1,3}\\))?) *$',
      examples: ['shop.orders.price: decimal(2)'],
    }),
    {
      default: [],
      description:
        'Of debezium-topic, where messages have no schema block: the type of every column, as SCHEMA.TABLE.COLUMN: TYPE, in the words of such a block (int64, string, boolean, double, bytes, decimal(2), io.debezium.time.Date).',
    },
  ),
})
