/** Writes operations to a service, in batches that are halved where it does not take them whole. */
import { Failure } from '../../change/failure.ts'
import type { List } from '../../change/list.ts'
import { textOfBody, type Operation, type Outcome, type Sink } from '../sink.ts'
import type { Service, ServiceOperation, ServiceResult } from './service.ts'

export interface ServiceSinkOptions {
  readonly service: Service
  readonly index: string
  readonly uuid: string
  readonly batchBytesMax: number
}

export class ServiceSink implements Sink {
  readonly #options: ServiceSinkOptions

  constructor(options: ServiceSinkOptions) {
    this.#options = options
  }

  async write(operations: List<Operation>, signal: AbortSignal): Promise<readonly Outcome[]> {
    const outcomes: Outcome[] = []
    for (const batch of batches(operations, this.#options.batchBytesMax)) {
      signal.throwIfAborted()
      outcomes.push(...(await this.#send(batch, signal)))
    }
    return outcomes
  }

  async #send(operations: readonly ServiceOperation[], signal: AbortSignal): Promise<readonly Outcome[]> {
    const { service, index, uuid } = this.#options
    try {
      const results = await service.write({ index, uuid, operations }, signal)
      if (results.length === operations.length) return results.map(outcomeOf)
      throw new Failure(
        'transient',
        `${index}: ${results.length} results answer ${operations.length} operations`,
      )
    } catch (error) {
      if (!(error instanceof Failure) || error.kind !== 'rejected') throw error
      if (operations.length === 1) return [rejected(error.message)]
      const middle = operations.length >> 1
      const first = await this.#send(operations.slice(0, middle), signal)
      return [...first, ...(await this.#send(operations.slice(middle), signal))]
    }
  }
}

function* batches(operations: List<Operation>, bytesMax: number): Generator<readonly ServiceOperation[]> {
  let batch: ServiceOperation[] = []
  let bytes = 0
  for (const operation of operations) {
    const given = serviceOperation(operation)
    const added = frameBytes + given.id.length + (given.json?.length ?? 0)
    if (batch.length > 0 && bytes + added > bytesMax) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(given)
    bytes += added
  }
  if (batch.length > 0) yield batch
}

/** As services get it. */
export function serviceOperation(operation: Operation): ServiceOperation {
  const { op, id, version, repeatable, routing, body } = operation
  return { op, id, version, repeatable, routing, json: body === undefined ? undefined : textOfBody(body) }
}

/** About what an operation takes beside its id and document. */
const frameBytes = 80

function outcomeOf({ status, reason = '', version }: ServiceResult): Outcome {
  switch (status) {
    case 'applied':
      return { kind: 'applied' }
    case 'stale':
      return { kind: 'stale', stored: version }
    case 'busy':
      return { kind: 'busy', reason }
    case 'rejected':
      return rejected(reason)
    default:
      throw new Failure('transient', `a result's status is ${JSON.stringify(status)}`, {
        remedy: 'the service answers applied, stale, busy or rejected for each operation',
      })
  }
}

function rejected(reason: string): Outcome {
  // What is in quotes, and numbers, differ from document to document.
  const words = reason.replace(/'.*'|".*"/gs, '…').replace(/\d+/g, 'N')
  return { kind: 'rejected', reason, fingerprint: words.slice(0, 200) }
}
