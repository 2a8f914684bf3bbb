import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { PlaceTable } from '../../../../src/pipeline/delivery/place-table.ts'

const texts = fc.string({ maxLength: 4 }).filter((text) => text !== '')
const steps = fc.array(fc.oneof(texts, fc.constantFrom('forget', 'clear')), { maxLength: 200 })

test('a text is found in the slot that it was last given, until that is free, as in a map', () => {
  fc.assert(
    fc.property(steps, (taken) => {
      const places: string[] = []
      const [table, model] = [new PlaceTable(places), new Map<string, number>()]
      for (const step of taken) {
        if (step === 'clear') {
          table.clear()
          model.clear()
          places.length = 0
        } else if (step === 'forget') {
          const [[text, slot] = ['', -1]] = model
          if (model.delete(text)) places[slot] = ''
        } else if (!model.has(step)) {
          model.set(step, places.push(step) - 1)
          table.put(places.length - 1)
        }
        for (const text of taken) assert.equal(table.find(text), model.get(text) ?? -1)
      }
    }),
    { numRuns: 50 },
  )
})

test('thousands of texts are each found in their own slot', () => {
  const places = Array.from({ length: 20_000 }, (_, slot) => `id-${slot}`)
  const table = new PlaceTable(places)
  for (const slot of places.keys()) table.put(slot)
  for (const [slot, text] of places.entries()) assert.equal(table.find(text), slot)
  assert.equal(table.find('id-20000'), -1)
})
