/** The topics that a broker's answer has an error for, whichever request it answers: answers name them on top of their partitions. */
export function refusedTopics(answer: unknown): readonly string[] {
  const names = new Set<string>()
  gather(answer, undefined, names)
  return [...names]
}

function gather(part: unknown, topic: string | undefined, names: Set<string>): void {
  if (typeof part !== 'object' || part === null) return
  const { name, errorCode, partitionErrorCode } = part as Readonly<Record<string, unknown>>
  const own = typeof name === 'string' ? name : topic
  if (own !== undefined && (isError(errorCode) || isError(partitionErrorCode))) names.add(own)
  for (const inner of Object.values(part)) gather(inner, own, names)
}

function isError(code: unknown): boolean {
  return typeof code === 'number' && code !== 0
}
