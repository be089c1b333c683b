import assert from 'node:assert/strict';
import type { Knex } from 'knex';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { endSomeGrants } from '../../src/oidc/adapter/client-access.ts';
import { revokeUserAccess } from '../../src/oidc/adapter/revoke-access.ts';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { startReplicas } from '../support/replicas.ts';
import type { Replica } from '../support/replicas.ts';
import { createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';
import type { Page } from '../support/user-agent.ts';

const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

describe('requests that meet on two server processes', function () {
  this.timeout(60_000);
  let app: TestApp;
  let tenant: TestTenant;
  let replicas: Replica[];

  before(async () => {
    app = await startTestApp();
    tenant = await app.tenant();
    replicas = await startReplicas(2, app.url);
  });
  after(async () => {
    await Promise.all(replicas.map((replica) => replica.close()));
    await app.close();
  });

  const at = (index: number, url: string) =>
    url.replace(app.url, replicas[index % replicas.length]?.url ?? '');
  const times = <Result>(count: number, work: (index: number) => Promise<Result>) =>
    Promise.all(Array.from({ length: count }, (_, index) => work(index)));
  const codeOf = (page: Page) => (page.location ? new URL(page.location).searchParams.get('code') : null);

  /** Holds what is locked until everybody the work sends stands in front of it, and while `meanwhile` runs. */
  async function whileLocked<Result>(
    lock: (trx: Knex.Transaction) => PromiseLike<unknown>,
    work: () => Promise<Result>[],
    meanwhile: (trx: Knex.Transaction) => Promise<unknown> = async () => {},
  ): Promise<Result[]> {
    const trx = await app.db.transaction();
    await lock(trx);
    const { rows } = await trx.raw('SELECT pg_backend_pid() AS pid');
    const results = work();
    for (let waiting = 0; waiting < results.length; ) {
      const blocked = await app.db.raw(
        `WITH RECURSIVE behind (pid) AS (
           VALUES (?::int) UNION
           SELECT a.pid FROM pg_stat_activity a JOIN behind b ON b.pid = ANY (pg_blocking_pids(a.pid)))
         SELECT count(*)::int - 1 AS waiting FROM behind`,
        [rows[0].pid],
      );
      ({ waiting } = blocked.rows[0]);
    }
    await meanwhile(trx);
    await trx.commit();
    return Promise.all(results);
  }

  const sessionsOf = (userId: string) => (trx: Knex.Transaction) =>
    trx('oidc_models')
      .where({ tenant_id: tenant.tenant.id, model: 'Session', account_id: userId })
      .forUpdate();

  /** Requests have read everything when they come to write. */
  const allWrites = (trx: Knex.Transaction) => trx.raw('LOCK TABLE ONLY oidc_models IN SHARE MODE');

  it('accepts a client assertion once', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true });
    const rp = await createRelyingParty(app, tenant, {
      metadata: {
        token_endpoint_auth_method: 'private_key_jwt',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        jwks: { keys: [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }] },
      },
    });
    await app.services.resources.create(tenant.actor, {
      identifier: 'https://api.example/once',
      name: 'API',
      scopes: [],
    });
    const assertion = await new SignJWT()
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .setIssuer(rp.clientId)
      .setSubject(rp.clientId)
      .setAudience(tenant.issuer)
      .setJti('only-once')
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(privateKey);

    const responses = await times(20, (index) =>
      rp.token(
        {
          grant_type: 'client_credentials',
          resource: 'https://api.example/once',
          client_assertion_type: ASSERTION_TYPE,
          client_assertion: assertion,
        },
        { baseUrl: at(index, tenant.issuer) },
      ),
    );

    assert.equal(
      responses.filter(({ status }) => status === 200).length,
      1,
      JSON.stringify(responses[0]?.body),
    );
    assert.equal(responses.filter(({ body }) => body.error === 'invalid_client').length, 19);
  });

  it('completes a pushed request once', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    await rp.signIn(agent);
    const { searchParams } = new URL(rp.authorizationUrl());
    const pushed = await rp.call('/par', Object.fromEntries(searchParams));
    const query = new URLSearchParams({
      client_id: rp.clientId,
      request_uri: String(pushed.body['request_uri']),
    });

    const pages = await times(20, (index) =>
      agent.get(at(index, `${tenant.issuer}/authorize?${query.toString()}`)),
    );

    assert.equal(pages.filter((page) => codeOf(page)).length, 1);
    assert.equal(pages.filter(({ status }) => status >= 500).length, 0);
  });

  it('gives one code for a sign-in that is resumed twice at once', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    const url = rp.authorizationUrl({ login_hint: rp.user.email, response_mode: 'form_post' });
    const form = await agent.follow(await agent.get(url), app.url);
    const answered = await agent.submit(form, '/password', { password: 'correct horse battery staple' });

    const pages = await times(10, (index) => agent.get(at(index, answered.location ?? '')));

    assert.equal(pages.filter(({ body }) => body.includes('name="code"')).length, 1);
    assert.equal(pages.filter(({ status }) => status >= 500).length, 0);
  });

  it('leads from a sign-in to one consent, and ends with it', async () => {
    const own = await app.tenant();
    const rp = await createRelyingParty(app, own);
    const agent = createUserAgent();
    const url = rp.authorizationUrl({ login_hint: rp.user.email, response_mode: 'form_post' });
    const form = await agent.follow(await agent.get(url), app.url);
    const answered = await agent.submit(form, '/password', { password: GOOD_PASSWORD });

    await times(10, (index) => agent.get(at(index, answered.location ?? '')));

    const interactions = app.db('oidc_models').where({ tenant_id: own.tenant.id, model: 'Interaction' });
    assert.equal((await interactions.clone()).length, 2);
    assert.equal((await interactions.whereNull('dead_at')).length, 1);
  });

  it('loses no app when two tabs authorize different apps at once', async () => {
    const first = await createRelyingParty(app, tenant, { firstParty: true });
    const others = await times(6, () => createRelyingParty(app, tenant, { firstParty: true }));
    const agent = createUserAgent();
    await first.signIn(agent);

    await Promise.all(others.map((rp, index) => agent.get(at(index, rp.authorizationUrl()))));

    const [session] = await app.db('oidc_models').where({
      tenant_id: tenant.tenant.id,
      model: 'Session',
      account_id: first.user.id,
    });
    const authorized = Object.keys(session.payload.authorizations);
    assert.deepEqual(authorized.toSorted(), [first, ...others].map(({ clientId }) => clientId).toSorted());
  });

  it('gives first authorizations of one app in parallel tabs one grant', async () => {
    const [first, rp] = [
      await createRelyingParty(app, tenant, { firstParty: true }),
      await createRelyingParty(app, tenant, { firstParty: true }),
    ];
    const agent = createUserAgent();
    await first.signIn(agent);

    // Both wait for the session, so the second one begins with what it was before the first one.
    const pages = await whileLocked(sessionsOf(first.user.id), () =>
      [0, 1].map((index) => agent.get(at(index, rp.authorizationUrl()))),
    );

    const answers = await Promise.all(pages.map((page) => rp.redeem(codeOf(page) ?? '')));
    const refreshed = await Promise.all(answers.map(({ body }) => rp.refresh(body.refresh_token ?? '')));
    assert.deepEqual(
      refreshed.map(({ status }) => status),
      [200, 200],
    );
  });

  it('authorizes with another grant when the one it found ends meanwhile', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    await rp.signIn(agent);

    const [page] = await whileLocked(
      allWrites,
      () => [agent.get(rp.authorizationUrl({ prompt: 'none' }))],
      (trx) => endSomeGrants(trx, tenant.tenant.id, rp.clientId),
    );

    const arrived = page && (await agent.follow(page, app.url));
    const answer = await rp.redeem((arrived && codeOf(arrived)) ?? '');
    assert.equal(answer.status, 200, arrived?.location);
    assert.equal((await rp.refresh(answer.body.refresh_token ?? '')).status, 200);
  });

  it('gives no code for a session that ends between its reading and the code', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    await rp.signIn(agent);

    const [page] = await whileLocked(
      allWrites,
      () => [agent.get(rp.authorizationUrl({ prompt: 'none' }))],
      (trx) => revokeUserAccess(trx, tenant.tenant.id, rp.user.id),
    );

    assert.equal(new URL(page?.location ?? '').searchParams.get('error'), 'login_required');
  });

  it('never lets a request under way undo a logout', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });

    const survivors = await times(8, async () => {
      const agent = createUserAgent();
      await rp.signIn(agent);
      const confirm = await agent.get(`${tenant.issuer}/logout`);
      const [loggedOut] = await Promise.all([
        agent.submit(confirm, '/logout/confirm', { logout: 'yes' }),
        times(10, (index) => agent.get(at(index, rp.authorizationUrl({ prompt: 'none' })))),
      ]);
      assert.equal(loggedOut.status, 303);
      const after = await agent.get(rp.authorizationUrl({ prompt: 'none' }));
      return codeOf(after);
    });

    assert.deepEqual(
      survivors,
      Array.from({ length: 8 }, () => null),
    );
    const sessions = await app
      .db('oidc_models')
      .where({ tenant_id: tenant.tenant.id, model: 'Session', account_id: rp.user.id })
      .whereNull('dead_at');
    assert.deepEqual(sessions, []);
  });

  it('ends sessions, grants and tokens of a disabled user at once on every process', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    const { code = '' } = await rp.signIn(agent);
    const { body } = await rp.redeem(code);

    await app.services.users.disable(tenant.actor, rp.user.id);

    const [refreshed, introspected, userinfo, page] = await Promise.all([
      rp.token(
        { grant_type: 'refresh_token', refresh_token: body.refresh_token ?? '' },
        { baseUrl: at(0, tenant.issuer) },
      ),
      rp.call('/introspect', { token: body.access_token ?? '' }, { baseUrl: at(1, tenant.issuer) }),
      fetch(at(0, `${tenant.issuer}/userinfo`), {
        headers: { authorization: `Bearer ${body.access_token}` },
      }),
      agent.get(at(1, rp.authorizationUrl({ prompt: 'none' }))),
    ]);
    assert.equal(refreshed.body.error, 'invalid_grant');
    assert.equal(introspected.body['active'], false);
    assert.equal(userinfo.status, 401);
    assert.equal(new URL(page.location ?? '').searchParams.get('error'), 'login_required');
  });

  it('leads a session whose account is not active any more to the sign-in page', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    await rp.signIn(agent);
    // Behind the back of the service, which would have ended the session.
    await app.db('users').where({ id: rp.user.id }).update({ status: 'disabled' });

    const page = await agent.follow(await agent.get(rp.authorizationUrl()), app.url);

    assert.equal(page.status, 200);
    assert.match(page.url, /\/interaction\//);
  });

  it('accepts a consent given in two tabs at once', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    await rp.signIn(agent, { scope: 'openid' });
    const open = async (scope: string) =>
      agent.follow(await agent.get(rp.authorizationUrl({ scope })), app.url);
    const [one, two] = [await open('openid email'), await open('openid profile')];

    const answers = await Promise.all(
      [one, two].map((page) => agent.submit(page, '/consent', { decision: 'allow' })),
    );

    const ends = await Promise.all(answers.map((page) => agent.follow(page, app.url)));
    assert.deepEqual(
      ends.map((page) => page.location?.startsWith(REDIRECT_URI)),
      [true, true],
    );
    const [consent] = await app.db('consents').where({ user_id: rp.user.id, client_id: rp.clientId });
    assert.deepEqual(consent.scopes.toSorted(), ['email', 'openid', 'profile']);
  });

  it('keeps a newer sign-in, and the session id, when an older one comes back with its consent', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    await rp.signIn(agent, { scope: 'openid' });
    const consent = await agent.follow(
      await agent.get(rp.authorizationUrl({ scope: 'openid email', prompt: 'login' })),
      app.url,
    );
    const asked = await agent.follow(
      await agent.submit(consent, '/password', { password: GOOD_PASSWORD }),
      app.url,
    );
    const session = { tenant_id: tenant.tenant.id, model: 'Session', account_id: rp.user.id };
    await app.db.raw(
      `UPDATE oidc_models SET payload = jsonb_set(payload, '{loginTs}', to_jsonb((payload->>'loginTs')::int + 5))
        WHERE tenant_id = ? AND model = 'Session' AND account_id = ?`,
      [tenant.tenant.id, rp.user.id],
    );
    const before = await app.db('oidc_models').where(session).whereNull('dead_at').first();

    const answered = await agent.follow(
      await agent.submit(asked, '/consent', { decision: 'allow' }),
      app.url,
    );

    assert.ok(answered.location?.startsWith(REDIRECT_URI), answered.body);
    const after = await app.db('oidc_models').where(session).whereNull('dead_at').first();
    assert.deepEqual([after.id_hash, after.payload.loginTs], [before.id_hash, before.payload.loginTs]);
  });
});
