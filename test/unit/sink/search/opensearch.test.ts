import assert from 'node:assert/strict'
import { createHash, createHmac } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { describe, it } from 'node:test'
import { answer, bodyOf, connectTo, serve } from '../../../support/loopback-node.ts'

const never = new AbortController().signal

describe('requests to an OpenSearch of AWS', () => {
  it('are signed, body and all', async () => {
    const requests: { readonly headers: IncomingMessage['headers']; readonly body: string }[] = []
    const note = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
      requests.push({ headers: request.headers, body: (await bodyOf(request)).toString() })
      answer(response, '{}')
    }
    await using node = await serve((request, response) => void note(request, response))
    const key = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'wJalrXUtnFEMI', sessionToken: 'tok' }
    await using client = connectTo({
      nodes: [node.url],
      product: 'opensearch',
      authentication: { kind: 'aws', region: 'eu-west-1', service: 'es', ...key },
    })
    await client.send({ method: 'POST', path: '/a/_bulk', body: Buffer.from('{}\n'), lines: true }, never)
    const [{ headers, body } = { headers: {}, body: '' }] = requests
    assert.equal(headers['x-amz-security-token'], 'tok')
    assert.equal(headers['x-amz-content-sha256'], createHash('sha256').update(body).digest('hex'))
    assert.equal(headers.authorization, signatureOf('POST', '/a/_bulk', headers, key))
  })
})

/** The signature as the algorithm's description has it, of a request without a query. */
function signatureOf(
  method: string,
  path: string,
  headers: IncomingMessage['headers'],
  key: { readonly accessKeyId: string; readonly secretAccessKey: string },
): string {
  const signed = /SignedHeaders=([^,]+)/.exec(headers.authorization ?? '')?.[1] ?? ''
  const lines = signed.split(';').map((name) => `${name}:${String(headers[name]).trim()}\n`)
  const request = [method, path, '', lines.join(''), signed, headers['x-amz-content-sha256']].join('\n')
  const at = String(headers['x-amz-date'])
  const scope = `${at.slice(0, 8)}/eu-west-1/es/aws4_request`
  const secret = [at.slice(0, 8), 'eu-west-1', 'es', 'aws4_request'].reduce<string | Buffer>(
    (sofar, text) => sign(sofar, text),
    `AWS4${key.secretAccessKey}`,
  )
  const signature = createHmac('sha256', secret)
    .update(['AWS4-HMAC-SHA256', at, scope, hash(request)].join('\n'))
    .digest('hex')
  return `AWS4-HMAC-SHA256 Credential=${key.accessKeyId}/${scope}, SignedHeaders=${signed}, Signature=${signature}`
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

function sign(secret: string | Buffer, text: string): Buffer {
  return createHmac('sha256', secret).update(text).digest()
}
