/** What the facts add up to: the present state of each source and pipeline, for status. */
import type { Failure } from '../change/failure.ts'
import type { Fact, PipelineState, ServerHealth, SourceState } from './facts.ts'

export interface SourceBoard {
  state: SourceState
  failure: Failure | undefined
  aliveAtMs: number | undefined
  /** Everything that was committed before this has been captured, ms since 1970; undefined = not known yet. */
  capturedToMs: number | undefined
  position: string
  /** Empty = not known. */
  servers: readonly ServerHealth[]
  /** Until the source may drop what is not captured; undefined = not known. */
  retentionSeconds: number | undefined
  behindBytes: number | undefined
}

interface LoadBoard {
  table: string
  state: 'reading' | 'delivering' | 'done'
  rowsDone: number
  rowsEstimate: number
  etaSeconds: number | undefined
}

export interface PipelineBoard {
  state: PipelineState
  failure: Failure | undefined
  lagChanges: number
  lagSeconds: number
  deadLetters: number
  indexed: number
  deleted: number
  /** Rows that were read from the table because a change did not show them. */
  lookedUp: number
  load: LoadBoard | undefined
  /** Fields that documents could have, with the mapping of each as JSON text. */
  proposed: Readonly<Record<string, string>>
}

export class Board {
  readonly #sources = new Map<string, SourceBoard>()
  readonly #pipelines = new Map<string, PipelineBoard>()

  source(name: string): SourceBoard {
    const known = this.#sources.get(name)
    if (known !== undefined) return known
    const made: SourceBoard = {
      state: 'starting',
      failure: undefined,
      aliveAtMs: undefined,
      capturedToMs: undefined,
      position: '',
      servers: [],
      retentionSeconds: undefined,
      behindBytes: undefined,
    }
    this.#sources.set(name, made)
    return made
  }

  pipeline(group: string): PipelineBoard {
    const known = this.#pipelines.get(group)
    if (known !== undefined) return known
    const made: PipelineBoard = {
      state: 'starting',
      failure: undefined,
      lagChanges: 0,
      lagSeconds: 0,
      deadLetters: 0,
      indexed: 0,
      deleted: 0,
      lookedUp: 0,
      load: undefined,
      proposed: {},
    }
    this.#pipelines.set(group, made)
    return made
  }

  observe(fact: Fact): void {
    if ('source' in fact) this.#observeSource(fact)
    else if ('group' in fact) this.#observeGroup(fact)
  }

  #observeSource(fact: Extract<Fact, { source: string }>): void {
    const board = this.source(fact.source)
    switch (fact.kind) {
      case 'capture-started':
        Object.assign(board, { state: 'running', failure: undefined, position: fact.position })
        break
      case 'source-alive':
        board.aliveAtMs = fact.atMs
        board.capturedToMs = fact.atMs
        break
      case 'captured':
        board.capturedToMs = fact.lastCommittedAtMs
        break
      case 'appended':
        board.position = fact.position
        break
      case 'source-servers':
        board.servers = fact.servers
        break
      case 'retention':
        Object.assign(board, { retentionSeconds: fact.sourceSeconds, behindBytes: fact.behindBytes })
        break
      case 'source-state':
        Object.assign(board, { state: fact.state, failure: fact.failure })
        break
      default:
        break
    }
  }

  #observeGroup(fact: Extract<Fact, { group: string }>): void {
    const board = this.pipeline(fact.group)
    switch (fact.kind) {
      case 'pipeline-state':
        Object.assign(board, { state: fact.state, failure: fact.failure })
        break
      case 'target-waiting':
        Object.assign(board, { state: 'waiting', failure: fact.failure })
        break
      case 'target-ready':
        Object.assign(board, { state: board.load === undefined ? 'running' : 'loading', failure: undefined })
        break
      case 'lag':
        Object.assign(board, { lagChanges: fact.changes, lagSeconds: fact.seconds })
        break
      case 'dead-letters':
        board.deadLetters = fact.open
        break
      case 'columns-proposed':
        board.proposed = fact.mappings
        break
      case 'looked-up':
        board.lookedUp += fact.keys
        break
      case 'written':
        board.indexed += fact.indexed
        board.deleted += fact.deleted
        break
      default:
        observeLoad(board, fact)
    }
  }
}

function observeLoad(board: PipelineBoard, fact: Extract<Fact, { group: string }>): void {
  switch (fact.kind) {
    case 'load-started':
      board.load = {
        table: fact.table,
        state: 'reading',
        rowsDone: fact.rowsDone,
        rowsEstimate: fact.rowsEstimate,
        etaSeconds: undefined,
      }
      break
    case 'chunk-appended':
      if (board.load !== undefined)
        Object.assign(board.load, { rowsDone: fact.rowsDone, etaSeconds: fact.etaSeconds })
      break
    case 'load-read':
      if (board.load !== undefined) Object.assign(board.load, { state: 'delivering', etaSeconds: undefined })
      break
    case 'load-finished':
      board.load = undefined
      break
    default:
      break
  }
}
