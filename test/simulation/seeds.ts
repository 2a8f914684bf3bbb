/** Seeds that once found a fault: they are run first, for good. Each says what it found. */
export const seeds: readonly { readonly seed: number; readonly steps: number }[] = []
