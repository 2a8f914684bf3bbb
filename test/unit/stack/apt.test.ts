import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findMirror } from '../../stack/apt.ts'

const keyring = '/usr/share/keyrings/debian-archive-keyring.gpg'

test('the mirror is found in deb822 sources, the security archive left aside', () => {
  const sources = `Types: deb
URIs: http://mirror.test/debian-security
Suites: stable-security
Components: main

Types: deb
URIs: http://mirror.test/debian
Suites: stable stable-updates
Components: main contrib
Signed-By: /keys/own.gpg
`
  assert.deepEqual(findMirror(sources), { uri: 'http://mirror.test/debian', signedBy: '/keys/own.gpg' })
})

test('the mirror is found in one-line sources, with options or without', () => {
  const plain = 'deb http://mirror.test/debian stable main\n'
  assert.deepEqual(findMirror(plain), { uri: 'http://mirror.test/debian', signedBy: keyring })
  const signed = 'deb [arch=amd64 signed-by=/keys/own.gpg] http://mirror.test/debian stable main\n'
  assert.deepEqual(findMirror(signed), { uri: 'http://mirror.test/debian', signedBy: '/keys/own.gpg' })
})

test('sources without a section "main" name no mirror', () => {
  assert.equal(findMirror('deb http://mirror.test/tool any tool\n'), undefined)
  assert.equal(findMirror(''), undefined)
})
