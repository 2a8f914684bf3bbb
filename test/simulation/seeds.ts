/** Seeds that found a fault: they are run first, for good. Each shows what it found while that fault is put back. */
export const seeds: readonly { readonly seed: number; readonly steps: number }[] = [
  // A crash between making an index and noting its UUID left an index that was refused.
  { seed: 9, steps: 40 },
  // An index that was made again kept the dead letters of rows that had gone.
  { seed: 10, steps: 40 },
  // A barrier between a chunk's cursor and its window: the new load went on behind the old cursor.
  { seed: 78, steps: 40 },
  // What a barrier swept had no number of its own: a late request with the same one brought it back.
  { seed: 84, steps: 40 },
  // The demand for a load was counted from 0 while capture was not running.
  { seed: 596, steps: 40 },
]
