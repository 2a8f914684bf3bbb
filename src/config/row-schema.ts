/** What pipeline files say of the rows of one table, be it the root's or a child's, as data. */
import { childMappings, forms } from '../document/definition.ts'
import { Type, type Frozen, type Static } from './schema-words.ts'

const scalar = Type.Union([Type.String(), Type.Number(), Type.Boolean()])
const filters = Type.Object(
  {
    ne: Type.Optional(scalar),
    lt: Type.Optional(scalar),
    lte: Type.Optional(scalar),
    gt: Type.Optional(scalar),
    gte: Type.Optional(scalar),
    in: Type.Optional(Type.Array(scalar, { minItems: 1 })),
    isNull: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false, minProperties: 1 },
)

export const columns = (description: string) =>
  Type.Array(Type.String({ minLength: 1 }), { minItems: 1, description })

const tableName = (description: string) =>
  Type.String({ pattern: '^[^.]+\\.[^.]+$', examples: ['shop.orders'], description })

export const equalColumns = (description: string) =>
  Type.Record(Type.String(), Type.String({ minLength: 1 }), { minProperties: 1, description })

const shownRows = {
  fields: Type.Optional(
    Type.Record(Type.String(), Type.String({ minLength: 1 }), {
      minProperties: 1,
      description: 'Document field: column. Default: every column under its own name.',
    }),
  ),
  exclude: Type.Optional(columns('Columns left out, where `fields` is not given.')),
  forms: Type.Optional(
    Type.Record(Type.String(), Type.Enum([...forms]), {
      minProperties: 1,
      description:
        'Document field: the form of its values, where it is to be another than that of change events.',
    }),
  ),
  masks: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Union([
        Type.Literal('hash'),
        Type.Literal('drop'),
        Type.Object(
          { truncate: Type.Integer({ minimum: 0, maximum: 10_000 }) },
          { additionalProperties: false },
        ),
      ]),
      {
        minProperties: 1,
        description:
          'Column: how its values are made unreadable before they leave the source, so that neither log nor documents have them. hash (a digest keyed by masks.secret), {truncate: N} (the first N characters), drop. The same in all pipelines of the table.',
      },
    ),
  ),
  where: Type.Optional(
    Type.Record(Type.String(), Type.Union([scalar, filters]), {
      description:
        'Conditions by column; all must hold. A row that does not match, or no longer does, has no document; one of a child is not shown.',
    }),
  ),
}

const childProperties = {
  table: tableName('The table of the child rows: schema.table'),
  kind: Type.Optional(
    Type.Enum(['one', 'many'], {
      description:
        'many: an array of objects; one: an object, or null where there is no such row. Default: many.',
    }),
  ),
  on: equalColumns(
    'Column of the child table: the column of the parent (with `through`: of the link table) that it equals.',
  ),
  through: Type.Optional(
    Type.Object(
      {
        table: tableName('The link table: schema.table'),
        on: equalColumns('Column of the link table: the column of the parent that it equals.'),
      },
      { additionalProperties: false, description: 'A link table between parent and child.' },
    ),
  ),
  ...shownRows,
  order: Type.Optional(
    Type.Record(Type.String(), Type.Enum(['asc', 'desc']), {
      minProperties: 1,
      description: "Columns that sort the rows, asc or desc. What they leave open, the table's key decides.",
    }),
  ),
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 100_000, description: 'So many rows at most. Default: all.' }),
  ),
  mapping: Type.Optional(
    Type.Enum([...childMappings], {
      description:
        'How the index holds the objects: object, nested (each is searched for itself) or flattened. Default: object for one, nested for many.',
    }),
  ),
}

const childText = { additionalProperties: false, description: 'A child table.' }
const childrenText = {
  minProperties: 1,
  description: 'Document field: rows of another table that belong to a row.',
}

const innermost = Type.Object(childProperties, childText)
const childrenOf = <Child extends typeof innermost>(child: Child) =>
  Type.Optional(Type.Record(Type.String(), child, childrenText))
const inner = Type.Object({ ...childProperties, children: childrenOf(innermost) }, childText)
const middle = Type.Object({ ...childProperties, children: childrenOf(inner) }, childText)
const outer = Type.Object({ ...childProperties, children: childrenOf(middle) }, childText)

/** Children may have children, four deep. */
export const rows = {
  table: tableName('The table: schema.table'),
  ...shownRows,
  children: childrenOf(outer),
}

/** A child as a file has it. The library's types end with the depth to which children may be nested; this one does not. */
export type ChildFile = Frozen<Static<typeof innermost>> & {
  readonly children?: Readonly<Record<string, ChildFile>>
}
