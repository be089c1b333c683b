import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { tokenResponses } from '../../src/lib/instruments.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { migratedDatabase, testDb } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import { createUserAgent } from '../support/user-agent.ts';

describe('while the database cannot be reached', function () {
  this.timeout(60_000);
  let own: OwnDatabase;
  let app: TestApp;
  let tenant: TestTenant;
  before(async () => {
    own = await migratedDatabase();
    app = await startTestApp({ db: own.db });
    tenant = await app.tenant();
  });
  after(async () => {
    await app.close();
    await own.drop();
  });

  /** Cuts every connection to the database and lets nobody in, for as long as the work takes. */
  async function duringOutage<Result>(work: () => Promise<Result>): Promise<Result> {
    const server = await testDb();
    const name = decodeURIComponent(new URL(own.url).pathname.slice(1));
    await server.raw(`ALTER DATABASE ?? WITH ALLOW_CONNECTIONS false`, [name]);
    await server.raw('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ?', [name]);
    try {
      return await work();
    } finally {
      await server.raw(`ALTER DATABASE ?? WITH ALLOW_CONNECTIONS true`, [name]);
      await recovered();
    }
  }

  /** Cuts the connection of whoever comes to the table. */
  async function cutAt<Result>(table: string, work: () => Promise<Result>): Promise<Result> {
    const trx = await own.db.transaction();
    try {
      await trx.raw('LOCK TABLE ?? IN ACCESS EXCLUSIVE MODE', [table]);
      const result = work();
      for (let cut = 0; cut === 0; ) {
        const { rowCount } = await trx.raw(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))`,
        );
        cut = rowCount;
      }
      return await result;
    } finally {
      await trx.rollback();
    }
  }

  async function recovered(): Promise<void> {
    while ((await fetch(`${app.url}/readyz`)).status !== 200) await delay(20);
  }

  it('refuses tokens with 503, and the refresh token is still good afterwards', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();
    const { body } = await rp.redeem(code);

    const refused = await duringOutage(() => rp.refresh(body.refresh_token ?? ''));
    const afterwards = await rp.refresh(body.refresh_token ?? '');

    assert.deepEqual([refused.status, refused.body.error], [503, 'temporarily_unavailable']);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    assert.equal(afterwards.status, 200);
  });

  it('keeps a code good for after the outage', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();

    const refused = await duringOutage(() => rp.redeem(code));
    const afterwards = await rp.redeem(code);

    assert.deepEqual([refused.status, afterwards.status], [503, 200]);
  });

  /** The grant types of the tokens that were counted as issued meanwhile. */
  async function counted(work: () => Promise<unknown>): Promise<string[]> {
    const types: string[] = [];
    const stop = tokenResponses.observe(({ grantType }) => types.push(grantType));
    await work().finally(stop);
    return types;
  }

  it('counts tokens as issued that are stored, and no others', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { body } = await rp.redeem((await rp.signIn()).code ?? '');
    const refresh = () => rp.refresh(body.refresh_token ?? '');
    await own.db.raw(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON oidc_models_refresh_tokens FOR EACH ROW EXECUTE FUNCTION refuse()`);
    const statuses: number[] = [];

    const during = await counted(async () => void statuses.push((await refresh()).status));
    await own.db.raw('DROP FUNCTION refuse() CASCADE');
    const afterwards = await counted(async () => void statuses.push((await refresh()).status));

    assert.deepEqual(statuses, [503, 200]);
    assert.deepEqual([during, afterwards], [[], ['refresh_token']]);
  });

  it('counts no tokens for a code that somebody else used in the same moment', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { code = '' } = await rp.signIn();
    const other = await own.db.transaction();
    await other('oidc_models_tokens')
      .where({ tenant_id: tenant.tenant.id, model: 'AuthorizationCode', consumed_at: null })
      .update({ consumed_at: other.fn.now() });
    const blocked = async () => {
      const { rows } = await other.raw(
        'SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))',
      );
      return rows.length > 0;
    };

    let status = 0;
    const types = await counted(async () => {
      const answer = rp.redeem(code);
      while (!(await blocked())) await delay(5);
      await other.commit();
      ({ status } = await answer);
    });

    assert.equal(status, 400);
    assert.deepEqual(types, []);
  });

  it('answers introspection with 503 instead of "inactive"', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { body } = await rp.redeem((await rp.signIn()).code ?? '');

    const answer = await duringOutage(() => rp.call('/introspect', { token: body.access_token ?? '' }));

    assert.deepEqual(
      [answer.status, answer.body.error, answer.body['active']],
      [503, 'temporarily_unavailable', undefined],
    );
  });

  it('answers userinfo with 503 instead of "invalid token"', async () => {
    const rp = await createRelyingParty(app, tenant);
    const { body } = await rp.redeem((await rp.signIn()).code ?? '');

    const answer = await duringOutage(() =>
      fetch(`${tenant.issuer}/userinfo`, { headers: { authorization: `Bearer ${body.access_token}` } }),
    );

    assert.equal(answer.status, 503);
  });

  it('shows people a page that says to try again, and keeps them signed in', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    await rp.signIn(agent);

    const page = await duringOutage(() => agent.get(rp.authorizationUrl()));
    const afterwards = await agent.get(rp.authorizationUrl({ prompt: 'none' }));

    assert.equal(page.status, 503);
    assert.match(page.headers.get('content-type') ?? '', /html/);
    assert.ok(new URL(afterwards.location ?? '').searchParams.get('code'));
  });

  it('shows that page too when the connection breaks at the last step of a request', async () => {
    const rp = await createRelyingParty(app, tenant);

    const page = await cutAt('login_states', () => createUserAgent().get(rp.authorizationUrl()));

    assert.equal(page.status, 503);
  });

  it('neither signs in nor counts a wrong password', async () => {
    const rp = await createRelyingParty(app, tenant);
    const agent = createUserAgent();
    const form = await agent.follow(
      await agent.get(rp.authorizationUrl({ login_hint: rp.user.email })),
      app.url,
    );

    const page = await duringOutage(() =>
      agent.submit(form, '/password', { password: 'correct horse battery staple' }),
    );

    assert.equal(page.status, 503);
    const failures = await own.db('events').where({ tenant_id: tenant.tenant.id, type: 'user.login_failed' });
    assert.deepEqual(failures, []);
  });

  it('goes on serving discovery, keys and assets, is alive and not ready', async () => {
    const paths = [
      `${tenant.issuer}/.well-known/openid-configuration`,
      `${tenant.issuer}/jwks`,
      `${app.url}/livez`,
      `${app.url}/readyz`,
    ];
    await fetch(paths[0] ?? '');

    const statuses = await duringOutage(async () => {
      // What was found a moment ago is told again.
      while ((await fetch(`${app.url}/readyz`)).status === 200) await delay(20);
      return Promise.all(paths.map(async (path) => (await fetch(path)).status));
    });

    assert.deepEqual(statuses, [200, 200, 200, 503]);
  });
});
