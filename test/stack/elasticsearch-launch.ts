/** The command that starts a node's JVM: the server itself, without its launchers. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { encodeServerArguments } from './elasticsearch-arguments.ts'
import type { Launch } from './guarded-process.ts'
import { commonJvmOptions, profileJvmOptions, type SearchNode } from './search-node.ts'
import type { Profile } from './server.ts'

/** Options of the JVM come after our own; settings are all that the node is to have. */
export interface LaunchWishes {
  readonly profile?: Profile
  readonly heap?: string
  readonly jvmOptions?: readonly string[]
  readonly settings: Readonly<Record<string, string>>
}

export async function elasticsearchLaunch(node: SearchNode, wishes: LaunchWishes): Promise<Launch> {
  const { directory, home, jdk, version, userId } = node
  const own = [
    ...profileJvmOptions(wishes),
    `-Djava.io.tmpdir=${join(directory, 'tmp')}`,
    `-Des.path.home=${home}`,
    ...commonJvmOptions,
    ...elasticsearchJvmOptions,
  ]
  const { command, input } = version.startsWith('7.')
    ? byClassPath(node, wishes, own)
    : await byModules(node, wishes, own)
  return {
    command: [join(jdk.home, 'bin', 'java'), ...command],
    workingDirectory: directory,
    logFile: join(directory, 'logs', 'console.log'),
    environment: { LANG: 'C.UTF-8', LIBFFI_TMPDIR: join(directory, 'tmp') },
    ...(input === undefined ? {} : { input }),
    ...(userId === undefined ? {} : { userId }),
  }
}

interface Command {
  readonly command: readonly string[]
  readonly input?: Uint8Array
}

/** Version 7 takes its settings as arguments, but for its home. */
function byClassPath(
  node: SearchNode,
  { settings, jvmOptions = [] }: LaunchWishes,
  own: readonly string[],
): Command {
  const command = [
    ...own,
    `-Des.path.conf=${join(node.directory, 'config')}`,
    '-Des.distribution.flavor=default',
    '-Des.bundled_jdk=false',
    ...jvmOptions,
    '-cp',
    join(node.home, 'lib', '*'),
    'org.elasticsearch.bootstrap.Elasticsearch',
    ...Object.entries(settings)
      .filter(([name]) => name !== 'path.home')
      .map(([name, value]) => `-E${name}=${value}`),
  ]
  return { command }
}

/** From version 8.9 on the server reads its settings from its standard input. */
async function byModules(
  node: SearchNode,
  { settings, jvmOptions = [] }: LaunchWishes,
  own: readonly string[],
): Promise<Command> {
  const command = [
    ...own,
    ...(await moduleOptions(node)),
    ...jvmOptions,
    '--add-modules=ALL-MODULE-PATH',
    '-m',
    'org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch',
  ]
  const input = encodeServerArguments({
    configDirectory: join(node.directory, 'config'),
    logsDirectory: join(node.directory, 'logs'),
    settings,
  })
  return { command, input }
}

const elasticsearchJvmOptions = [
  '-Des.networkaddress.cache.ttl=60',
  '-Des.networkaddress.cache.negative.ttl=10',
  '-Des.distribution.type=tar',
  '-Des.java.type=ES_JAVA_HOME',
]

/** What version 8 looks at inside the JDK so as to guard it; a JDK without one of these only warns. */
const entitlementExportsOf8 = [
  'jdk.jlink/jdk.tools.jlink.internal',
  'java.base/sun.net.www',
  'java.base/sun.net.www.protocol.ftp',
  'java.base/sun.net.www.protocol.file',
  'java.base/sun.net.www.protocol.jar',
  'java.base/sun.net.www.protocol.http',
  'java.base/sun.net.www.protocol.https',
  'java.base/sun.net.www.protocol.mailto',
  'java.base/sun.nio.ch',
  'java.base/jdk.internal.foreign',
  'java.base/jdk.internal.foreign.abi',
  'java.base/jdk.internal.foreign.layout',
  'java.net.http/jdk.internal.net.http',
  'jdk.jdi/com.sun.tools.jdi',
].map((name) => `--add-exports=${name}=org.elasticsearch.entitlement`)

/** What the server's launcher would tell the JVM about modules: the server's own path, and the rights it needs. */
async function moduleOptions(node: SearchNode): Promise<readonly string[]> {
  const bridgeFolder = join(node.home, 'lib', 'entitlement-bridge')
  const bridges = existsSync(bridgeFolder) ? await readdir(bridgeFolder) : []
  const bridge = bridges.find((name) => name.endsWith('.jar'))
  return [
    ...(bridge === undefined
      ? []
      : [
          `--patch-module=java.base=${join(bridgeFolder, bridge)}`,
          '--add-exports=java.base/org.elasticsearch.entitlement.bridge=org.elasticsearch.entitlement,' +
            'java.logging,java.net.http,java.naming,jdk.net,jdk.zipfs,jdk.management.agent',
        ]),
    ...(node.version.startsWith('8.') ? entitlementExportsOf8 : []),
    '--add-opens=org.apache.lucene.core/org.apache.lucene.codecs.lucene99=org.elasticsearch.server',
    '--add-opens=org.apache.lucene.core/org.apache.lucene.codecs.hnsw=org.elasticsearch.server',
    '--add-opens=org.apache.lucene.core/org.apache.lucene.internal.vectorization=org.elasticsearch.server',
    '-Dorg.apache.lucene.vectorization.upperJavaFeatureVersion=25',
    '-Dorg.apache.lucene.store.MMapDirectory.sharedArenaMaxPermits=1',
    '--enable-native-access=org.elasticsearch.nativeaccess,org.apache.lucene.core',
    '--enable-native-access=ALL-UNNAMED',
    ...(node.jdk.feature >= 24 ? ['--illegal-native-access=deny'] : []),
    '-XX:+EnableDynamicAgentLoading',
    '-Djdk.attach.allowAttachSelf=true',
    `--module-path=${join(node.home, 'lib')}`,
    '--add-modules=jdk.net',
    '--add-modules=jdk.management.agent',
  ]
}
