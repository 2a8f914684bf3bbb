/** The words that schemas are written in. */
import { Type, type Static, type TSchema } from 'typebox'

export { Type, type Static }

/** A copy of a type in which nothing can be changed. */
export type Frozen<T> = T extends object ? { readonly [K in keyof T]: Frozen<T[K]> } : T

export function group<T extends Record<string, TSchema>>(description: string, properties: T) {
  return Type.Object(properties, { additionalProperties: false, description })
}

export function text(
  description: string,
  more: { pattern?: string; default?: string; examples?: string[] } = {},
) {
  return Type.String({ minLength: 1, description, ...more })
}

export function number(preset: number, minimum: number, maximum: number, description: string) {
  return Type.Number({ default: preset, minimum, maximum, description })
}

export function integer(preset: number, minimum: number, maximum: number, description: string) {
  return Type.Integer({ default: preset, minimum, maximum, description })
}

export function flag(preset: boolean, description: string) {
  return Type.Boolean({ default: preset, description })
}

export function choice<const T extends string[]>(
  choices: readonly [...T],
  preset: T[number],
  description: string,
) {
  return Type.Enum([...choices], { default: preset, description })
}

export function object(description: string) {
  return Type.Record(Type.String(), Type.Unknown(), { description })
}

/** A value that is never shown. */
export function secret<T extends TSchema>(schema: T): T {
  return Object.assign(schema, { writeOnly: true })
}
