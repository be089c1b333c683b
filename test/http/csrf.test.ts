import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { createCsrf } from '../../src/http/csrf.ts';
import { PUBLIC_URL, startApp, stopServers } from './support.ts';

const csrf = createCsrf({ key: randomBytes(32), publicUrl: PUBLIC_URL });

async function submit(token: string | undefined, headers: Record<string, string> = {}) {
  const { url } = await startApp((ctx) => {
    csrf.check(ctx, 'interaction-1', token);
    ctx.body = {};
  });
  // Not fetch, which has Sec-Fetch headers and a Host of its own.
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const req = request(`${url}/api/x`, { method: 'POST', headers }, resolve);
    req.on('error', reject).end();
  });
  return { status: response.statusCode, code: JSON.parse(await text(response)).code };
}

const ACCEPTED = { status: 200, code: undefined };
const FOREIGN = { status: 403, code: 'csrf.foreign_origin' };
const BAD_TOKEN = { status: 403, code: 'csrf.bad_token' };

describe('a form with its token', () => {
  afterEach(stopServers);

  const matrix: [headers: Record<string, string>, expected: object][] = [
    [{}, ACCEPTED],
    [{ Origin: PUBLIC_URL }, ACCEPTED],
    [{ Origin: PUBLIC_URL, 'Sec-Fetch-Site': 'same-origin' }, ACCEPTED],
    [{ 'Sec-Fetch-Site': 'none' }, ACCEPTED],
    [{ Referer: `${PUBLIC_URL}/interaction/1` }, ACCEPTED],
    // What browsers send for a form on a page without referrer, as ours are.
    [{ Origin: 'null', 'Sec-Fetch-Site': 'same-origin' }, ACCEPTED],
    [{ Origin: 'null' }, ACCEPTED],
    [{ Origin: 'null', 'Sec-Fetch-Site': 'cross-site' }, FOREIGN],
    [{ Origin: 'null', Referer: 'https://evil.example/' }, FOREIGN],
    [{ Origin: 'https://evil.example' }, FOREIGN],
    [{ Origin: 'https://evil.example', 'Sec-Fetch-Site': 'same-origin' }, FOREIGN],
    [{ Origin: 'http://auth.example' }, FOREIGN],
    [{ Origin: 'https://auth.example:8443' }, FOREIGN],
    [{ Origin: 'https://auth.example.evil.example' }, FOREIGN],
    [{ Origin: 'https://sub.auth.example', 'Sec-Fetch-Site': 'same-site' }, FOREIGN],
    [{ Origin: `${PUBLIC_URL}, https://evil.example` }, FOREIGN],
    [{ Origin: '' }, FOREIGN],
    [{ Origin: PUBLIC_URL, 'Sec-Fetch-Site': 'cross-site' }, FOREIGN],
    [{ Origin: PUBLIC_URL, 'Sec-Fetch-Site': 'same-site' }, FOREIGN],
    [{ Origin: PUBLIC_URL, 'Sec-Fetch-Site': 'made-up' }, FOREIGN],
    [{ Referer: 'https://evil.example/auth.example' }, FOREIGN],
    [{ Referer: 'https://auth.example@evil.example/' }, FOREIGN],
    [{ Referer: 'not a url' }, FOREIGN],
    [{ Host: 'evil.example', Origin: 'https://evil.example' }, FOREIGN],
  ];
  for (const [headers, expected] of matrix) {
    it(`is ${expected === ACCEPTED ? 'accepted' : 'refused'} with ${JSON.stringify(headers)}`, async () => {
      assert.deepEqual(await submit(csrf.token('interaction-1'), headers), expected);
    });
  }
});

describe('a CSRF token', () => {
  afterEach(stopServers);

  it('differs each time', () => {
    assert.notEqual(csrf.token('interaction-1'), csrf.token('interaction-1'));
  });

  const token = csrf.token('interaction-1');
  const other = createCsrf({ key: randomBytes(32), publicUrl: PUBLIC_URL });
  const [nonce, mac] = token.split('.');
  const wrong: [name: string, token: string | undefined][] = [
    ['is missing', undefined],
    ['is empty', ''],
    ['is a dot', '.'],
    ['belongs to another interaction', csrf.token('interaction-2')],
    ['was made under another key', other.token('interaction-1')],
    ['is truncated', token.slice(0, -1)],
    ['is padded', `${token}=`],
    ['has something behind', `${token}.x`],
    ['has white space', ` ${token}`],
    ['is in capitals', token.toUpperCase()],
    ['has only its nonce', nonce],
    ['has another nonce', `x${nonce}.${mac}`],
    ['moves a character from the nonce to the binding', csrf.token('interaction-').replace(/^/, '1')],
  ];
  for (const [name, sent] of wrong) {
    it(`is refused when it ${name}`, async () => {
      assert.deepEqual(await submit(sent), BAD_TOKEN);
    });
  }
});
