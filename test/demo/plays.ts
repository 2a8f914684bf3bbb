/** What the demo can run: a pipeline of config/pipelines, the tables that it needs, and how its index is checked. */
import type { Connection } from 'mysql2/promise'
import type { SearchIndex } from '../support/search-index.ts'
import { compareCities, type Comparison } from './checker.ts'
import { compareRegions, loadRegions, renameCountries } from './regions.ts'
import { compareWeather, serveWeather } from './weather.ts'

/** What a pipeline needs besides its tables, and the settings that name it. */
export interface Surroundings extends AsyncDisposable {
  readonly settings: Readonly<Record<string, unknown>>
  readonly environment: Readonly<Record<string, string>>
}

export interface Play {
  /** Of the file, of the pipeline and of its index. */
  readonly name: string
  /** Where its file is, below config/. */
  readonly folder: string
  readonly surround: () => Promise<Surroundings>
  /** What the cities' table does not have yet. */
  readonly prepare: (connection: Connection) => Promise<void>
  /** Changes besides those of cities, until the signal aborts. */
  readonly change: (connection: Connection, signal: AbortSignal) => Promise<void>
  readonly compare: (connection: Connection, index: SearchIndex) => Promise<Comparison>
  /** Fewer were not all that there are. */
  readonly documentsMin: number
  /** What a person can search for. */
  readonly search: string
}

const alone = (): Promise<Surroundings> =>
  Promise.resolve({ settings: {}, environment: {}, [Symbol.asyncDispose]: nothing })
const nothing = (): Promise<void> => Promise.resolve()

export const plays: readonly Play[] = [
  {
    name: 'cities',
    folder: 'pipelines',
    surround: alone,
    prepare: nothing,
    change: nothing,
    compare: (connection, { server, name }) => compareCities(connection, server, name),
    documentsMin: 130_000,
    search: 'q=name:london&sort=population:desc&size=3',
  },
  {
    name: 'regions',
    folder: 'pipelines',
    surround: alone,
    prepare: loadRegions,
    change: renameCountries,
    compare: compareRegions,
    documentsMin: 2000,
    search: 'q=nation.name:iceland&size=3',
  },
  {
    name: 'weather',
    folder: 'enrichment/pipelines',
    surround: serveWeather,
    prepare: loadRegions,
    change: renameCountries,
    compare: compareWeather,
    documentsMin: 2000,
    search: 'q=weather.sky:clear&sort=weather.degrees:desc&size=3',
  },
]
