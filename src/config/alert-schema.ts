/** The schema of alerts in the settings. */
import { choice, group, number, secret, text, Type } from './schema-words.ts'

const channelType = group('A group of people.', {
  webhook: secret(text('Where messages are posted.', { pattern: '^https?://[^/]' })),
  format: choice(
    ['json', 'slack'],
    'json',
    'json (state, incident, subject, cause, remedy, link, since, and all of it as `text`), or slack (the text alone, as Slack and what is like it takes it).',
  ),
})

export const alertsType = group(
  'Telling people, once when something has gone wrong and once when it is over.',
  {
    channels: Type.Record(Type.String({ pattern: '^[a-z][a-z0-9_]*$' }), channelType, {
      description:
        'Who is told, by name. `policy.alerts` of a pipeline names those who are told of it; by default all.',
      default: {},
    }),
    afterSeconds: number(60, 0, 86_400, 'What may pass by itself is told when it has lasted so long.'),
    lagSeconds: number(300, 1, 2_592_000, 'A pipeline that is further behind than this is told of.'),
    link: Type.Optional(text('Where people look further: goes into each message.')),
  },
)
