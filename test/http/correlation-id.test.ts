import assert from 'node:assert/strict';
import { isId } from '../../src/lib/ids.ts';
import { anonymousActor, requestStateOf } from '../../src/http/request-state.ts';
import type { AppMiddleware } from '../../src/http/request-state.ts';
import { startApp, stopServers } from './support.ts';

const echo: AppMiddleware = (ctx) => {
  ctx.body = requestStateOf({ req: ctx.req }).correlationId;
};

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';

describe('the correlation id', () => {
  afterEach(stopServers);

  const adopted: [name: string, headers: Record<string, string>, expected: string][] = [
    ['a well-formed X-Request-Id', { 'X-Request-Id': 'Req-0123456789' }, 'Req-0123456789'],
    ['the trace id of a traceparent', { traceparent: `00-${TRACE}-00f067aa0ba902b7-01` }, TRACE],
    [
      'the X-Request-Id before the trace id',
      { 'X-Request-Id': 'Req-0123456789', traceparent: `00-${TRACE}-00f067aa0ba902b7-01` },
      'Req-0123456789',
    ],
  ];
  for (const [name, headers, expected] of adopted) {
    it(`is ${name}`, async () => {
      const { url } = await startApp(echo);

      const response = await fetch(url, { headers });

      assert.equal(response.headers.get('x-request-id'), expected);
      assert.equal(await response.text(), expected);
    });
  }

  const replaced: [name: string, headers: Record<string, string>][] = [
    ['none was given', {}],
    ['the one given is too short to be unique', { 'X-Request-Id': 'a' }],
    ['the one given is too long', { 'X-Request-Id': 'a'.repeat(65) }],
    ['the one given holds markup', { 'X-Request-Id': '<script>alert(1)</script>' }],
    ['the one given holds quotes', { 'X-Request-Id': 'abcdefgh"\'' }],
    ['the trace id is all zeros', { traceparent: `00-${'0'.repeat(32)}-00f067aa0ba902b7-01` }],
    ['the traceparent is malformed', { traceparent: TRACE }],
  ];
  for (const [name, headers] of replaced) {
    it(`is a new one when ${name}`, async () => {
      const { url } = await startApp(echo);

      const response = await fetch(url, { headers });

      assert.ok(isId(response.headers.get('x-request-id') ?? ''));
    });
  }

  it('reaches the audit trail with the address and a trimmed user agent', async () => {
    const { url } = await startApp((ctx) => {
      ctx.body = anonymousActor(ctx, 'tenant');
    });

    const response = await fetch(url, {
      headers: { 'X-Request-Id': 'Req-0123456789', 'User-Agent': 'x'.repeat(5000) },
    });

    assert.deepEqual(await response.json(), {
      tenantId: 'tenant',
      type: 'anonymous',
      ip: '127.0.0.1',
      userAgent: 'x'.repeat(256),
      correlationId: 'Req-0123456789',
    });
  });
});
