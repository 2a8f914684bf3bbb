/** A statement as words: enough SQL to see what a statement is about, and no more. */

export interface Word {
  readonly kind: 'word' | 'quoted' | 'text' | 'sign'
  /** Bare words and signs as they stand; quoted names and texts without their quotes. */
  readonly value: string
  /** Of bare words: in capitals. Otherwise empty, so that a quoted name is never taken for a keyword. */
  readonly keyword: string
}

/** Whether it may name something. */
export function isName({ kind }: Word): boolean {
  return kind === 'word' || kind === 'quoted'
}

/**
 * The words of a statement; comments are left out, but what stands in an executable comment (slash-star-bang) belongs to
 * the statement. Double quotes are taken for names, as under ANSI_QUOTES: where a name is looked for, a text cannot stand.
 */
export function wordsOf(statement: string): readonly Word[] {
  const words: Word[] = []
  const form = new RegExp(
    [
      /\s+|\/\*M?!\d*|\*\/|\/\*[\s\S]*?(?:\*\/|$)|#[^\n]*|--(?=\s|$)[^\n]*/,
      /`((?:[^`]|``)*)`?/,
      /"((?:[^"\\]|""|\\[\s\S])*)"?/,
      /'((?:[^'\\]|''|\\[\s\S])*)'?/,
      /([\w$@\u0080-\uffff]+)/,
      /([\s\S])/,
    ]
      .map(({ source }) => source)
      .join('|'),
    'gy',
  )
  for (const [, backquoted, doubleQuoted, text, bare, sign] of statement.matchAll(form)) {
    if (backquoted !== undefined)
      words.push({ kind: 'quoted', value: backquoted.replaceAll('``', '`'), keyword: '' })
    else if (doubleQuoted !== undefined)
      words.push({ kind: 'quoted', value: doubleQuoted.replaceAll('""', '"'), keyword: '' })
    else if (text !== undefined) words.push({ kind: 'text', value: text, keyword: '' })
    else if (bare !== undefined) words.push({ kind: 'word', value: bare, keyword: bare.toUpperCase() })
    else if (sign !== undefined) words.push({ kind: 'sign', value: sign, keyword: sign })
  }
  return words
}
