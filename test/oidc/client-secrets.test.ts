import assert from 'node:assert/strict';
import { tenantStore } from '../../src/tenants/tenant-store.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { basicAuth, createMachine, postForm } from '../support/token-sets.ts';
import type { Machine } from '../support/token-sets.ts';

const ENDPOINTS = {
  '/token': { grant_type: 'client_credentials' },
  '/introspect': { token: 'unknown' },
  '/revoke': { token: 'unknown' },
  '/par': { response_type: 'code', redirect_uri: 'https://app.example/callback' },
};

describe('client authentication by secret', () => {
  let app: TestApp;
  let tenant: TestTenant;
  let machine: Machine;
  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    machine = await createMachine(app, tenant);
  });
  after(() => app.close());

  const token = (params: Record<string, string>, headers: Record<string, string> = {}) =>
    postForm(`${tenant.issuer}/token`, { grant_type: 'client_credentials', ...params }, headers);
  /** What the server polls for several times a second. */
  const takeOver = () => app.registry.refresh();

  it('works in the header', async () => {
    const { status } = await token({}, { authorization: basicAuth(machine.clientId, machine.secret) });

    assert.equal(status, 200);
  });

  it('works in the body', async () => {
    const posting = await createMachine(app, tenant, {
      metadata: { token_endpoint_auth_method: 'client_secret_post' },
    });

    const { status } = await token({ client_id: posting.clientId, client_secret: posting.secret });

    assert.equal(status, 200);
  });

  it('does not work in the query', async () => {
    const query = new URLSearchParams({ client_id: machine.clientId, client_secret: machine.secret });

    const { status } = await postForm(`${tenant.issuer}/token?${query.toString()}`, {
      grant_type: 'client_credentials',
    });

    assert.equal(status, 401);
  });

  it('is refused in two places at once', async () => {
    const { status, body } = await token(
      { client_id: machine.clientId, client_secret: machine.secret },
      { authorization: basicAuth(machine.clientId, machine.secret) },
    );

    assert.deepEqual([status, body.error], [400, 'invalid_request']);
  });

  for (const [fault, credentials] of Object.entries({
    'a wrong secret': (id: string) => basicAuth(id, 'wrong'),
    'an empty secret': (id: string) => basicAuth(id, ''),
    'the placeholder the engine sees': (id: string) => basicAuth(id, 'kept-as-a-hash'),
    'another scheme': (id: string) => `Bearer ${id}`,
    'half a header': () => 'Basic',
    'no base64': () => 'Basic ***',
    'no colon': (id: string) => `Basic ${Buffer.from(id).toString('base64')}`,
    'an unknown client': () => basicAuth('nobody', 'secret'),
  })) {
    it(`refuses ${fault}`, async () => {
      const { status, body, headers } = await token({}, { authorization: credentials(machine.clientId) });

      assert.ok(status === 401 || status === 400, String(status));
      assert.match(body.error ?? '', /^invalid_(client|request)$/);
      assert.equal(body.access_token, undefined);
      if (status === 401) assert.match(headers.get('www-authenticate') ?? '', /^Basic realm=/);
    });
  }

  for (const change of ['slice', 'case', 'pad'] as const) {
    it(`compares the whole secret: ${change}`, async () => {
      const { secret } = machine;
      const changed = { slice: secret.slice(0, -1), case: secret.toUpperCase(), pad: `${secret}=` }[change];

      const { status, body } = await token({}, { authorization: basicAuth(machine.clientId, changed) });

      assert.deepEqual([status, body.error], [401, 'invalid_client']);
    });
  }

  it('does not tell an unknown client from a wrong secret', async () => {
    const wrong = await token({}, { authorization: basicAuth(machine.clientId, 'wrong') });
    const unknown = await token({}, { authorization: basicAuth('nobody', 'wrong') });

    assert.equal(unknown.status, wrong.status);
    assert.deepEqual(unknown.body, wrong.body);
  });

  for (const [path, params] of Object.entries(ENDPOINTS)) {
    it(`is demanded at ${path}`, async () => {
      const none = await postForm(`${tenant.issuer}${path}`, params);
      const named = await postForm(`${tenant.issuer}${path}`, { client_id: machine.clientId, ...params });

      assert.deepEqual([none.status, none.body.error], [401, 'invalid_client']);
      assert.match(none.headers.get('www-authenticate') ?? '', /^Basic realm=/);
      assert.deepEqual([named.status, named.body.error], [401, 'invalid_client']);
    });

    it(`knows no client of another tenant at ${path}`, async () => {
      const other = await app.tenant();

      const { status, body } = await machine.call(path, params, { baseUrl: other.issuer });

      assert.deepEqual([status, body.error], [401, 'invalid_client']);
    });
  }

  it('is not asked of a public client, which must not send one either', async () => {
    const rp = await createRelyingParty(app, tenant, { metadata: { token_endpoint_auth_method: 'none' } });
    const { code = '' } = await rp.signIn();

    const wrongMethod = await postForm(
      `${tenant.issuer}/token`,
      { grant_type: 'authorization_code', code },
      { authorization: basicAuth(rp.clientId, 'anything') },
    );
    const right = await rp.redeem(code);

    assert.deepEqual([wrongMethod.status, wrongMethod.body.error], [401, 'invalid_client']);
    assert.equal(right.status, 200);
  });

  it('accepts two live secrets while one replaces the other, and the old one only until it expires', async () => {
    const rotating = await createMachine(app, tenant);
    const { secret: next } = await app.services.clients.rotateSecret(tenant.actor, rotating.clientId, {
      expireOldAfterSeconds: 3600,
    });
    await takeOver();
    const use = async (secret: string) =>
      (await token({}, { authorization: basicAuth(rotating.clientId, secret) })).status;

    const during = [await use(rotating.secret), await use(next)];
    await app
      .db('client_secrets')
      .whereNotNull('expires_at')
      .where({ tenant_id: tenant.tenant.id })
      .update({
        expires_at: new Date(Date.now() - 1000),
      });
    await tenantStore(app.db).raiseConfigVersion(tenant.tenant.id);
    await takeOver();
    const after = [await use(rotating.secret), await use(next)];

    assert.deepEqual(during, [200, 200]);
    assert.deepEqual(after, [401, 200]);
  });

  it('refuses a replaced secret at once when it is told to', async () => {
    const rotating = await createMachine(app, tenant);
    await rotating.token();

    await app.services.clients.rotateSecret(tenant.actor, rotating.clientId, { expireOldAfterSeconds: 0 });
    await takeOver();

    assert.equal((await rotating.token()).status, 401);
  });

  for (const [action, act] of Object.entries({
    disabled: (id: string) => app.services.clients.disable(tenant.actor, id),
    deleted: (id: string) => app.services.clients.delete(tenant.actor, id),
  })) {
    it(`refuses a ${action} client as if it never was`, async () => {
      const gone = await createMachine(app, tenant);
      await gone.token();

      await act(gone.clientId);
      await takeOver();
      const { status, body } = await gone.token();
      const unknown = await token({}, { authorization: basicAuth('nobody', 'x') });

      assert.deepEqual([status, body], [401, unknown.body]);
    });
  }

  it('notices by itself that a client was disabled, sooner than what it remembers runs out', async () => {
    const gone = await createMachine(app, tenant);
    await gone.token();
    await app.services.clients.disable(tenant.actor, gone.clientId);

    const until = Date.now() + 4000;
    let status = 200;
    while (status === 200 && Date.now() < until) ({ status } = await gone.token());

    assert.equal(status, 401);
  });

  it('welcomes a client back that was enabled again', async () => {
    const back = await createMachine(app, tenant);
    await app.services.clients.disable(tenant.actor, back.clientId);
    await takeOver();
    await back.token();

    await app.services.clients.enable(tenant.actor, back.clientId);
    await takeOver();

    assert.equal((await back.token()).status, 200);
  });
});
