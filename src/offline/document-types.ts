/** The TypeScript of pipelines' documents, as their transforms get them, from the tables as they are now. */
import type { Pipeline } from '../config/pipeline.ts'
import type { RowDefinition } from '../document/definition.ts'
import { documentType, typesHead, type TypedChild } from '../document/document-types.ts'
import { describeChildren, describeFields } from '../parts/joined.ts'
import type { IndexChild } from '../sink/search/index-definition.ts'
import { tablesOf, type Workshop } from '../parts/workshop.ts'

export async function documentTypes(workshop: Workshop, pipelines: readonly Pipeline[]): Promise<string> {
  const texts = [typesHead]
  for (const pipeline of pipelines) {
    const { name, definition, enrich } = pipeline
    const source = await workshop.openSource(pipeline.source, tablesOf([pipeline]))
    try {
      const fields = await describeFields(definition, source)
      const children = typedChildren(definition, await describeChildren(definition, source))
      const elsewhere = enrich.map(({ field }) => ({ field, column: undefined, form: undefined }))
      texts.push(documentType(name, definition.table, [...fields, ...children, ...elsewhere]))
    } finally {
      await source.close()
    }
  }
  return texts.join('\n')
}

function typedChildren(definition: RowDefinition, described: readonly IndexChild[]): readonly TypedChild[] {
  return described.flatMap(({ field, fields, children }) => {
    const child = definition.children?.[field]
    if (child === undefined) return []
    const { table, kind, forms } = child
    const own = fields.map(({ field: name, column }) => ({ field: name, column, form: forms?.[name] }))
    return [{ field, table, kind, fields: [...own, ...typedChildren(child, children)] }]
  })
}
