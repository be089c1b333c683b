import assert from 'node:assert/strict';
import { createLocalJWKSet, decodeJwt, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { disconnectApp } from '../../src/account-portal/connected-apps.ts';
import { createLogoutDeliveryJob } from '../../src/jobs/logout-delivery-job.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { GOOD_PASSWORD, startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { startLoopbackServer } from '../support/loopback-server.ts';
import type { LoopbackServer } from '../support/loopback-server.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { signOut } from '../support/sign-out.ts';
import { tokensOf } from '../support/token-sets.ts';
import { createUserAgent } from '../support/user-agent.ts';

/** On a database of its own: the job takes whatever is due, of every tenant. */
describe('back-channel logout', () => {
  let database: OwnDatabase;
  let app: TestApp;
  let tenant: TestTenant;
  let server: LoopbackServer;
  before(async () => {
    database = await migratedDatabase();
    app = await startTestApp({ db: database.db });
    tenant = await app.tenant();
  });
  beforeEach(async () => {
    server = await startLoopbackServer();
    await app.db('logout_deliveries').delete();
  });
  afterEach(() => server.close());
  after(async () => {
    await app.close();
    await database.drop();
  });

  const deliver = (of = app, signal = new AbortController().signal) =>
    createLogoutDeliveryJob({
      db: of.db,
      registry: of.registry,
      log: createLogger({ level: 'silent' }),
    }).run(signal);
  const waiting = () => app.db('logout_deliveries').orderBy('created_at');
  const makeDue = () => app.db('logout_deliveries').update({ next_attempt_at: app.db.fn.now() });
  const tokenIn = ({ body }: { body: string }) => new URLSearchParams(body).get('logout_token') ?? '';

  async function signedIn(metadata: Record<string, unknown> = {}, agent = createUserAgent()) {
    const rp = await createRelyingParty(app, tenant, {
      metadata: {
        backchannel_logout_uri: `${server.url}/logged-out`,
        backchannel_logout_session_required: true,
        ...metadata,
      },
    });
    return { rp, agent, tokens: await tokensOf(rp, { agent }) };
  }

  it('tells the app with a signed logout token', async () => {
    const { rp, agent, tokens } = await signedIn();
    await signOut(agent, tenant.issuer);

    await deliver();

    const [request] = server.requests;
    assert.equal(server.requests.length, 1);
    assert.ok(request);
    assert.deepEqual(
      [request.method, request.path, request.headers['content-type']],
      ['POST', '/logged-out', 'application/x-www-form-urlencoded'],
    );
    const jwks = (await (await fetch(`${tenant.issuer}/jwks`)).json()) as JSONWebKeySet;
    const { payload } = await jwtVerify(tokenIn(request), createLocalJWKSet(jwks), {
      issuer: tenant.issuer,
      audience: rp.clientId,
      typ: 'logout+jwt',
    });
    const { iss: _iss, aud: _aud, iat, exp, jti, ...claims } = payload;
    assert.deepEqual(claims, {
      sub: rp.user.id,
      sid: decodeJwt(tokens.id_token)['sid'],
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    });
    assert.ok(jti);
    assert.ok(Number(exp) - Number(iat) <= 120);
    assert.equal(payload['nonce'], undefined);
  });

  it('signs with the algorithm of the app’s ID tokens', async () => {
    const { agent } = await signedIn({ id_token_signed_response_alg: 'ES256' });
    await signOut(agent, tenant.issuer);

    await deliver();

    const [header = ''] = tokenIn(server.requests[0] ?? { body: '' }).split('.');
    assert.equal(JSON.parse(Buffer.from(header, 'base64url').toString()).alg, 'ES256');
  });

  it('tells every app of the session, and once', async () => {
    const agent = createUserAgent();
    const { rp } = await signedIn({}, agent);
    const other = await createRelyingParty(app, tenant, {
      firstParty: true,
      metadata: { backchannel_logout_uri: `${server.url}/other` },
    });
    await agent.get(other.authorizationUrl());
    await signOut(agent, tenant.issuer);

    await deliver();
    await deliver();

    const told = server.requests.map((request) => [request.path, decodeJwt(tokenIn(request)).aud]);
    assert.deepEqual(
      told.toSorted((a, b) => String(a[0]).localeCompare(String(b[0]))),
      [
        ['/logged-out', rp.clientId],
        ['/other', other.clientId],
      ],
    );
    assert.deepEqual(await waiting(), []);
  });

  it('tells only the app that was signed out of, where the person stays signed in', async () => {
    const agent = createUserAgent();
    const { rp } = await signedIn({}, agent);
    const other = await createRelyingParty(app, tenant, {
      firstParty: true,
      metadata: { backchannel_logout_uri: `${server.url}/other` },
    });
    await agent.get(other.authorizationUrl());
    const page = await agent.get(`${tenant.issuer}/logout?client_id=${rp.clientId}`);
    await agent.submit(page, '/logout/confirm');

    await deliver();

    assert.deepEqual(
      server.requests.map(({ path }) => path),
      ['/logged-out'],
    );
  });

  it('makes nobody wait: the browser goes on while the app is down', async () => {
    const { agent } = await signedIn();
    await server.close();

    const { status } = await signOut(agent, tenant.issuer);

    assert.equal(status, 303);
    assert.equal((await waiting()).length, 1);
  });

  it('asks again, ever later and with a fresh token, until the app is back', async () => {
    const { agent } = await signedIn();
    await signOut(agent, tenant.issuer);
    server.respond = (_req, res) => void res.writeHead(503).end();

    const delays: number[] = [];
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await deliver();
      const [delivery] = await waiting();
      delays.push(Math.round((delivery.next_attempt_at.getTime() - delivery.updated_at.getTime()) / 1000));
      assert.equal(delivery.attempts, attempt + 1);
      await makeDue();
    }
    server.respond = (_req, res) => void res.writeHead(200).end();
    await deliver();

    assert.deepEqual(delays, [5, 10, 20]);
    assert.equal(server.requests.length, 4);
    assert.equal(new Set(server.requests.map((request) => decodeJwt(tokenIn(request)).jti)).size, 4);
    assert.deepEqual(await waiting(), []);
  });

  it('is not asked again before its time', async () => {
    const { agent } = await signedIn();
    await signOut(agent, tenant.issuer);
    server.respond = (_req, res) => void res.writeHead(500).end();

    await deliver();
    await deliver();

    assert.equal(server.requests.length, 1);
  });

  for (const [fault, respond] of Object.entries<LoopbackServer['respond']>({
    'a redirect': (_req, res) => void res.writeHead(302, { location: `${server.url}/elsewhere` }).end(),
    'a refusal': (_req, res) => void res.writeHead(400).end('{"error":"invalid_request"}'),
    'a connection that breaks': (req) => void req.socket.destroy(),
  })) {
    it(`does not take ${fault} for an answer`, async () => {
      const { agent } = await signedIn();
      await signOut(agent, tenant.issuer);
      server.respond = respond;

      await deliver();

      assert.equal((await waiting()).length, 1);
      assert.equal(server.requests.length, 1);
    });
  }

  it('is tried by one of many workers', async () => {
    const { agent } = await signedIn();
    await signOut(agent, tenant.issuer);

    await Promise.all([deliver(), deliver(), deliver()]);

    assert.equal(server.requests.length, 1);
  });

  describe('with an app that does not answer, for which very much waits', () => {
    const pathsOf = () => server.requests.map(({ path }) => path);

    /** Older than everything else that waits. */
    async function silentApp(path: string, count: number): Promise<void> {
      const { clientId } = await createRelyingParty(app, tenant, {
        metadata: { backchannel_logout_uri: `${server.url}${path}` },
      });
      await app.db.raw(
        `INSERT INTO logout_deliveries (id, tenant_id, client_id, account_id, sid, next_attempt_at)
         SELECT gen_random_uuid(), ?::uuid, ?, gen_random_uuid(), 'sid-' || i, now() - interval '1 hour'
           FROM generate_series(1, ?::int) AS i`,
        [tenant.tenant.id, clientId, count],
      );
    }

    beforeEach(() => {
      server.respond = (req, res) => void res.writeHead(req.url?.startsWith('/silent') ? 503 : 200).end();
    });

    it('tells the others in the first batch, and asks that one no more in this run', async () => {
      const { agent } = await signedIn();
      await signOut(agent, tenant.issuer);
      await silentApp('/silent', 300);

      await deliver();

      assert.equal(pathsOf().filter((path) => path === '/logged-out').length, 1);
      assert.equal(pathsOf().filter((path) => path === '/silent').length, 5);
      assert.equal((await waiting()).length, 300);
    });

    it('tells who has not been told yet before those who did not answer, however many these are', async () => {
      for (let index = 0; index < 10; index += 1) await silentApp(`/silent-${index}`, 5);
      await app.db('logout_deliveries').update({ attempts: 1 });
      const { agent } = await signedIn();
      await signOut(agent, tenant.issuer);
      const stopping = new AbortController();
      server.respond = (_req, res) => {
        stopping.abort();
        res.writeHead(503).end();
      };

      await deliver(app, stopping.signal);

      assert.equal(pathsOf().length, 40);
      assert.ok(pathsOf().includes('/logged-out'));
    });

    it('tells all that waits for one that answers', async () => {
      await silentApp('/answers', 93);

      await deliver();

      assert.equal(server.requests.length, 93);
      assert.deepEqual(await waiting(), []);
    });
  });

  it('tells the apps of a user who was disabled', async () => {
    const { rp, tokens } = await signedIn();

    await app.services.users.disable(tenant.actor, rp.user.id);
    await deliver();

    const claims = decodeJwt(tokenIn(server.requests[0] ?? { body: '' }));
    assert.deepEqual([claims.sub, claims['sid']], [rp.user.id, decodeJwt(tokens.id_token)['sid']]);
  });

  it('tells the apps of a user who was deleted', async () => {
    const { rp } = await signedIn();

    await app.services.users.delete(tenant.actor, rp.user.id);
    await deliver();

    assert.equal(decodeJwt(tokenIn(server.requests[0] ?? { body: '' })).sub, rp.user.id);
  });

  it('tells the apps of somebody whose password was set anew', async () => {
    const { rp } = await signedIn();

    await app.services.users.setPassword(tenant.actor, rp.user.id, 'another correct horse battery');
    await deliver();

    assert.equal(decodeJwt(tokenIn(server.requests[0] ?? { body: '' })).sub, rp.user.id);
  });

  it('tells the apps of somebody who makes room for another account', async () => {
    const { rp, agent } = await signedIn();
    const other = await createRelyingParty(app, tenant);
    const chooser = await agent.follow(
      await agent.get(rp.authorizationUrl({ prompt: 'select_account' })),
      tenant.issuer,
    );
    const identifier = await agent.get(`${chooser.url.replace(/\/accounts$/, '')}/identifier`);
    const password = await agent.follow(
      await agent.submit(identifier, '/identifier', { username: other.user.email }),
      tenant.issuer,
    );
    const changing = await agent.follow(
      await agent.submit(password, '/password', { password: GOOD_PASSWORD }),
      tenant.issuer,
    );

    await agent.submit(changing, '/logout/confirm');
    await deliver();

    assert.deepEqual(
      server.requests.map((request) => decodeJwt(tokenIn(request)).sub),
      [rp.user.id],
    );
  });

  it('tells an app that was deleted since', async () => {
    const { rp, agent } = await signedIn();
    await signOut(agent, tenant.issuer);
    await app.services.clients.delete(tenant.actor, rp.clientId);
    await app.registry.refresh();

    await deliver();

    assert.deepEqual(await waiting(), []);
    assert.ok(server.requests.length > 0);
  });

  it('forgets what an app does not want to be told any more', async () => {
    const { rp, agent } = await signedIn();
    await signOut(agent, tenant.issuer);
    await app.services.clients.update(tenant.actor, rp.clientId, {
      metadata: { backchannel_logout_uri: null, backchannel_logout_session_required: null },
    });
    await app.registry.refresh();

    await deliver();

    assert.deepEqual(await waiting(), []);
    assert.equal(server.requests.length, 0);
  });

  const ends = {
    'the person takes its access away': async (rp: RelyingParty) => {
      const owner = { ...tenant.actor, type: 'user' as const, id: rp.user.id };
      await disconnectApp(app.db, owner, rp.clientId);
    },
    'it is disabled': (rp: RelyingParty) => app.services.clients.disable(tenant.actor, rp.clientId),
    'it is deleted': (rp: RelyingParty) => app.services.clients.delete(tenant.actor, rp.clientId),
  };
  for (const [what, end] of Object.entries(ends)) {
    it(`tells an app of the session of a person when ${what}, and no other app`, async () => {
      const { rp, tokens, agent } = await signedIn();
      const bystander = await createRelyingParty(app, tenant, {
        metadata: { backchannel_logout_uri: `${server.url}/not-me` },
      });
      await tokensOf({ ...bystander, user: rp.user }, { agent });

      await end(rp);
      await app.registry.refresh();
      await deliver();

      assert.deepEqual(
        server.requests.map(({ path }) => path),
        ['/logged-out'],
      );
      const claims = decodeJwt(tokenIn(server.requests[0] ?? { body: '' }));
      assert.deepEqual(
        [claims.aud, claims.sub, claims['sid']],
        [rp.clientId, rp.user.id, decodeJwt(tokens.id_token)['sid']],
      );
    });
  }

  it('tells nothing of a session that ended before, nor twice', async () => {
    const { rp, agent } = await signedIn();
    await signOut(agent, tenant.issuer);

    await app.services.clients.delete(tenant.actor, rp.clientId);
    await deliver();

    assert.equal(server.requests.length, 1);
  });

  it('reaches no internal address', async () => {
    const guarded = await startTestApp({
      db: database.db,
      env: { GATEHOUSE_OUTBOUND_ALLOW: '10.255.255.0/24', PUBLIC_URL: app.url },
    });
    const { agent } = await signedIn();
    await signOut(agent, tenant.issuer);

    await deliver(guarded);
    await guarded.close();

    assert.equal(server.requests.length, 0);
    assert.equal((await waiting()).length, 1);
  });
});
