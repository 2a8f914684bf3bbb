import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dumpFailure, failureOf } from '../../../../../src/source/mysql/server/server-errors.ts'

test('what error 1236 means is told by its text', () => {
  const texts: Readonly<Record<string, string>> = {
    'Cannot replicate because the source purged required binary logs. Replicate the missing transactions from elsewhere':
      'lost',
    'A replica with the same server_uuid/server_id as this replica has connected to the source; the first event ...':
      'conflict',
    'Could not find first log file name in binary log index file': 'lost',
    'Client requested master to start replication from position > file size': 'lost',
    'Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old and required binlog files have been purged.':
      'lost',
    "Error: connecting slave requested to start from GTID 0-1-100, which is not in the master's binlog":
      'lost',
    "Replica has more GTIDs than the source has, using the source's SERVER_UUID.": 'lost',
    'log event entry exceeded max_allowed_packet; Increase max_allowed_packet on source': 'configuration',
    'bogus data in log event; the first event ...': 'corrupt',
    'Binary log is not open': 'unsupported',
  }
  for (const [text, kind] of Object.entries(texts)) {
    const failure = dumpFailure(1236, text)
    assert.equal(failure.kind, kind, text)
    assert.notEqual(failure.remedy, undefined)
  }
})

test('two readers with one id are in conflict on either kind of server', () => {
  const text = 'A slave with the same server_uuid/server_id is already connected'
  assert.equal(dumpFailure(4052, text).kind, 'conflict')
})

test('errors of the server and of the network have the kind that decides what follows', () => {
  const faults: readonly (readonly [object, string])[] = [
    [{ errno: 1045, code: 'ER_ACCESS_DENIED_ERROR' }, 'unauthorised'],
    [{ errno: 1142 }, 'unauthorised'],
    [{ errno: 1040 }, 'overload'],
    [{ errno: 1053 }, 'transient'],
    [{ code: 'ECONNREFUSED', errno: -111 }, 'transient'],
    [{ code: 'PROTOCOL_CONNECTION_LOST' }, 'transient'],
    [{ code: 'HANDSHAKE_SSL_ERROR' }, 'configuration'],
    [{ code: 'HANDSHAKE_NO_SSL_SUPPORT' }, 'configuration'],
    [{ errno: 1064 }, 'unsupported'],
  ]
  for (const [fault, kind] of faults)
    assert.equal(
      failureOf(Object.assign(new Error('why'), fault), 'trying').kind,
      kind,
      JSON.stringify(fault),
    )
  assert.match(failureOf(new Error('why'), 'trying').message, /^trying: why$/)
  assert.equal(dumpFailure(1227, 'Access denied; you need REPLICATION SLAVE').kind, 'unauthorised')
  assert.match(dumpFailure(1227, 'Access denied').remedy ?? '', /GRANT REPLICATION SLAVE ON \*\.\*/)
  assert.equal(dumpFailure(1053, 'Server shutdown in progress').kind, 'transient')
})
