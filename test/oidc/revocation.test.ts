import assert from 'node:assert/strict';
import { decodeJwt } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createMachine, isActive, tokensOf } from '../support/token-sets.ts';

const API = 'https://api.example/';
const OPAQUE_API = 'https://opaque.example/';

describe('revocation (RFC 7009)', () => {
  let app: TestApp;
  let replica: TestApp;
  let tenant: TestTenant;
  let elsewhere: { baseUrl: string };
  before(async () => {
    app = await startTestApp();
    replica = await startTestApp({ env: { PUBLIC_URL: app.url } });
    tenant = await app.tenant();
    elsewhere = { baseUrl: `http://127.0.0.1:${replica.config.port}/t/${tenant.tenant.slug}` };
    for (const [identifier, accessTokenFormat] of [
      [API, 'jwt'],
      [OPAQUE_API, 'opaque'],
    ] as const)
      await app.services.resources.create(tenant.actor, {
        identifier,
        accessTokenFormat,
        scopes: [{ name: 'read' }],
      });
  });
  after(async () => {
    await replica.close();
    await app.close();
  });

  const revoke = (rp: Pick<RelyingParty, 'call'>, token: string, params: Record<string, string> = {}) =>
    rp.call('/revoke', { token, ...params });
  const eventsOf = (
    rp: { clientId: string },
    type: string,
  ): Promise<{ actor_type: string; actor_id: string }[]> =>
    app
      .db('events')
      .where({ tenant_id: tenant.tenant.id, type })
      .whereRaw(`data->>'client_id' = ?`, [rp.clientId]);

  it('ends an opaque access token on every replica and leaves its family alone', async () => {
    const rp = await createRelyingParty(app, tenant);
    const tokens = await tokensOf(rp);

    const { status } = await revoke(rp, tokens.access_token);

    assert.equal(status, 200);
    assert.equal(await isActive(rp, tokens.access_token, elsewhere), false);
    assert.equal(await isActive(rp, tokens.refresh_token), true);
    assert.equal((await rp.refresh(tokens.refresh_token)).status, 200);
  });

  it('ends an opaque access token at userinfo', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { access_token: token } = await tokensOf(rp);

    await revoke(rp, token);
    const response = await fetch(`${elsewhere.baseUrl}/userinfo`, {
      headers: { authorization: `Bearer ${token}` },
    });

    assert.equal(response.status, 401);
  });

  it('ends the whole family with its refresh token', async () => {
    const rp = await createRelyingParty(app, tenant);
    const first = await tokensOf(rp, { authorize: { scope: 'openid read', resource: API } });
    const { body: second } = await rp.refresh(first.refresh_token);
    const third = second.refresh_token ?? '';

    const { status } = await revoke(rp, third);

    assert.equal(status, 200);
    for (const token of [first.access_token, second.access_token ?? '', third])
      assert.equal(await isActive(rp, token, elsewhere), false);
    assert.equal((await rp.refresh(third)).body.error, 'invalid_grant');
  });

  it('ends the family also with a refresh token that was used before', async () => {
    const rp = await createRelyingParty(app, tenant);
    const first = await tokensOf(rp);
    const { body: second } = await rp.refresh(first.refresh_token);

    const { status } = await revoke(rp, first.refresh_token);

    assert.equal(status, 200);
    assert.equal(await isActive(rp, second.access_token ?? ''), false);
    assert.equal((await rp.refresh(second.refresh_token ?? '')).body.error, 'invalid_grant');
  });

  it('ends a JWT access token for whoever asks, on every replica, and leaves its family alone', async () => {
    const rp = await createRelyingParty(app, tenant);
    const tokens = await tokensOf(rp, { authorize: { scope: 'openid read', resource: API } });

    const before = await isActive(rp, tokens.access_token, elsewhere);
    const { status } = await revoke(rp, tokens.access_token);

    assert.deepEqual([before, status], [true, 200]);
    assert.equal(await isActive(rp, tokens.access_token), false);
    assert.equal(await isActive(rp, tokens.access_token, elsewhere), false);
    assert.equal((await rp.refresh(tokens.refresh_token)).status, 200);
  });

  for (const resource of ['', API, OPAQUE_API]) {
    it(`ends a token of a service${resource && ` for ${resource}`}`, async () => {
      const machine = await createMachine(app, tenant);
      const { body } = await machine.token(resource ? { resource } : {});
      const token = body.access_token ?? '';

      const before = await isActive(machine, token);
      const { status } = await revoke(machine, token);

      assert.deepEqual([before, status], [true, 200]);
      assert.equal(await isActive(machine, token, elsewhere), false);
    });
  }

  it('does not touch what belongs to another client', async () => {
    const rp = await createRelyingParty(app, tenant);
    const stranger = await createMachine(app, tenant);
    const opaque = await tokensOf(rp);
    const jwt = await tokensOf(rp, { authorize: { scope: 'openid read', resource: API } });
    const tokens = [opaque, jwt].flatMap((set) => [set.access_token, set.refresh_token]);

    for (const token of tokens) await revoke(stranger, token);

    for (const token of tokens) assert.equal(await isActive(rp, token), true);
    assert.deepEqual(await eventsOf(rp, 'token.revoked'), []);
    assert.deepEqual(await eventsOf(rp, 'grant.revoked'), []);
  });

  it('of a public client needs no secret', async () => {
    const rp = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });
    const tokens = await tokensOf(rp);

    await revoke(rp, tokens.refresh_token);

    assert.equal(await isActive(rp, tokens.access_token), false);
  });

  for (const token of ['unknown', 'at_unknown', 'rt_unknown', 'a.b.c', 'eyJhbGciOiJub25lIn0.e30.']) {
    it(`answers 200 to what it does not know: ${token}`, async () => {
      const machine = await createMachine(app, tenant);

      const { status, body } = await revoke(machine, token);

      assert.deepEqual([status, body], [200, {}]);
    });
  }

  for (const hint of ['access_token', 'refresh_token', 'nonsense']) {
    it(`works whatever the hint says: ${hint}`, async () => {
      const rp = await createRelyingParty(app, tenant);
      const tokens = await tokensOf(rp);

      await revoke(rp, tokens.access_token, { token_type_hint: hint });
      const alone = await isActive(rp, tokens.refresh_token);
      await revoke(rp, tokens.refresh_token, { token_type_hint: hint });

      assert.equal(alone, true);
      assert.equal(await isActive(rp, tokens.access_token), false);
      assert.equal(await isActive(rp, tokens.refresh_token), false);
    });
  }

  it('needs a token', async () => {
    const machine = await createMachine(app, tenant);

    const { status, body } = await machine.call('/revoke', {});

    assert.deepEqual([status, body.error], [400, 'invalid_request']);
  });

  it('does not outlive an access token, so nothing is kept for one that expired', async () => {
    const machine = await createMachine(app, tenant);
    const { body } = await machine.token({ resource: API });

    await revoke(machine, body.access_token ?? '');

    const [row] = await app
      .db('revoked_tokens')
      .where({ tenant_id: tenant.tenant.id })
      .orderBy('created_at', 'desc');
    assert.equal(row.expires_at.getTime() / 1000, decodeJwt(body.access_token ?? '').exp);
  });

  describe('is recorded once, in the name of the client', () => {
    for (const [what, resource] of Object.entries({ opaque: '', JWT: API })) {
      it(`as the end of a token: ${what} access token`, async () => {
        const rp = await createRelyingParty(app, tenant);
        const tokens = await tokensOf(rp, {
          authorize: resource ? { scope: 'openid read', resource } : {},
        });

        const statuses = [
          (await revoke(rp, tokens.access_token)).status,
          (await revoke(rp, tokens.access_token)).status,
          (await rp.call('/revoke', { token: tokens.access_token }, elsewhere)).status,
        ];

        assert.deepEqual(statuses, [200, 200, 200]);
        const events = await eventsOf(rp, 'token.revoked');
        assert.deepEqual(
          events.map((event) => [event.actor_type, event.actor_id]),
          [['client', rp.clientId]],
        );
        assert.deepEqual(await eventsOf(rp, 'grant.revoked'), []);
      });

      it(`as the end of a token: ${what} token of a service`, async () => {
        const machine = await createMachine(app, tenant);
        const { body } = await machine.token(resource ? { resource } : {});

        await revoke(machine, body.access_token ?? '');
        await revoke(machine, body.access_token ?? '');

        assert.equal((await eventsOf(machine, 'token.revoked')).length, 1);
      });
    }

    it('as the end of a grant: refresh token', async () => {
      const rp = await createRelyingParty(app, tenant);
      const tokens = await tokensOf(rp);

      await revoke(rp, tokens.refresh_token);
      await revoke(rp, tokens.refresh_token);

      const events = await eventsOf(rp, 'grant.revoked');
      assert.deepEqual(
        events.map((event) => [event.actor_type, event.actor_id]),
        [['client', rp.clientId]],
      );
      assert.deepEqual(await eventsOf(rp, 'token.revoked'), []);
    });
  });
});
