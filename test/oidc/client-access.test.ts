import assert from 'node:assert/strict';
import { createClientAccessJob } from '../../src/jobs/client-access-job.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { continueEndingAccess } from '../../src/oidc/adapter/client-access.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { migratedDatabase } from '../support/database.ts';
import type { OwnDatabase } from '../support/database.ts';
import { sentDuring } from '../support/sent-statements.ts';
import { startReplicas } from '../support/replicas.ts';
import type { Replica } from '../support/replicas.ts';
import { createRelyingParty } from '../support/relying-party.ts';
import type { RelyingParty } from '../support/relying-party.ts';
import { createMachine, isActive, tokensOf } from '../support/token-sets.ts';
import type { Machine } from '../support/token-sets.ts';

const API = 'https://api.example/';
const OPAQUE_API = 'https://opaque.example/';
const MANY = 30_000;

/** On a database of its own: the job goes on with clients of every tenant. */
describe('the end of a client with very many grants', function () {
  this.timeout(120_000);
  let database: OwnDatabase;
  let app: TestApp;
  let replica: Replica;
  let tenant: TestTenant;
  let api: Machine;
  before(async () => {
    database = await migratedDatabase();
    app = await startTestApp({ db: database.db });
    const [started] = await startReplicas(1, app.url, {}, database.url);
    assert.ok(started);
    replica = started;
    tenant = await app.tenant();
    api = await createMachine(app, tenant);
    const scopes = [{ name: 'read' }];
    const introspectionClientIds = [api.clientId];
    await app.services.resources.create(tenant.actor, { identifier: API, scopes, introspectionClientIds });
    await app.services.resources.create(tenant.actor, {
      identifier: OPAQUE_API,
      scopes,
      introspectionClientIds,
      accessTokenFormat: 'opaque',
    });
  });
  after(async () => {
    await replica.close();
    await app.close();
    await database.drop();
  });

  const never = new AbortController().signal;
  const job = () => createClientAccessJob({ db: app.db, log: createLogger({ level: 'silent' }) });
  const live = (clientId: string) =>
    app.db('oidc_models').where({ model: 'Grant', client_id: clientId }).whereNull('dead_at');
  const countLive = async (clientId: string) =>
    Number((await live(clientId).count({ count: '*' }))[0]?.['count']);
  const isMarked = async (clientId: string) =>
    (await app.db('clients').where({ client_id: clientId }).whereNotNull('access_ending_since')).length > 0;
  const settle = (clientId: string) =>
    app
      .db('clients')
      .where({ client_id: clientId })
      .update({ access_ending_since: app.db.raw("now() - interval '2 minutes'") });
  const idOf = (clientId: string) => ({ tenantId: tenant.tenant.id, clientId });

  /** Of made-up people, each with a session that the app knows. */
  async function addGrants(clientId: string, people: number, grantsEach = 1, sessionsEach = 0) {
    const bindings = { tenant: tenant.tenant.id, client: clientId, people, grantsEach, sessionsEach };
    const person = "md5(:client || '-' || p)::uuid";
    await app.db.raw(
      `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, account_id, client_id, expires_at)
       SELECT :tenant::uuid, 'Grant', sha256(uuid_send(gen_random_uuid())), '{}', ${person},
              :client, now() + interval '1 day'
         FROM generate_series(1, :grantsEach::int) AS g, generate_series(1, :people::int) AS p`,
      bindings,
    );
    await app.db.raw(
      `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, session_uid, account_id, expires_at)
       SELECT :tenant::uuid, 'Session', sha256(convert_to(uid, 'UTF8')),
              jsonb_build_object('uid', uid, 'authorizations', jsonb_build_object(:client::text,
                jsonb_build_object('sid', uid, 'grantId', :client || '-' || p || '-1'))),
              uid, ${person}, now() + interval '1 day'
         FROM generate_series(1, :people::int) AS p, generate_series(1, :sessionsEach::int) AS s,
              LATERAL (SELECT 's-' || :client || '-' || p || '-' || s AS uid) AS uids`,
      bindings,
    );
  }

  async function withMany() {
    const rp = await createRelyingParty(app, tenant, { firstParty: true });
    // First, so that those of the person come last.
    await addGrants(rp.clientId, MANY);
    const jwt = await tokensOf(rp, { authorize: { scope: 'openid read', resource: API } });
    const opaque = await tokensOf(rp, { authorize: { scope: 'openid read', resource: OPAQUE_API } });
    const plain = await tokensOf(rp);
    const tokens = [jwt.access_token, opaque.access_token];
    for (const token of tokens) await replicaSays(token, true);
    return { rp, tokens, plain };
  }

  const at = (url: string) => tenant.issuer.replace(app.url, url);

  /** It looks twice a second. */
  async function replicaSays(token: string, active: boolean): Promise<void> {
    while ((await isActive(api, token, { baseUrl: at(replica.url) })) !== active);
  }

  async function assertRefused({ rp, tokens, plain }: Awaited<ReturnType<typeof withMany>>): Promise<void> {
    for (const { url } of [app, replica]) {
      const baseUrl = at(url);
      if (url === replica.url) await replicaSays(tokens[0] ?? '', false);
      for (const token of tokens) assert.equal(await isActive(api, token, { baseUrl }), false);
      const authorization = `Bearer ${plain.access_token}`;
      const userinfo = await fetch(`${baseUrl}/userinfo`, { headers: { authorization } });
      assert.equal(userinfo.status, 401);
      const refresh = { grant_type: 'refresh_token', refresh_token: plain.refresh_token };
      assert.equal((await rp.token(refresh, { baseUrl })).body.error, 'invalid_client');
    }
  }

  it('is shut out at once by a few statements, and none of its grants comes back with it', async () => {
    const world = await withMany();
    const { clientId } = world.rp;
    const before = await countLive(clientId);

    const { length } = await sentDuring(app.db, () => app.services.clients.disable(tenant.actor, clientId));

    assert.ok(length > 4 && length < 60, `${length} statements`);
    const left = await countLive(clientId);
    assert.ok(left > MANY / 2 && left < before, `${left} left of ${before}`);
    await assertRefused(world);
    await assert.rejects(app.services.clients.enable(tenant.actor, clientId), {
      code: 'client.access_ending',
      status: 409,
    });

    // A process that dies between two batches, and one that dies within.
    await continueEndingAccess(app.db, idOf(clientId));
    const afterOne = await countLive(clientId);
    await assert.rejects(
      app.db.transaction(async (trx) => {
        await continueEndingAccess(trx, idOf(clientId));
        throw new Error('the process died');
      }),
    );
    assert.ok(afterOne < left);
    assert.equal(await countLive(clientId), afterOne);
    await assert.rejects(app.services.clients.enable(tenant.actor, clientId), { status: 409 });
    await assertRefused(world);

    await job().run(never);

    assert.equal(await countLive(clientId), 0);
    await app.services.clients.enable(tenant.actor, clientId);
    for (const token of world.tokens) assert.equal(await isActive(api, token), false);
    assert.equal((await world.rp.refresh(world.plain.refresh_token)).body.error, 'invalid_grant');
    assert.equal((await world.rp.signIn())['error'], undefined);
    assert.equal(await isMarked(clientId), false);
  });

  it('is the same when it is deleted', async () => {
    const world = await withMany();

    await app.services.clients.delete(tenant.actor, world.rp.clientId);

    assert.ok((await countLive(world.rp.clientId)) > MANY / 2);
    await assertRefused(world);
    await job().run(never);
    assert.equal(await countLive(world.rp.clientId), 0);
    await assertRefused(world);
  });

  it('is complete with the answer where the grants are few', async () => {
    const rp = await createRelyingParty(app, tenant);
    await addGrants(rp.clientId, 200);

    await app.services.clients.disable(tenant.actor, rp.clientId);

    assert.equal(await countLive(rp.clientId), 0);
    await app.services.clients.enable(tenant.actor, rp.clientId);
  });

  it('takes in what requests under way add afterwards, until there can be none', async () => {
    const rp = await createRelyingParty(app, tenant);
    await addGrants(rp.clientId, 1);
    await app.services.clients.disable(tenant.actor, rp.clientId);
    await job().run(never);
    assert.equal(await isMarked(rp.clientId), true);

    await addGrants(rp.clientId, 1, 2);
    await job().run(never);

    assert.equal(await countLive(rp.clientId), 0);
    await settle(rp.clientId);
    await job().run(never);
    assert.equal(await isMarked(rp.clientId), false);
  });

  it('comes to grants that were in use when their turn was', async () => {
    const rp = await createRelyingParty(app, tenant);
    await addGrants(rp.clientId, 3);
    await app.db.transaction(async (trx) => {
      await trx('oidc_models').where({ client_id: rp.clientId }).limit(1).forUpdate().select('model');
      await app.services.clients.disable(tenant.actor, rp.clientId);
      await settle(rp.clientId);
      await job().run(never);
    });
    assert.equal(await countLive(rp.clientId), 1);

    await job().run(never);

    assert.equal(await countLive(rp.clientId), 0);
  });

  it('is told to the app once for each session, in however many batches a person’s grants end', async () => {
    const rp = await createRelyingParty(app, tenant, {
      metadata: { backchannel_logout_uri: 'https://app.example/logged-out' },
    });
    await addGrants(rp.clientId, 450, 3, 2);

    await app.services.clients.disable(tenant.actor, rp.clientId);
    await job().run(never);

    const sids = await app.db('logout_deliveries').where({ client_id: rp.clientId }).pluck('sid');
    assert.equal(sids.length, 900);
    assert.equal(new Set(sids).size, 900);
  });

  it('goes on for other clients where one cannot be ended', async () => {
    const metadata = { backchannel_logout_uri: 'https://app.example/logged-out' };
    const [broken, other]: RelyingParty[] = [
      await createRelyingParty(app, tenant, { metadata }),
      await createRelyingParty(app, tenant, { metadata }),
    ];
    assert.ok(broken && other);
    for (const { clientId } of [broken, other]) await addGrants(clientId, 300, 1, 1);
    await app.db.raw(`
      CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;
      CREATE TRIGGER refused BEFORE INSERT ON logout_deliveries FOR EACH ROW
        WHEN (NEW.client_id = '${broken.clientId}') EXECUTE FUNCTION refuse();
    `);

    await app.services.clients.disable(tenant.actor, broken.clientId);
    await app.services.clients.disable(tenant.actor, other.clientId);
    await job().run(never);

    assert.equal(await countLive(broken.clientId), 300);
    assert.equal(await countLive(other.clientId), 0);
    await app.db.raw('DROP TRIGGER refused ON logout_deliveries');
    await job().run(never);
    assert.equal(await countLive(broken.clientId), 0);
  });
});
