import assert from 'node:assert/strict';
import { attemptStore } from '../../src/attempts/attempt-store.ts';
import { databaseCounters } from '../../src/db/rate-counters.ts';
import { createClientAccessJob } from '../../src/jobs/client-access-job.ts';
import { createExpiryJob } from '../../src/jobs/expiry-job.ts';
import { createLogoutDeliveryJob } from '../../src/jobs/logout-delivery-job.ts';
import { createUserLifeCycleJob } from '../../src/jobs/user-life-cycle-job.ts';
import { newId } from '../../src/lib/ids.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { fillDatabase } from '../../bench/growth/fill-database.ts';
import { visitorOf } from '../account-portal/visitor.ts';
import { createApiWorld } from '../management-api/api-world.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { assertionFields, createAssertionKey } from '../support/assertion-key.ts';
import { createDpopKey } from '../support/dpop.ts';
import { fillOtherTables } from '../support/grown-tables.ts';
import { newAddress, startPostbox } from '../support/mail-app.ts';
import type { Postbox } from '../support/mail-app.ts';
import { SMALL_TABLES, statementsOf, wideReads } from '../support/query-plans.ts';
import { CODE_CHALLENGE, createRelyingParty, REDIRECT_URI } from '../support/relying-party.ts';
import { codeIn } from '../support/smtp-sink.ts';
import { postForm } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

const NEW_PASSWORD = 'seven wandering lighthouses hum';
const never = new AbortController().signal;

