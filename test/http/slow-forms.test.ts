import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';

/** More than there are seats and places in the queue with one thread that hashes. */
const SENDERS = 60;

describe('forms that are never sent to their end', () => {
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    app = await startTestApp({ env: { GATEHOUSE_PASSWORD_HASHERS: '1' } });
    tenant = await app.tenant();
  });
  after(() => app.close());

  /** @returns once the server waits for the body */
  async function openForm(url: string, cookie: string): Promise<Socket> {
    const { hostname, port, host, pathname } = new URL(url);
    const socket = connect({ port: Number(port), host: hostname });
    socket.on('error', () => {});
    socket.write(
      `POST ${pathname} HTTP/1.1\r\nHost: ${host}\r\nCookie: ${cookie}\r\nExpect: 100-continue\r\n` +
        'Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ncsrf=',
    );
    await once(socket, 'data');
    return socket;
  }

  for (const screen of ['password', 'own-password']) {
    it(`keep nobody from signing in: ${screen}`, async () => {
      const rp = await createRelyingParty(app, tenant);
      const slow = createUserAgent();
      const { url } = await slow.follow(await slow.get(rp.authorizationUrl()), tenant.issuer);
      const action = url.replace(/(\/interaction\/[\w-]+).*/, `$1/${screen}`);
      const cookie = slow.cookies.map(({ name, value }) => `${name}=${value}`).join('; ');
      const senders = await Promise.all(Array.from({ length: SENDERS }, () => openForm(action, cookie)));

      const answer = await rp.signIn(createUserAgent());

      assert.ok(answer['code']);
      for (const socket of senders) socket.destroy();
    });
  }
});
