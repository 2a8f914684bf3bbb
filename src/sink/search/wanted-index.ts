/** What a pipeline wants of an index, in the words and with the field types that the server has. */
import { compareMappings, type ExistingMapping } from './mapping-difference.ts'
import {
  defineIndex,
  deletesRemembered,
  typedFields,
  withoutType,
  type FieldMapping,
  type IndexDefinition,
  type IndexWishes,
} from './index-definition.ts'
import { failureOf } from './outcomes.ts'
import type { Answer, SearchClient } from './search-client.ts'

export class WantedIndex {
  readonly #client: SearchClient
  readonly #definition: IndexDefinition
  readonly #typed: ReadonlySet<string>

  /** Throws a Failure of kind `configuration` when the wishes contradict each other. */
  constructor(client: SearchClient, wishes: IndexWishes) {
    this.#client = client
    this.#definition = defineIndex(wishes)
    this.#typed = typedFields(wishes.mappings)
  }

  /** Sends a definition; where the server lacks a field type, the fields get the next best one and it is sent again. */
  async withKnownTypes(send: (definition: IndexDefinition) => Promise<Answer>): Promise<Answer> {
    let definition = await this.#translated()
    for (;;) {
      const answer = await send(definition)
      const unknown = answer.status === 400 ? unknownType(answer.text) : undefined
      const simpler = unknown === undefined ? undefined : withoutType(definition, unknown, this.#typed)
      if (simpler === undefined) return answer
      definition = simpler
    }
  }

  /** Puts what an index lacks and can get; what cannot be mended so is told, each a sentence. */
  async reconcile(name: string, mappings: ExistingMapping): Promise<readonly string[]> {
    const { properties: wanted } = await this.#translated()
    const compared = compareMappings(mappings, wanted, this.#typed)
    const fields = Object.keys(compared.missing)
    if (fields.length === 0) return compared.sentences
    const answer = await this.withKnownTypes(async ({ properties }) => {
      const missing = fields.map((field) => [field, properties[field]])
      return await this.putMapping(name, { properties: Object.fromEntries(missing) })
    })
    if (answer.status === 200) return compared.sentences
    const failure = failureOf(answer, `adding ${fields.join(', ')} to the mapping of ${name}`)
    if (answer.status !== 400) throw failure
    // What the server refuses for good is a difference like the others.
    return [...compared.sentences, failure.message]
  }

  /** What an index lacks and can get. */
  async missing(mappings: ExistingMapping): Promise<Readonly<Record<string, FieldMapping>>> {
    const { properties: wanted } = await this.#translated()
    return compareMappings(mappings, wanted, this.#typed).missing
  }

  /** An index of others forgets deletes after a minute, unless it was told otherwise: too soon for a late request. */
  async rememberDeletes(
    name: string,
    { gc_deletes: found }: { readonly gc_deletes?: string },
  ): Promise<void> {
    if (found !== undefined) return
    const body = JSON.stringify({ [deletesRemembered]: this.#definition.settings[deletesRemembered] })
    const path = `/${encodeURIComponent(name)}/_settings`
    const answer = await this.#client.send({ method: 'PUT', path, body }, untilAnswered)
    if (answer.status !== 200) throw failureOf(answer, `raising ${deletesRemembered} of ${name}`)
  }

  async putMapping(name: string, mapping: object): Promise<Answer> {
    const path = `/${encodeURIComponent(name)}/_mapping`
    return await this.#client.send({ method: 'PUT', path, body: JSON.stringify(mapping) }, untilAnswered)
  }

  /** The definition in the server's own words. */
  async #translated(): Promise<IndexDefinition> {
    const { mapping } = await this.#client.dialect(untilAnswered)
    const fields = Object.entries(this.#definition.properties)
    const properties = Object.fromEntries(fields.map(([field, wanted]) => [field, mapping(wanted)]))
    return { ...this.#definition, properties }
  }
}

/** Short calls end by the client's own limit. */
const untilAnswered = new AbortController().signal

/** The field type that the server says it does not have. */
function unknownType(text: string): string | undefined {
  const named =
    /mapper type \[(\w+)\] declared on field|No handler for type \[(\w+)\] declared on field/.exec(text)
  return named?.[1] ?? named?.[2]
}
