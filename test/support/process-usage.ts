/** What another process of this machine has used, as Linux tells it. */
import { readFileSync } from 'node:fs'

export interface ProcessUsage {
  /** The most memory that it ever had resident, in units of 1,000,000 bytes. */
  readonly peakResidentMb: number
  /** User and system time of all its threads. */
  readonly cpuSeconds: number
}

/** Throws when the process has ended: the kernel forgets with it. */
export function usageOf(pid: number): ProcessUsage {
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (peak === undefined) throw new Error(`process ${pid} has ended: its peak memory is no longer known`)
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is the program's name in brackets and may hold anything; what follows it are numbers.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[userTimeField]) + Number(fields[systemTimeField])
  return { peakResidentMb: (Number(peak) * 1024) / 1_000_000, cpuSeconds: ticks / ticksPerSecond }
}

/** Fields 14 and 15 of proc(5), counted from the third. */
const userTimeField = 11
const systemTimeField = 12
/** What Linux shows to programs, whatever the kernel's own clock is. */
const ticksPerSecond = 100
