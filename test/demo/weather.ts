/** The weather of regions, which a service tells, and what the documents that hold it should look like. */
import { readFileSync } from 'node:fs'
import type { Connection } from 'mysql2/promise'
import { parse } from 'yaml'
import type { SearchIndex } from '../support/search-index.ts'
import { startService } from '../support/service.ts'
import type { Comparison } from './checker.ts'
import type { Surroundings } from './plays.ts'
import { compareRegions } from './regions.ts'

const settingsFile = new URL('../../config/enrichment/millrace.yaml', import.meta.url)

/** A service as the example's settings want it, beside the settings themselves. */
export async function serveWeather(): Promise<Surroundings> {
  const service = await startService(({ body, headers }) => {
    if (headers.authorization !== `Bearer ${token}`) return { status: 401 }
    const { keys } = JSON.parse(body) as { readonly keys: readonly Place[] }
    return { body: JSON.stringify({ data: keys.map((place) => ({ current: weatherIn(place) })) }) }
  })
  const { upstreams } = parse(readFileSync(settingsFile, 'utf8')) as { readonly upstreams: object }
  return {
    settings: { upstreams },
    environment: { WEATHER_URL: service.url, WEATHER_BATCH_URL: service.url, WEATHER_TOKEN: token },
    [Symbol.asyncDispose]: () => service[Symbol.asyncDispose](),
  }
}

export async function compareWeather(connection: Connection, index: SearchIndex): Promise<Comparison> {
  return await compareRegions(connection, index, (country, region) => ({
    weather: weatherIn({ country, region }),
  }))
}

interface Place {
  readonly country: string
  readonly region: string
}

const token = 'a token'

/** The same for the same place, at all times. */
function weatherIn({ country, region }: Place): { readonly degrees: number; readonly sky: string } {
  const sum = Array.from(country + region).reduce((total, letter) => 31 * total + letter.charCodeAt(0), 7)
  return { degrees: (sum % 500) / 10 - 10, sky: sum % 3 === 0 ? 'clear' : 'clouds' }
}
