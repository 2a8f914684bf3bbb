/** A service of the weather in cities: what it says when it is well, when it has learnt, and when it is not well at all. */
import type { ServiceReply, ServiceRequest } from './service.ts'

export function citiesOf(body: string): readonly number[] {
  return (JSON.parse(body) as { keys: readonly { city: number }[] }).keys.map(({ city }) => city)
}

/** For each city, the shape of its degrees: as many below zero as its number. */
export function temperatures(
  body: string,
  shape: (degrees: number) => unknown = (degrees) => ({ degrees }),
): string {
  return JSON.stringify(citiesOf(body).map((city) => shape(-city)))
}

export function colder({ body }: ServiceRequest): ServiceReply {
  return { body: temperatures(body, (degrees) => degrees - 100) }
}

/** What an upstream says that has been down, slow or wrong in every way, one after the other. */
export const troubles: readonly ServiceReply[] = [
  { status: 500 },
  { status: 429, headers: { 'retry-after': '1' } },
  { body: '[1, 2' },
  // More answers than questions, however few are asked at once: one answer would do for one question.
  { body: `[${'1,'.repeat(99)}1]` },
  { body: '[1, 2]', isCut: true },
  { body: `["${'x'.repeat(2000)}"]` },
  { status: 503 },
]

export function troubled(): () => ServiceReply {
  let count = 0
  return () => troubles[count++ % troubles.length] ?? {}
}
