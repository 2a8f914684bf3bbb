/** A module of a user's that writes to a store in memory: what a target of kind module names. */
import type { ServiceMark, ServiceOperation, ServiceResult } from '../../src/sink/service/service.ts'
import { DocumentStore } from './document-store.ts'

export const store = new DocumentStore()

export async function write(batch: {
  readonly index: string
  readonly uuid: string
  readonly operations: readonly ServiceOperation[]
}): Promise<readonly ServiceResult[]> {
  return store.write(batch.index, batch.uuid, batch.operations)
}

export async function mark(index: string): Promise<ServiceMark | undefined> {
  return store.mark(index)
}

export async function putMark(index: string, given: ServiceMark): Promise<void> {
  store.putMark(index, given)
}

export async function list(
  index: string,
  { after, source }: { readonly after: string | undefined; readonly source: boolean },
): Promise<object> {
  const { documents, next } = store.list(index, after)
  return { next, documents: source ? documents : documents.map(({ id, version }) => ({ id, version })) }
}

export async function get(
  index: string,
  ids: readonly { readonly id: string }[],
): Promise<readonly object[]> {
  return store.get(index, ids)
}
