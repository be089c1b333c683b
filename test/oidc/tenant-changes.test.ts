import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { converse } from '../../src/cluster/messages.ts';
import type { Answer, Question } from '../../src/cluster/messages.ts';
import { createSiblings, passOnToSiblings } from '../../src/cluster/siblings.ts';
import { afterCommit } from '../../src/db/after-commit.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { newId } from '../../src/lib/ids.ts';
import { oneAtATime } from '../../src/lib/one-at-a-time.ts';
import { createServices } from '../../src/services.ts';
import type { Services } from '../../src/services.ts';
import type { Siblings } from '../../src/tenants/tenant-changes.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp, TestTenant } from '../support/app.ts';
import { testDb } from '../support/database.ts';
import { ready, startRedisServer } from '../support/redis-server.ts';
import type { RedisServer } from '../support/redis-server.ts';

/** Neither app ever polls here: what one learns of the other it was told. */
describe('a change of a tenant', () => {
  let redis: RedisServer;
  let apps: [TestApp, TestApp];
  let tenant: TestTenant;
  /** Of a process that tells nobody what it changes. */
  let silent: Services;

  before(async () => {
    redis = await startRedisServer();
    const start = () => startTestApp({ env: { REDIS_URL: redis.url } });
    apps = [await start(), await start()];
    for (const app of apps) await app.registry.stop();
    for (const app of apps) if (app.redis && !app.redis.isReady()) await ready(app.redis);
    tenant = await apps[0].tenant();
    const { config, db } = apps[0];
    silent = createServices({ config, db, log: createLogger({ level: 'silent' }) });
  });
  after(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await redis.stop();
  });

  const entryOf = async (app: TestApp) => {
    const entry = await app.registry.get(tenant.tenant.slug);
    return entry ?? assert.fail('no provider');
  };

  /** Both apps hold the client in memory. */
  async function knownClient(): Promise<string> {
    const { client } = await silent.clients.create(tenant.actor, {
      name: 'Service',
      metadata: { grant_types: ['client_credentials'] },
    });
    for (const app of apps) assert.ok(await (await entryOf(app)).context.directory.client(client.clientId));
    return client.clientId;
  }

  async function until(isTrue: () => Promise<boolean>): Promise<void> {
    while (!(await isTrue())) await new Promise((resolve) => setImmediate(resolve));
  }

  it('takes effect at once in the process that made it', async () => {
    const clientId = await knownClient();

    await apps[0].services.clients.disable(tenant.actor, clientId);

    const { directory } = (await entryOf(apps[0])).context;
    assert.equal(await directory.client(clientId), undefined);
  });

  it('reaches another process by Redis', async () => {
    const clientId = await knownClient();

    await apps[0].services.clients.disable(tenant.actor, clientId);

    const { directory } = (await entryOf(apps[1])).context;
    await until(async () => (await directory.client(clientId)) === undefined);
  });

  it('brings another process its new signing keys', async () => {
    const before = await entryOf(apps[1]);

    await apps[0].services.keys.rotate(tenant.actor, { alg: 'RS256', force: true });

    await until(async () => (await entryOf(apps[1])) !== before);
    assert.ok((await entryOf(apps[1])).tenant.oidcVersion > before.tenant.oidcVersion);
  });

  it('is found by whoever was cut off from Redis when it is back', async () => {
    const clientId = await knownClient();
    const { directory } = (await entryOf(apps[1])).context;
    await redis.kill();
    await silent.clients.disable(tenant.actor, clientId);
    assert.ok(await directory.client(clientId));

    await redis.restart();

    await until(async () => (await directory.client(clientId)) === undefined);
  });
});

