import { mkdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { generatedFiles } from '../../config/example.ts'
import { exit } from '../context.ts'
import type { Command } from '../usage.ts'

export const generate: Command = {
  name: 'generate',
  summary: 'Write the example of all settings and the JSON Schemas for editors.',
  positionals: '[FOLDER]',
  options: {},
  about: `Writes millrace.yaml, millrace.schema.json and pipeline.schema.json into the folder, config by default, over those that
are there. They follow from the program alone. Editors that read the first line of the files complete and check them.`,
  examples: [
    ['millrace generate', 'writes into config'],
    ['millrace generate reference', 'writes elsewhere, to look up a setting'],
  ],
  exits: ['0  written'],
  async run(args, context) {
    const folder = resolve(context.workingDirectory, args.positionals[0] ?? 'config')
    mkdirSync(folder, { recursive: true })
    for (const [name, content] of Object.entries(generatedFiles())) {
      writeFileSync(join(folder, name), content)
      context.out(join(args.positionals[0] ?? 'config', name))
    }
    return exit.ok
  },
}
