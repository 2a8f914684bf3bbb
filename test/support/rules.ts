import { test } from 'node:test'

interface Closable {
  readonly close: () => Promise<void>
}

/** Checks rule by rule of a contract, each on a subject of its own, which is closed whatever becomes of it. */
export function rulesOf<Subject extends Closable>(
  name: string,
  open: () => Promise<Subject>,
): (rule: string, body: (subject: Subject) => Promise<void>) => void {
  return (rule, body) => {
    test(`${name}: ${rule}`, async () => {
      const subject = await open()
      try {
        await body(subject)
      } finally {
        await subject.close()
      }
    })
  }
}
