import { MemoryIndex } from '../support/memory-sink.ts'
import { sinkContract } from './sink.contract.ts'

sinkContract('memory', async () => {
  const index = new MemoryIndex({
    refusal: (body) => (/"quantity":"/.test(body) ? `quantity is no number: '${body}'` : undefined),
  })
  return {
    admin: index,
    sinkFor: (state) => index.sinkFor(state),
    drop: async () => index.drop(),
    replace: async () => index.replace(),
  }
})