describe('a change of a tenant, without Redis', () => {
  let apps: [TestApp, TestApp];
  let tenant: TestTenant;
  /** Of a process that tells nobody what it changes. */
  let silent: Services;

  /** Two workers and their primary, with the lines between them. */
  function workersOfOneMachine(): [Siblings, Siblings] {
    const lines = [new EventEmitter(), new EventEmitter()] as const;
    const line = ({ own, other }: { own: string; other: string }, at: EventEmitter) => ({
      send: (message: unknown) => void setImmediate(() => at.emit(other, structuredClone(message))),
      onMessage: (listener: (message: Question | Answer) => void) => void at.on(own, listener),
    });
    const workers: { ask: ReturnType<typeof converse> }[] = [];
    for (const [index, at] of lines.entries()) {
      const topics = passOnToSiblings(() => workers.filter((_, other) => other !== index));
      workers.push({ ask: converse(line({ own: 'up', other: 'down' }, at), topics) });
    }
    const [first, second] = lines.map((at) => {
      const { topics, through } = createSiblings();
      return through(converse(line({ own: 'down', other: 'up' }, at), topics));
    });
    return [first ?? assert.fail(), second ?? assert.fail()];
  }

  before(async () => {
    const [one, two] = workersOfOneMachine();
    apps = [await startTestApp({ siblings: one }), await startTestApp({ siblings: two })];
    tenant = await apps[0].tenant();
    const { config, db } = apps[0];
    silent = createServices({ config, db, log: createLogger({ level: 'silent' }) });
  });
  after(async () => {
    await Promise.all(apps.map((app) => app.close()));
  });

  const entryOf = async (app: TestApp) => (await app.registry.get(tenant.tenant.slug)) ?? assert.fail();

  async function until(isTrue: () => Promise<boolean>): Promise<void> {
    while (!(await isTrue())) await new Promise((resolve) => setImmediate(resolve));
  }

  const kinds: [
    what: string,
    prepare: () => Promise<{ change: (by: Services) => Promise<unknown>; isKnown: () => Promise<boolean> }>,
  ][] = [
    [
      'a client',
      async () => {
        const { client } = await silent.clients.create(tenant.actor, {
          name: 'Service',
          metadata: { grant_types: ['client_credentials'] },
        });
        return {
          change: (by) => by.clients.disable(tenant.actor, client.clientId),
          isKnown: async () =>
            (await (await entryOf(apps[1])).context.directory.client(client.clientId)) === undefined,
        };
      },
    ],
    [
      'a resource',
      async () => {
        const identifier = `https://${newId()}.example`;
        await silent.resources.create(tenant.actor, { identifier, name: 'API' });
        return {
          change: (by) => by.resources.delete(tenant.actor, identifier),
          isKnown: async () =>
            (await (await entryOf(apps[1])).context.directory.resource(identifier)) === undefined,
        };
      },
    ],
    [
      'the tenant itself',
      async () => {
        const { oidcVersion } = (await entryOf(apps[1])).tenant;
        return {
          change: (by) => by.keys.rotate(tenant.actor, { alg: 'RS256', force: true }),
          isKnown: async () => (await entryOf(apps[1])).tenant.oidcVersion > oidcVersion,
        };
      },
    ],
  ];
  for (const [what, prepare] of kinds) {
    it(`is known to the other workers of the machine that do not look for it: ${what}`, async () => {
      await Promise.all(apps.map((app) => app.registry.stop()));
      const { change, isKnown } = await prepare();
      assert.equal(await isKnown(), false);

      await change(apps[0].services);

      await until(isKnown);
    });

    it(`is found by the next look of a process that nobody tells: ${what}`, async () => {
      await Promise.all(apps.map((app) => app.registry.stop()));
      const { change, isKnown } = await prepare();
      assert.equal(await isKnown(), false);

      await change(silent);
      const isKnownBefore = await isKnown();
      await apps[1].registry.refresh();

      assert.equal(isKnownBefore, false);
      assert.equal(await isKnown(), true);
    });
  }

  it('is looked for again and again', async () => {
    const [, prepare] = kinds[0] ?? assert.fail();
    const { change, isKnown } = await prepare();
    assert.equal(await isKnown(), false);
    apps[1].registry.start();

    await change(silent);

    await until(isKnown);
  });
});

describe('a call after the commit', () => {
  it('comes when everybody can see what was written, also from a transaction within another', async () => {
    const db = await testDb();
    const { promise, resolve } = Promise.withResolvers<void>();
    let isCalled = false;

    await db.transaction(async (trx) => {
      await trx.transaction(async (inner) => {
        afterCommit(inner, () => {
          isCalled = true;
          resolve();
        });
        await inner.raw('SELECT 1');
      });
      await trx.raw('SELECT 1');
      assert.equal(isCalled, false);
    });

    await promise;
  });

  it('does not come after a rollback', async () => {
    const db = await testDb();
    let isCalled = false;

    await assert.rejects(
      db.transaction(async (trx) => {
        afterCommit(trx, () => {
          isCalled = true;
        });
        throw new Error('undo');
      }),
    );

    assert.equal(isCalled, false);
  });
});

describe('work that runs one at a time', () => {
  it('runs once more for all who ask while it runs, and goes on after a failure', async () => {
    const runs: PromiseWithResolvers<void>[] = [];
    const run = oneAtATime(() => {
      const work = Promise.withResolvers<void>();
      runs.push(work);
      return work.promise;
    });

    const first = run();
    await Promise.resolve();
    const [second, third] = [run(), run()];
    const before = runs.length;
    runs[0]?.reject(new Error('failed'));
    await assert.rejects(first);
    await Promise.resolve();
    runs[1]?.resolve();
    await Promise.all([second, third]);

    assert.equal(before, 1);
    assert.equal(runs.length, 2);
  });
});
