/** Whether a file of the user's still does the same. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'

/**
 * A digest of the file's text and of all that it imports by a relative path, types left out; SHA-256, hexadecimal. Packages
 * are taken to stay what they are. Throws where the file itself cannot be read.
 */
export function moduleDigest(path: string): string {
  const hash = createHash('sha256')
  const text = readFileSync(path, 'utf8')
  hash.update(text)
  const seen = new Set([path])
  const addImports = (from: string, importing: string): void => {
    for (const [, name = '', alone = name] of importing.matchAll(relativeImport)) {
      const file = resolve(dirname(from), alone)
      if (seen.has(file)) continue
      seen.add(file)
      const imported = textOf(file)
      hash.update(`\0${imported}`)
      addImports(file, imported)
    }
  }
  addImports(path, text)
  return hash.digest('hex')
}

/** `import ... from './other.ts'`, `export ... from`, `import './other.ts'` and `import('./other.ts')`. */
const relativeImport =
  /\b(?:im|ex)port\b(?!\s+type\b)[^'";]*?\bfrom\s*['"](\.{1,2}\/[^'"]+)['"]|\bimport\s*\(?\s*['"](\.{1,2}\/[^'"]+)['"]/g

/** What is not there is in a comment, or is told when the module is loaded. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
