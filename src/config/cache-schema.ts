/** What processes may share, as data. */
import { choice, group, secret, text, Type } from './schema-words.ts'
import { login, serverTls } from './connection-schema.ts'

export const cacheType = group(
  'What several processes share so that together they keep to the speed limits of targets and upstreams, and ask upstreams once. Losing it does no harm.',
  {
    kind: choice(
      ['memory', 'redis'],
      'memory',
      'memory (each process for itself) or redis (Redis or Valkey, 6 or newer).',
    ),
    url: Type.Optional(
      secret(
        text(
          'For redis: redis://user:password@host:port/database; rediss:// is encrypted, and checks the certificate unless tls.mode says otherwise.',
          {
            pattern: '^rediss?://[^/]',
            examples: ['redis://user:password@host:6379/0'],
          },
        ),
      ),
    ),
    ...login,
    prefix: text('Before the name of each of its keys; the same in all processes.', {
      pattern: '^[A-Za-z][A-Za-z0-9_-]{0,31}$',
      default: 'millrace',
    }),
    processes: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        description:
          'For redis: at most so many processes share. While it is away, each keeps to its part of every limit.',
      }),
    ),
    tls: serverTls,
  },
)
