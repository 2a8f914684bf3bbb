/** A store of documents as a user would write one behind a target of kind http or module: the highest version stays. */
import { randomUUID } from 'node:crypto'
import { parseExact } from '../../src/change/exact-json.ts'
import type {
  ServiceDocument,
  ServiceMark,
  ServiceOperation,
  ServicePage,
  ServiceResult,
} from '../../src/sink/service/service.ts'

interface Stored {
  readonly version: bigint
  readonly routing: string | undefined
  /** undefined = deleted. */
  readonly json: string | undefined
}

interface Index {
  mark: ServiceMark
  readonly documents: Map<string, Stored>
}

/** The batch is for an index that is not here (any more). */
export class OtherIndex extends Error {
  readonly kind = 'target'
}

export class DocumentStore {
  readonly #indexes = new Map<string, Index>()
  readonly #views = new Map<string, readonly ServiceDocument[]>()

  write(index: string, uuid: string, operations: readonly ServiceOperation[]): readonly ServiceResult[] {
    const { mark, documents } = this.#existing(index)
    if (mark.uuid !== uuid) throw new OtherIndex(`${index} is ${mark.uuid}, not ${uuid}`)
    return operations.map((operation) => apply(documents, operation))
  }

  mark(index: string): ServiceMark | undefined {
    return this.#indexes.get(index)?.mark
  }

  putMark(index: string, mark: ServiceMark): void {
    const known = this.#indexes.get(index)
    if (known?.mark.uuid === mark.uuid) known.mark = mark
    else this.#indexes.set(index, { mark, documents: new Map() })
  }

  /** Later pages show what was there when the first was asked for. */
  list(index: string, after: string | undefined): ServicePage {
    const [view = randomUUID(), at = '0'] = after?.split(':') ?? []
    if (after === undefined) this.#views.set(view, this.documents(index))
    const documents = this.#views.get(view) ?? []
    const next = Number(at) + pageSize
    if (next >= documents.length) this.#views.delete(view)
    return {
      documents: documents.slice(Number(at), next),
      next: next < documents.length ? `${view}:${next}` : undefined,
    }
  }

  get(index: string, ids: readonly { readonly id: string }[]): readonly ServiceDocument[] {
    const wanted = new Set(ids.map(({ id }) => id))
    return this.documents(index).filter(({ id }) => wanted.has(id))
  }

  documents(index: string): readonly ServiceDocument[] {
    return [...this.#existing(index).documents].flatMap(([id, { version, routing, json }]) =>
      json === undefined ? [] : [{ id, version, json, ...(routing === undefined ? {} : { routing }) }],
    )
  }

  drop(index: string): void {
    this.#indexes.delete(index)
  }

  #existing(index: string): Index {
    const found = this.#indexes.get(index)
    if (found === undefined) throw new OtherIndex(`there is no ${index}`)
    return found
  }
}

const pageSize = 1000

function apply(documents: Map<string, Stored>, operation: ServiceOperation): ServiceResult {
  const { id, version, repeatable, routing, json } = operation
  const stored = documents.get(id)
  if (stored !== undefined && (stored.version > version || (stored.version === version && !repeatable)))
    return { status: 'stale', version: stored.version }
  const { quantity } = json === undefined ? {} : (parseExact(json) as { readonly quantity?: unknown })
  if (typeof quantity === 'string')
    return { status: 'rejected', reason: `quantity is no number: '${quantity}'` }
  documents.set(id, { version, routing, json })
  return { status: 'applied' }
}
