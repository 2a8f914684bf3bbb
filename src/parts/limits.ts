/** The settings' bounds, as the parts want them: of pipelines, of loads, and of targets over all pipelines that write to them. */
import type { Configuration } from '../config/load.ts'
import type { Pipeline } from '../config/pipeline.ts'
import type { Settings, TargetSettings } from '../config/schema.ts'
import type { DocumentDefinition } from '../document/definition.ts'
import { isJoined } from '../document/joins.ts'
import type { Observe } from '../pipeline/facts.ts'
import type { BreakerLimits } from '../pipeline/delivery/breaker.ts'
import type { LoadLimits } from '../pipeline/load/first-load.ts'
import type { DeliveryLimits } from '../pipeline/delivery/lane.ts'
import type { Sharing } from '../pipeline/building/sharing.ts'
import { NodeLimits } from '../pipeline/delivery/node-limits.ts'
import { TargetFlow } from '../pipeline/delivery/target-flow.ts'
import { targetNames } from './sinks.ts'
import { systemClock } from '../system-clock.ts'
import { gigabyte, megabyte } from '../units.ts'

export function targetFlows(
  { settings, pipelines }: Configuration,
  sharing: Sharing,
  observe: Observe,
): ReadonlyMap<string, TargetFlow> {
  const flows = new Map<string, TargetFlow>()
  for (const [target, own] of Object.entries(settings.targets)) {
    const lanes = pipelines.filter((each) => targetNames([each]).includes(target)).length * settings.log.lanes
    const { requestsPerSecond, megabytesPerSecond, connections, adaptive } = own.limits
    const bytesPerSecond = megabytesPerSecond * megabyte
    const rates = { requestsPerSecond, bytesPerSecond, connections }
    const flow = new TargetFlow({
      target,
      writesMax: writesMax(own, Math.max(1, lanes)),
      isAdaptive: adaptive,
      slowMs: (own.requestTimeoutSeconds * 1000) / 2,
      nodes: new NodeLimits({ target, ...rates, sharing, clock: systemClock }),
      observe,
    })
    flows.set(target, flow)
  }
  return flows
}

/** A lane has one write under way. More than all nodes take at once would only wait there; how many are discovered is not known. */
function writesMax({ url, limits, discover }: TargetSettings, lanes: number): number {
  const together = limits.connections * Math.max(1, url.length)
  return together === 0 || discover ? lanes : Math.min(together, lanes)
}

/** Of the time that a document may be behind; the rest is for writing it and for finding it. */
const windowShare = 0.5

export function deliveryLimits(
  { delivery }: Settings,
  { policy, definition, enrich }: Pipeline,
): DeliveryLimits {
  const asksOthers = isJoined(definition) || enrich.length > 0
  return {
    requestCountMax: delivery.bulkCount,
    requestBytesMax: Math.round(delivery.bulkMb * megabyte),
    windowMs: Math.round(policy.freshnessSeconds * 1000 * windowShare),
    attemptsMax: delivery.attemptsMax,
    waitSecondsMax: delivery.waitSecondsMax,
    batchAgeMs: policy.batchAgeMs ?? delivery.batchAgeMs,
    queuedBytesMax: delivery.pendingMb * megabyte,
    ...(asksOthers ? { mergedEntriesMax: delivery.bulkCount } : {}),
  }
}

export function breakerLimits({ delivery }: Settings): BreakerLimits {
  return { count: delivery.breakerCount, share: delivery.breakerShare }
}

/** Of what the log holds at most: a load that a slow target holds up is not to push out what it still needs. */
const loadShare = 0.25

export function loadLimits({ load, log, documents }: Settings, definition: DocumentDefinition): LoadLimits {
  // Where documents are built by reading, a chunk gives each lane a batch that is worth its queries.
  const chunkRows = isJoined(definition)
    ? Math.max(load.chunkRows, documents.batch * log.lanes)
    : load.chunkRows
  const room = log.ceilingGb * gigabyte * loadShare
  return {
    chunkRows,
    chunkBytes: Math.round(Math.min(load.chunkMb * megabyte, room)),
    rowsPerSecond: load.rowsPerSecond,
    undeliveredBytesMax: Math.min(load.undeliveredMb * megabyte, room),
  }
}
