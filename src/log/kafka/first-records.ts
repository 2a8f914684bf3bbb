/** The first record that each partition keeps. It is asked for again only when retention has moved on. */
import type { Client } from './client.ts'
import { placeName, type Place } from './connections.ts'
import { seqAt } from './places.ts'

export interface FirstRecord {
  readonly seq: number
  readonly appendedAtMs: number
}

export class FirstRecords {
  readonly #known = new Map<string, FirstRecord & { readonly id: string; readonly offset: bigint }>()

  /** `first` is the offset that the partition begins with; undefined = it keeps no record. */
  async at(
    client: Client,
    place: Place & { readonly id: string },
    first: bigint,
  ): Promise<FirstRecord | undefined> {
    const name = placeName(place)
    const known = this.#known.get(name)
    if (known?.id === place.id && known.offset === first) return known
    const found = await seqAt(client, place, first)
    if (found !== undefined) this.#known.set(name, { ...found, id: place.id, offset: first })
    return found
  }
}
