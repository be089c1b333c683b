import assert from 'node:assert/strict';
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose';
import type { JSONWebKeySet } from 'jose';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { createMachine, isActive } from '../support/token-sets.ts';
import type { Machine } from '../support/token-sets.ts';

const APIS = { RS256: 'https://rs.example/', ES256: 'https://es.example/', EdDSA: 'https://ed.example/' };
const WORKERS = 4;

/** Two servers of one issuer, as behind a load balancer, while tokens are issued and verified all the time. */
describe('key rotation on two replicas', function () {
  this.timeout(60_000);
  let app: TestApp;
  let replica: TestApp;
  let tenant: TestTenant;
  let machine: Machine;

  beforeEach(async () => {
    app = await startTestApp();
    replica = await startTestApp({ env: { PUBLIC_URL: app.url } });
    tenant = await app.tenant();
    for (const [signingAlg, identifier] of Object.entries(APIS))
      await app.services.resources.create(tenant.actor, { identifier, signingAlg });
    machine = await createMachine(app, tenant);
  });
  afterEach(async () => {
    await replica.close();
    await app.close();
  });

  const at = (index: number) => {
    const { port } = [app, replica][index % 2]?.config ?? {};
    return { baseUrl: `http://127.0.0.1:${port}/t/${tenant.tenant.slug}` };
  };
  const jwks = async (index: number) =>
    (await (await fetch(`${at(index).baseUrl}/jwks`)).json()) as JSONWebKeySet;
  const kids = async (index: number) => new Set((await jwks(index)).keys.map(({ kid }) => kid));
  const issue = async (index: number, resource = APIS.RS256) =>
    (await machine.token({ resource }, at(index))).body.access_token ?? '';
  const takeOver = () => Promise.all([app.registry.refresh(), replica.registry.refresh()]);
  /** As if the next keys had been published an hour ago. */
  const ripen = () =>
    app.db.raw(
      `UPDATE signing_keys SET created_at = created_at - interval '1 hour' WHERE tenant_id = ? AND status = 'next'`,
      [tenant.tenant.id],
    );
  const currentKid = async (alg: string) => {
    const keys = await app.services.keys.list(tenant.tenant.id);
    return keys.find((key) => key.alg === alg && key.status === 'current')?.kid ?? '';
  };

  /**
   * Issues here, introspects there and verifies offline, over and over until the work is done and every key
   * it left behind has signed.
   * @param offline what an API verifies with
   */
  async function underLoad(offline: JSONWebKeySet | undefined, work: () => Promise<void>) {
    const failures: string[] = [];
    const signedBy = new Set<string>();
    const offlineKeys = offline && createLocalJWKSet(offline);
    let isDone = false;

    async function once(index: number): Promise<void> {
      const resource = Object.values(APIS)[index % 3];
      const { status, body } = await machine.token({ resource: resource ?? '' }, at(index));
      if (status !== 200) {
        failures.push(`issue: ${status} ${JSON.stringify(body)}`);
        return;
      }
      const token = body.access_token ?? '';
      signedBy.add(decodeProtectedHeader(token).kid ?? '');
      if (!(await isActive(machine, token, at(index + 1)))) failures.push('introspection: inactive');
      if (offlineKeys)
        await jwtVerify(token, offlineKeys).catch((err: Error) => failures.push(`offline: ${err.message}`));
    }
    async function worker(first: number): Promise<void> {
      for (let index = first; !isDone; index += 1) await once(index);
      for (let index = first; index < first + 6; index += 1) await once(index);
    }

    const workers = Promise.all(Array.from({ length: WORKERS }, (_, index) => worker(index)));
    try {
      await work();
    } finally {
      isDone = true;
    }
    await workers;
    return { failures, signedBy };
  }

  it('fails nothing, not even for an API that knows only the keys of before', async () => {
    const known = await jwks(0);
    await ripen();

    const { failures, signedBy } = await underLoad(known, async () => {
      await app.services.keys.rotate(tenant.actor);
      await takeOver();
    });

    assert.deepEqual(failures, []);
    for (const alg of Object.keys(APIS)) assert.ok(signedBy.has(await currentKid(alg)), alg);
    assert.ok(signedBy.size > 3);
  });

  it('fails nothing when it is forced, and is noticed without being told', async () => {
    const known = await jwks(0);
    await jwks(1);

    const { failures, signedBy } = await underLoad(known, async () => {
      await app.services.keys.rotate(tenant.actor, { force: true });
      const expected = await currentKid('RS256');
      for (const index of [0, 1]) while (decodeProtectedHeader(await issue(index)).kid !== expected);
    });

    assert.deepEqual(failures, []);
    assert.ok(signedBy.size > 3);
  });

  it('fails nothing on the servers when it is forced again and again', async () => {
    await Promise.all([jwks(0), jwks(1)]);

    const { failures } = await underLoad(undefined, async () => {
      for (let round = 0; round < 3; round += 1) {
        await app.services.keys.rotate(tenant.actor, { force: true });
        await app.registry.refresh();
        await issue(0);
      }
    });

    assert.deepEqual(failures, []);
  });

  it('is refused while somebody may not know the next key yet', async () => {
    await assert.rejects(app.services.keys.rotate(tenant.actor), /next|Try again/);
  });

  it('leaves tokens of before valid on both, for whoever fetches the keys anew', async () => {
    const before = await Promise.all([issue(0), issue(1)]);

    await ripen();
    await app.services.keys.rotate(tenant.actor);
    await takeOver();

    for (const [index, token] of before.entries()) {
      assert.equal(await isActive(machine, token, at(index + 1)), true);
      await jwtVerify(token, createLocalJWKSet(await jwks(index + 1)));
    }
  });

  it('publishes the same keys on both, under a new tag', async () => {
    const tags = async () =>
      Promise.all(
        [0, 1].map(async (index) => (await fetch(`${at(index).baseUrl}/jwks`)).headers.get('etag')),
      );
    const before = await tags();

    await app.services.keys.rotate(tenant.actor, { force: true });
    await takeOver();
    const after = await tags();

    assert.equal(before[0], before[1]);
    assert.equal(after[0], after[1]);
    assert.notEqual(after[0], before[0]);
    assert.deepEqual(await kids(0), await kids(1));
  });

  describe('in an emergency', () => {
    it('removes a key from both at once, and what it signed with it', async () => {
      const leaked = await currentKid('RS256');
      const [signed, untouched] = [await issue(0), await issue(1, APIS.ES256)];

      const { failures } = await underLoad(undefined, async () => {
        // What the key signed a moment ago is refused on purpose; only what is issued must not fail.
        await app.services.keys.revoke(tenant.actor, leaked);
        await takeOver();
      });

      assert.deepEqual(
        failures.filter((failure) => failure.startsWith('issue')),
        [],
      );
      for (const index of [0, 1]) {
        assert.equal((await kids(index)).has(leaked), false);
        assert.equal(await isActive(machine, signed, at(index)), false);
        assert.equal(await isActive(machine, untouched, at(index)), true);
        assert.notEqual(decodeProtectedHeader(await issue(index)).kid, leaked);
        assert.equal(await isActive(machine, await issue(index), at(index + 1)), true);
      }
    });

    it('is noticed by a replica that nobody tells', async () => {
      const leaked = await currentKid('RS256');
      await kids(1);

      await app.services.keys.revoke(tenant.actor, leaked);
      const until = Date.now() + 10_000;
      while ((await kids(1)).has(leaked) && Date.now() < until);

      assert.equal((await kids(1)).has(leaked), false);
    });

    it('leaves nothing to answer where the keys that are left cannot be opened, until they can', async () => {
      const leaked = await currentKid('RS256');
      const signed = await issue(0);
      await Promise.all([kids(0), kids(1)]);
      const spoiled = { tenant_id: tenant.tenant.id, alg: 'EdDSA', status: 'next' };
      const { private_jwk_sealed: sealed } = await app.db('signing_keys').where(spoiled).first();
      await app.db('signing_keys').where(spoiled).update({ private_jwk_sealed: 'spoiled' });

      await app.services.keys.revoke(tenant.actor, leaked);
      await takeOver();
      const answers = await Promise.all([
        fetch(`${at(1).baseUrl}/jwks`),
        machine.token({ resource: APIS.RS256 }, at(1)),
        machine.call('/introspect', { token: signed }, at(1)),
      ]);
      await app.db('signing_keys').where(spoiled).update({ private_jwk_sealed: sealed });

      assert.deepEqual(
        answers.map(({ status }) => status),
        [503, 503, 503],
      );
      assert.equal((await kids(1)).has(leaked), false);
      assert.notEqual(decodeProtectedHeader(await issue(1)).kid, leaked);
    });

    it('is noticed although another tenant cannot be loaded', async () => {
      const broken = await app.tenant();
      const leaked = await currentKid('RS256');
      await Promise.all([kids(0), kids(1)]);
      await fetch(`${broken.issuer}/jwks`);
      await app.db('signing_keys').where({ tenant_id: broken.tenant.id }).delete();
      await app.db('tenants').where({ id: broken.tenant.id }).increment('oidc_version', 1);

      await app.services.keys.revoke(tenant.actor, leaked);
      await takeOver();

      assert.equal((await kids(0)).has(leaked), false);
      assert.equal((await fetch(`${broken.issuer}/jwks`)).status, 200);
    });
  });
});
