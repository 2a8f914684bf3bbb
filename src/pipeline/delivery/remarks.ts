/** Documents that something was said against before they reached the target: they are not sent, or not finished by it. */
import { hasUnusual, type Outcome, type Sink } from '../../sink/sink.ts'

/** A sink that answers for the operations with a remark: refused ones never reach the target. */
export function heedingRemarks(sink: Sink): Sink {
  return {
    async write(listed, signal) {
      if (!hasUnusual(listed, ({ remark }) => remark !== undefined)) return await sink.write(listed, signal)
      const operations = [...listed]
      const sent = operations.filter(({ remark }) => remark?.kind !== 'refused')
      const outcomes = sent.length === 0 ? [] : await sink.write(sent, signal)
      let at = 0
      return operations.map(({ remark }): Outcome => {
        if (remark?.kind === 'refused') return { kind: 'rejected', ...said(remark) }
        const outcome = outcomes[at++]
        if (outcome === undefined) throw new Error('a sink answers for each operation')
        return remark === undefined || outcome.kind !== 'applied'
          ? outcome
          : { kind: 'incomplete', ...said(remark) }
      })
    },
  }
}

function said({ reason, fingerprint }: { readonly reason: string; readonly fingerprint: string }): {
  readonly reason: string
  readonly fingerprint: string
} {
  return { reason, fingerprint }
}
