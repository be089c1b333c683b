import assert from 'node:assert/strict';
import type { DemoClient, DemoTokens } from '../../src/demo/demo-client.ts';
import type { DemoSession } from '../../src/demo/demo-sessions.ts';
import { refreshTokens } from '../../src/demo/signed-in-view.ts';

const tokens = (name: string): DemoTokens => ({
  idToken: `id-${name}`,
  accessToken: `access-${name}`,
  refreshToken: `refresh-${name}`,
  scope: 'openid',
  expiresAt: new Date(0),
});

const sessionWith = (held: DemoTokens): DemoSession => ({
  id: 'session',
  csrfToken: 'csrf',
  attempts: new Map(),
  tokens: held,
  refreshing: undefined,
  outcome: undefined,
});

describe('refreshing the demo tokens', () => {
  it('uses a refresh token once, however often the button is pressed meanwhile', async () => {
    const used: (string | undefined)[] = [];
    const client: Pick<DemoClient, 'refresh'> = {
      async refresh(held) {
        used.push(held.refreshToken);
        return tokens(String(used.length));
      },
    };
    const session = sessionWith(tokens('0'));

    await Promise.all([refreshTokens(session, client), refreshTokens(session, client)]);
    await refreshTokens(session, client);

    assert.deepEqual(used, ['refresh-0', 'refresh-1']);
    assert.equal(session.tokens?.refreshToken, 'refresh-2');
  });

  it('keeps the tokens it has when the refresh fails, and can try again', async () => {
    let isDown = true;
    const client: Pick<DemoClient, 'refresh'> = {
      refresh: () => (isDown ? Promise.reject(new Error('down')) : Promise.resolve(tokens('1'))),
    };
    const session = sessionWith(tokens('0'));

    await assert.rejects(refreshTokens(session, client), /down/);
    const { refreshToken } = session.tokens ?? {};
    isDown = false;
    await refreshTokens(session, client);

    assert.equal(refreshToken, 'refresh-0');
    assert.equal(session.tokens?.refreshToken, 'refresh-1');
  });
});