describe('queries of requests, on a database that has grown', function () {
  this.timeout(120_000);
  let postbox: Postbox;
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    postbox = await startPostbox();
    // With all limits: their counters are part of what every request costs.
    app = await startTestApp({ db: postbox.db, env: { ...postbox.env, GATEHOUSE_RATE_LIMITS: 'on' } });
    tenant = await app.tenant();
    const rp = await createRelyingParty(app, tenant);
    await fillDatabase(
      postbox.url,
      { users: 2000, grantsPerUser: 4, sessionsPerUser: 3, eventsPerUser: 5 },
      { tenantId: tenant.actor.tenantId, clientId: rp.clientId, passwordOf: rp.user.id },
    );
    await fillOtherTables(app.db, tenant.actor.tenantId);
  });
  after(async () => {
    await app.close();
    await postbox.close();
  });

  /** @param names of what must be among the statements, or nothing is shown of it */
  async function assertIndexed(
    work: () => Promise<unknown>,
    names: readonly RegExp[] = [],
    { avoidsScans = false } = {},
  ): Promise<void> {
    const statements = await statementsOf(app.db, work);
    assert.ok(statements.length > 0);
    for (const name of names)
      assert.ok(
        statements.some((text) => name.test(text)),
        `nothing like ${name}`,
      );
    for (const statement of statements)
      assert.deepEqual(await wideReads(app.db, statement, SMALL_TABLES, { avoidsScans }), [], statement);
  }

  for (const [what, statement, expected] of [
    ['a scan of a table', "SELECT 1 FROM events WHERE reason = 'x'", 'events from end to end'],
    [
      'a scan of an index by the tenant alone',
      "SELECT count(*) FROM events WHERE tenant_id = $1 AND data ->> 'client_id' = $2::text",
      'events_tenant_id_id_idx by (tenant_id = $1)',
    ],
    [
      'one that a limit ends only if the filter finds enough',
      'SELECT id FROM events WHERE tenant_id = $1 AND reason = $2 ORDER BY id DESC LIMIT 50',
      'events_tenant_id_id_idx by (tenant_id = $1)',
    ],
    [
      'a scan of all that is not over',
      'SELECT user_id FROM user_sessions WHERE expires_at > now() AND ip = $1',
      'user_sessions_expires_at_idx by (expires_at > now())',
    ],
  ] as const) {
    it(`are found out where they make ${what}`, async () => {
      // On as many rows the planner would rather read the table than an index of which it needs all.
      const reads = await wideReads(app.db, statement, [], { avoidsScans: what !== 'a scan of a table' });

      assert.deepEqual(reads, [expected]);
    });
  }

  it('may read one page of an index in its order', async () => {
    const statement = 'SELECT id FROM events WHERE tenant_id = $1 ORDER BY id DESC LIMIT 50';

    assert.deepEqual(await wideReads(app.db, statement), []);
  });

  it('use an index at every step of a sign-in with consent, and at the exchange of its code', async () => {
    const rp = await createRelyingParty(app, tenant);

    await assertIndexed(async () =>
      rp.redeem((await rp.signIn(createUserAgent(), { scope: 'openid email' })).code ?? ''),
    );
  });

  it('use an index at an authorization with a session, a refresh, introspection and userinfo', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    const { body } = await rp.redeem((await rp.signIn(agent)).code ?? '');

    await assertIndexed(async () => {
      await agent.get(rp.authorizationUrl());
      await rp.refresh(body.refresh_token ?? '');
      await rp.call('/introspect', { token: body.access_token ?? '' });
      // Reads that share a statement.
      await Promise.all([
        rp.call('/introspect', { token: body.access_token ?? '' }),
        rp.call('/introspect', { token: `${body.access_token}x` }),
        rp.call('/introspect', { token: `${body.access_token}y` }),
      ]);
      await fetch(`${tenant.issuer}/userinfo`, { headers: { authorization: `Bearer ${body.access_token}` } });
    });
  });

  it('use an index at a sign-in over the API, a refresh that extends its session, and what services ask', async () => {
    const world = await createApiWorld(app);
    const { id, email, token, refreshToken } = await world.person();
    // As after six minutes.
    await app.db.raw(
      `UPDATE oidc_models SET payload = jsonb_set(payload, '{exp}', to_jsonb((payload->>'exp')::int - 360))
        WHERE tenant_id = ? AND model = 'Session' AND account_id = ?`,
      [world.tenant.id, id],
    );

    await assertIndexed(async () => {
      assert.equal((await world.login(email)).status, 200);
      const body = { refresh_token: refreshToken };
      assert.equal((await world.call('POST', '/auth/refresh', { body })).status, 200);
      assert.equal(
        (await world.call('POST', '/auth/validate', { as: world.service, body: { token } })).status,
        200,
      );
      assert.equal((await world.call('GET', `/users/${id}/dashboard`, { token })).status, 200);
    });
  });

  it('use an index at reuse, revocation, logout and the end of a user', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const agent = createUserAgent();
    const { body } = await rp.redeem((await rp.signIn(agent)).code ?? '');
    const other = await rp.redeem((await rp.signIn(agent)).code ?? '');

    await assertIndexed(async () => {
      await rp.call('/revoke', { token: other.body.access_token ?? '' });
      await rp.call('/revoke', { token: body.refresh_token ?? '' });
      const confirm = await agent.get(`${tenant.issuer}/logout`);
      await agent.submit(confirm, '/logout/confirm', { logout: 'yes' });
      await app.services.users.disable(tenant.actor, rp.user.id);
    });
  });

  it('use an index at the session of a grant, at the end of a client, and at that of all sessions', async () => {
    const world = await createApiWorld(app);
    const { id, token } = await world.person();
    const rp = await createRelyingParty(app, tenant);
    await rp.signIn();
    const { db, services } = app;

    await assertIndexed(async () => {
      assert.equal((await world.call('GET', `/users/${id}`, { token })).status, 200);
      assert.equal((await world.call('POST', '/auth/logout', { token })).status, 204);
      await services.clients.disable(tenant.actor, rp.clientId);
      await createClientAccessJob({ db, log: createLogger({ level: 'silent' }) }).run(never);
      await services.clients.enable(tenant.actor, rp.clientId);
      await services.sessions.endExcess(tenant.actor, rp.user.id);
      assert.equal(await services.sessions.revokeAll(tenant.actor, rp.user.id), 1);
    }, [
      /s\.session_uid = g\.session_uid/,
      /WITH killed AS/,
      /access_ending_since/,
      /NOT EXISTS \(SELECT 1 FROM oidc_models g/,
    ]);
  });

  it('use an index at guesses, at what holds them back, and at counting requests', async () => {
    const world = await createApiWorld(app);
    const { email } = await world.person();
    const guess = () => world.call('POST', '/auth/login', { body: { email, password: 'wrong' } });
    const row = { subject: email, waitSeconds: [60], keptSeconds: 60 };

    await assertIndexed(async () => {
      let { status } = await guess();
      while (status !== 429) ({ status } = await guess());
      await world.login((await world.person()).email);
      await attemptStore(app.db, world.tenant.id).giveBack(row, undefined);
      await databaseCounters(app.db).add([{ key: 'a', amount: 1 }]);
    }, [
      /WITH waits .* near AS .* INSERT INTO attempt_counters/s,
      /SELECT\s+coalesce\(\(SELECT extract.*FROM attempt_counters/s,
      /DELETE FROM attempt_counters USING done/,
      /UPDATE attempt_counters SET attempts = attempts - 1, blocked_until/,
      /INSERT INTO rate_counters/,
    ]);
  });

  it('use an index at a pushed request, at proofs of a key and at assertions of a client', async () => {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    const [dpop, key] = [await createDpopKey(), await createAssertionKey()];
    const { client } = await app.services.clients.create(tenant.actor, {
      name: 'Signing service',
      metadata: {
        grant_types: ['client_credentials'],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [key.publicJwk] },
      },
    });
    const prove = (nonce?: string) =>
      dpop.proof('POST', `${tenant.issuer}/token`, nonce === undefined ? {} : { nonce });

    await assertIndexed(async () => {
      const pushed = await rp.call('/par', {
        client_id: rp.clientId,
        response_type: 'code',
        redirect_uri: REDIRECT_URI,
        scope: 'openid',
        code_challenge: CODE_CHALLENGE,
        code_challenge_method: 'S256',
      });
      const { code = '' } = await rp.signIn(createUserAgent(), {
        request_uri: String(pushed.body['request_uri']),
      });
      const asked = await rp.redeem(code, {}, { dpop: await prove() });
      const nonce = asked.headers.get('dpop-nonce') ?? undefined;
      const { status, body } =
        asked.status === 200 ? asked : await rp.redeem(code, {}, { dpop: await prove(nonce) });
      assert.equal(status, 200, JSON.stringify(body));
      const refreshed = await rp.refresh(body.refresh_token ?? '', {}, { dpop: await prove(nonce) });
      assert.equal(refreshed.status, 200, JSON.stringify(refreshed.body));

      const assertion = await key.assertion(client.clientId, tenant.issuer);
      const authenticated = await postForm(`${tenant.issuer}/token`, {
        grant_type: 'client_credentials',
        ...assertionFields(assertion),
      });
      assert.equal(authenticated.status, 200, JSON.stringify(authenticated.body));
    }, [/PushedAuthorizationRequest|oidc_models/, /replay_ids/]);
  });

  it('use an index at the introspection and revocation of a JWT', async () => {
    const resource = 'https://jwt.example/';
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    await app.services.resources.create(tenant.actor, {
      identifier: resource,
      accessTokenFormat: 'jwt',
      scopes: [{ name: 'read' }],
      introspectionClientIds: [rp.clientId],
    });
    const { code = '' } = await rp.signIn(createUserAgent(), { resource, scope: 'openid read' });
    const { body } = await rp.redeem(code, { resource });
    const token = body.access_token ?? '';

    await assertIndexed(async () => {
      assert.equal((await rp.call('/introspect', { token })).body['active'], true);
      await rp.call('/revoke', { token });
      assert.equal((await rp.call('/introspect', { token })).body['active'], false);
    }, [/INSERT INTO revoked_tokens/, /NOT EXISTS \(SELECT 1 FROM revoked_tokens/]);
  });

  it('use an index at a reset by mail, a sign-in by a code, a sign-up and a change of address', async () => {
    const { passwordReset, signInCode, signUp, emailChange } = app.services;
    const anyone = { ...tenant.actor, type: 'anonymous' as const };
    const rp = await createRelyingParty(app, tenant);
    const { email } = rp.user;
    const other = (await createRelyingParty(app, tenant)).user.email;
    const locale = 'en';
    const codeTo = async (address: string) => codeIn(await postbox.sink.mailTo(address));

    await assertIndexed(async () => {
      await passwordReset.start(anyone, { email, binding: 'reset', locale });
      await passwordReset.check(anyone, { binding: 'reset', code: await codeTo(email) });
      await passwordReset.complete(
        anyone,
        { binding: 'reset' },
        { password: NEW_PASSWORD, endsAccess: true, locale },
      );

      await signInCode.start(anyone, { email: other, binding: 'code', locale });
      const code = await codeTo(other);
      assert.ok((await signInCode.verify(anyone, { email: other, binding: 'code', code })).ok);

      const address = newAddress();
      await signUp.start(
        anyone,
        { signUp: 'open', signUpDomains: [] },
        { email: address, binding: 'new', locale },
      );
      await signUp.check(anyone, { binding: 'new', code: await codeTo(address) });
      await signUp.complete(anyone, 'new', { password: NEW_PASSWORD, claims: {} });

      const owner = { ...tenant.actor, type: 'user' as const, id: rp.user.id };
      const next = newAddress();
      await emailChange.start(owner, { userId: owner.id, newEmail: next, binding: 'change', locale });
      await emailChange.confirm(owner, { userId: owner.id, binding: 'change', code: await codeTo(next) });
    }, [/INSERT INTO mails|insert into "mails"/, /one_time_tokens/]);
  });

  it('use an index at what is due: mails, logouts, expired rows, requests of people', async () => {
    const { db, services, registry } = app;
    const log = createLogger({ level: 'silent' });
    const rp = await createRelyingParty(app, tenant);
    await db('logout_deliveries').insert({
      id: newId(),
      tenant_id: tenant.actor.tenantId,
      client_id: rp.clientId,
      account_id: rp.user.id,
      sid: 'a',
    });

    await assertIndexed(
      async () => {
        await services.mail.delivery.deliverDue(never);
        await createLogoutDeliveryJob({ db, registry, log }).run(never);
        const { refreshAbsoluteSeconds, userEraseDays: eraseDays } = app.config;
        await createExpiryJob({ db, log, refreshAbsoluteSeconds }).run(never);
        await createUserLifeCycleJob({ db, users: services.users, eraseDays, log }).run(never);
        await services.dataExports.makeNext();
        await services.accountDeletions.carryOutNext();
      },
      [
        /UPDATE mails SET status = 'sending'/,
        /UPDATE logout_deliveries/,
        /DELETE FROM oidc_models_tokens_0/,
        /FROM users WHERE locked_until/,
        /data_exports/,
        /account_deletions/,
      ],
      // Some slots are empty, and nothing is read from end to end as fast as that.
      { avoidsScans: true },
    );
  });

  it('use an index on every page of the account portal', async () => {
    const ana = await visitorOf(app, tenant);
    await ana.open();

    await assertIndexed(async () => {
      for (const path of ['', '/profile', '/security', '/devices', '/apps', '/activity', '/email', '/data']) {
        const page = await ana.open(path);
        assert.equal(page.status, 200, path);
      }
    }, [/user_sessions/, /FROM events/, /consents/]);
  });
});
