/** What must never be shown. Everything that leaves the process as text goes through `redact`. */

export interface Secrets {
  /** Remembers a value; those too short to be told from ordinary words are left out. */
  readonly add: (value: string) => void
  /** The text with every secret, in each form in which it may appear, made unreadable. */
  readonly redact: (text: string) => string
}

const mask = '••••'
const lengthMin = 4

export function createSecrets(): Secrets {
  const forms = new Set<string>()
  let longestFirst: readonly string[] = []
  return {
    add(value) {
      if (value.length < lengthMin) return
      const escaped = JSON.stringify(value).slice(1, -1)
      for (const form of [value, encodeURIComponent(value), encodeURI(value), escaped]) forms.add(form)
      // A secret that contains another goes first, so that no rest of it stays.
      longestFirst = [...forms].toSorted((a, b) => b.length - a.length)
    },
    redact(text) {
      let clean = text
      for (const form of longestFirst) if (clean.includes(form)) clean = clean.replaceAll(form, mask)
      return clean.replaceAll(userInfo, `$1${mask}@`)
    },
  }
}

/** `user:password@` of any URL, also of one that nobody has told us of. */
const userInfo = /([a-z][a-z0-9+.-]*:\/\/)[^\s/@:"']*:[^\s/@"']*@/gi

/** The secret parts of a URL: its password as written and as meant. */
export function secretsOfUrl(url: string): readonly string[] {
  const password = /^[^:]+:\/\/[^/@:]*:([^/]*)@/.exec(url)?.[1]
  if (password === undefined || password === '') return []
  return [password, decoded(password)]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
