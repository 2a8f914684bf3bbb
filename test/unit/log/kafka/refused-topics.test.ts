import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResponseError } from '@platformatic/kafka'
import { brokerFailure } from '../../../../src/log/kafka/failures.ts'

const denied = 29
const answers = {
  'asking for topics': {
    brokers: [{ nodeId: 1, host: 'broker' }],
    topics: [
      { errorCode: 0, name: 'allowed', partitions: [{ errorCode: 0 }] },
      { errorCode: denied, name: 'secret', partitions: [] },
    ],
  },
  writing: {
    responses: [
      { name: 'allowed', partitionResponses: [{ index: 0, errorCode: 0 }] },
      { name: 'secret', partitionResponses: [{ index: 0, errorCode: denied }] },
    ],
  },
  'beginning a transaction': {
    errorCode: 0,
    resultsByTransaction: [
      {
        transactionalId: 'one',
        topicResults: [
          { name: 'allowed', resultsByPartition: [{ partitionIndex: 0, partitionErrorCode: 0 }] },
          { name: 'secret', resultsByPartition: [{ partitionIndex: 0, partitionErrorCode: denied }] },
        ],
      },
    ],
  },
}

for (const [doing, answer] of Object.entries(answers))
  test(`${doing}: of several topics the one is named that brokers refuse`, () => {
    const failure = brokerFailure(new ResponseError(3, 12, { '/': [denied, null] }, answer), doing)
    assert.match(String(failure), /TOPIC_AUTHORIZATION_FAILED.*\[secret\]$/)
  })
