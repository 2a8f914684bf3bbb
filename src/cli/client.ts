/** Asks the running daemon over HTTP. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Failure, type FailureKind } from '../change/failure.ts'
import type {
  Letter,
  LetterAnswer,
  LetterChoice,
  LetterKind,
  RefreshAnswer,
  RefreshRequest,
  ReplayRequest,
  ReplayStatus,
  Status,
  SteerAction,
  SteerAnswer,
  TouchAnswer,
  TouchRequest,
} from '../control/operations.ts'

const timeoutMs = 5000
/** For what the daemon must do before it answers. */
const workTimeoutMs = 60_000

/** Where the daemon of this state folder listens; undefined = it left no address: none runs. */
export function daemonAddress(stateFolder: string): string | undefined {
  let text: string
  try {
    text = readFileSync(join(stateFolder, 'control.json'), 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const { host, port } = JSON.parse(text) as { host: string; port: number }
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** Throws a Failure, `transient`, with the remedy to start one. */
export function runningDaemon(stateFolder: string): string {
  const address = daemonAddress(stateFolder)
  if (address !== undefined) return address
  throw new Failure('transient', 'no daemon runs on this state folder', { remedy: 'start it: millrace run' })
}

/** Throws a Failure of kind `transient` when nobody answers. */
export async function askStatus(address: string, signal: AbortSignal): Promise<Status> {
  // The daemon of the same program: its answer has the shape that operations.ts gives it.
  return (await answered(address, '/v1/status', {}, signal)) as Status
}

/** Throws a Failure: of kind `transient` when nobody answers, of the kind of the daemon's own answer where it refuses. */
export async function askTouch(
  address: string,
  request: TouchRequest,
  signal: AbortSignal,
): Promise<TouchAnswer> {
  return (await answered(address, '/v1/touch', posted(request), signal)) as TouchAnswer
}

export async function askReplay(
  address: string,
  request: ReplayRequest,
  signal: AbortSignal,
): Promise<ReplayStatus> {
  return (await answered(address, '/v1/replay', posted(request), signal)) as ReplayStatus
}

export async function askReplays(address: string, signal: AbortSignal): Promise<readonly ReplayStatus[]> {
  return (await answered(address, '/v1/replay', {}, signal)) as readonly ReplayStatus[]
}

/** Whether there was one to cancel. */
export async function askCancelReplay(
  address: string,
  pipeline: string,
  signal: AbortSignal,
): Promise<boolean> {
  const answer = await answered(address, '/v1/replay/cancel', posted({ pipeline }), signal)
  return (answer as { readonly cancelled: boolean }).cancelled
}

/** Each of these throws as askTouch does. */
export async function askLetterKinds(
  address: string,
  choice: LetterChoice,
  signal: AbortSignal,
): Promise<readonly LetterKind[]> {
  const path = `/v1/dead-letters?${queryOf(choice).toString()}`
  return (await answered(address, path, {}, signal)) as readonly LetterKind[]
}

export async function askLetters(
  address: string,
  choice: LetterChoice,
  limit: number,
  signal: AbortSignal,
): Promise<readonly Letter[]> {
  const query = queryOf(choice)
  query.set('limit', String(limit))
  return (await answered(
    address,
    `/v1/dead-letters/letters?${query.toString()}`,
    {},
    signal,
  )) as readonly Letter[]
}

export async function askToSettleLetters(
  address: string,
  action: 'redrive' | 'drop',
  choice: LetterChoice,
  signal: AbortSignal,
): Promise<LetterAnswer> {
  return (await answered(address, `/v1/dead-letters/${action}`, posted(choice), signal)) as LetterAnswer
}

export async function askToSteer(
  address: string,
  request: { readonly pipeline: string; readonly action: SteerAction },
  signal: AbortSignal,
): Promise<SteerAnswer> {
  return (await answered(address, '/v1/pipelines/steer', posted(request), signal)) as SteerAnswer
}

export async function askRefresh(
  address: string,
  request: RefreshRequest,
  signal: AbortSignal,
): Promise<RefreshAnswer> {
  return (await answered(address, '/v1/refresh', posted(request), signal)) as RefreshAnswer
}

function queryOf({ pipeline, ids = [], keys = [], fingerprint }: LetterChoice): URLSearchParams {
  const query = new URLSearchParams()
  if (pipeline !== undefined) query.set('pipeline', pipeline)
  if (fingerprint !== undefined) query.set('fingerprint', fingerprint)
  for (const id of ids) query.append('ids', id)
  for (const key of keys) query.append('keys', key)
  return query
}

function posted(body: unknown): RequestInit {
  return { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

async function answered(
  address: string,
  path: string,
  request: RequestInit,
  signal: AbortSignal,
): Promise<unknown> {
  const patience = request.method === 'POST' ? workTimeoutMs : timeoutMs
  const ending = AbortSignal.any([signal, AbortSignal.timeout(patience)])
  let response: Response
  try {
    response = await fetch(new URL(path, address), { ...request, signal: ending })
  } catch (cause) {
    throw new Failure('transient', `no daemon answers at ${address}`, {
      remedy: 'start it: millrace run',
      cause,
    })
  }
  const body: unknown = await response.json().catch(() => undefined)
  if (isRefusal(body)) {
    const { message, kind = 'transient', remedy } = body.error
    throw new Failure(kind, message, remedy === undefined ? {} : { remedy })
  }
  // 400 may be an answer too, which says what was wrong in what was asked.
  if (body === undefined || (!response.ok && response.status !== 400))
    throw new Failure('transient', `the daemon at ${address} answered ${response.status}`)
  return body
}

interface Refusal {
  readonly error: { readonly message: string; readonly kind?: FailureKind; readonly remedy?: string }
}

function isRefusal(body: unknown): body is Refusal {
  return typeof body === 'object' && body !== null && 'error' in body
}
