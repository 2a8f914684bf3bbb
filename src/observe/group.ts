/** A group of the log by its parts: `PIPELINE@TARGET`. */
export function partsOfGroup(group: string): { readonly pipeline: string; readonly target: string } {
  const at = group.indexOf('@')
  return at < 0
    ? { pipeline: group, target: '' }
    : { pipeline: group.slice(0, at), target: group.slice(at + 1) }
}
