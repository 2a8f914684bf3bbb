import assert from 'node:assert/strict'
import { test } from 'node:test'
import { featureVersion, parseModuleList, parseReleaseFile } from '../../stack/jdk.ts'

test('the feature version is read from every form of a Java version', () => {
  const expected = { '17.0.15': 17, '25': 25, '25-ea': 25, '21.0.7+6-LTS': 21, '1.8.0_402': 8 }
  for (const [version, feature] of Object.entries(expected))
    assert.equal(featureVersion(version), feature, version)
  assert.equal(featureVersion('unknown'), undefined)
})

test('a release file tells a full JDK from one without jdk.jlink', () => {
  const full = 'IMPLEMENTOR="Any"\nJAVA_VERSION="25.0.3"\nMODULES="java.base jdk.jdeps jdk.jlink jdk.net"\n'
  assert.deepEqual(parseReleaseFile(full), { feature: 25, hasJlink: true })
  assert.deepEqual(parseReleaseFile(full.replace('jdk.jlink ', '')), { feature: 25, hasJlink: false })
})

test('a release file that does not list the modules decides nothing, so that java itself is asked', () => {
  assert.equal(parseReleaseFile('JAVA_VERSION="21.0.1"\n'), undefined)
  assert.equal(parseReleaseFile(''), undefined)
})

test('the module list of java gives version and jlink', () => {
  assert.deepEqual(parseModuleList('java.base@21.0.7\njava.xml@21.0.7\njdk.jlink@21.0.7\n'), {
    feature: 21,
    hasJlink: true,
  })
  assert.deepEqual(parseModuleList('java.base@17.0.15\n'), { feature: 17, hasJlink: false })
  assert.equal(parseModuleList('Error: Could not create the Java Virtual Machine.'), undefined)
})
