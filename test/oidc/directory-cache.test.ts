import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Knex } from 'knex';
import { withWaitBudget } from '../../src/db/wait-budget.ts';
import { systemActor } from '../../src/http/actor.ts';
import { newId } from '../../src/lib/ids.ts';
import { StoreUnavailable } from '../../src/oidc/adapter/store-errors.ts';
import { inUnitOfWork } from '../../src/oidc/adapter/unit-of-work.ts';
import { createDirectoryCache } from '../../src/oidc/directory-cache.ts';
import { startTestApp } from '../support/app.ts';
import type { TestApp } from '../support/app.ts';
import { testDb } from '../support/database.ts';
import { sentDuring } from '../support/sent-statements.ts';

const CROWD = 50;

describe('the memory of clients and resources', () => {
  let db: Knex;
  before(async () => {
    db = await testDb();
  });

  /** A cache whose readings end when the test says so. */
  function controlled(options: { random?: () => number; clock?: { now: () => number } } = {}) {
    const readings: PromiseWithResolvers<string | undefined>[] = [];
    const readers: Knex[] = [];
    const cache = createDirectoryCache<string>({
      kind: 'client',
      db,
      load(reader) {
        const reading = Promise.withResolvers<string | undefined>();
        readings.push(reading);
        readers.push(reader);
        return reading.promise;
      },
      ...options,
    });
    const crowd = (key = 'key') => Array.from({ length: CROWD }, () => cache.get(key));
    return { cache, readings, readers, crowd };
  }

  it('reads once for a crowd that asks for the same, and once for each key', async () => {
    const { cache, readings, crowd } = controlled();

    const asked = [...crowd('a'), ...crowd('b')];
    await nextTurn();
    assert.equal(readings.length, 2);
    readings[0]?.resolve('A');
    readings[1]?.resolve(undefined);

    const answers = await Promise.all(asked);
    assert.deepEqual(new Set(answers.slice(0, CROWD)), new Set(['A']));
    assert.deepEqual(new Set(answers.slice(CROWD)), new Set([undefined]));
    assert.equal(await cache.get('a'), 'A');
    assert.equal(await cache.get('b'), undefined);
    assert.equal(readings.length, 2);
  });

  it('gives what was being read at a change to nobody who asks after it, whichever reading ends first', async () => {
    for (const order of [
      [0, 1],
      [1, 0],
    ]) {
      const { cache, readings } = controlled();
      const before = cache.get('key');
      await nextTurn();

      cache.clear();
      const after = cache.get('key');
      await nextTurn();
      for (const index of order) {
        readings[index]?.resolve(index === 0 ? 'old' : 'new');
        await nextTurn();
      }

      assert.equal(await before, 'old');
      assert.equal(await after, 'new');
      assert.equal(await cache.get('key'), 'new');
      assert.equal(readings.length, 2);
    }
  });

  it('forgets after four to five seconds, and not everything in the same moment', async () => {
    let now = 1_000;
    let share = 0;
    const { cache, readings } = controlled({ random: () => share, clock: { now: () => now } });
    const first = cache.get('early');
    await nextTurn();
    share = 0.999;
    const second = cache.get('late');
    await nextTurn();
    for (const reading of readings) reading.resolve('value');
    await Promise.all([first, second]);
    const isKept = async (key: string) => {
      const count = readings.length;
      void cache.get(key);
      await nextTurn();
      return readings.length === count;
    };

    now += 3_990;
    assert.deepEqual([await isKept('early'), await isKept('late')], [true, true]);
    now += 20;
    assert.deepEqual([await isKept('early'), await isKept('late')], [false, true]);
    now += 990;
    assert.equal(await isKept('late'), false);
  });

  it('does not keep a failure: whoever asks next reads anew', async () => {
    const { cache, readings, crowd } = controlled();

    const asked = crowd();
    await nextTurn();
    readings[0]?.reject(new Error('the database is away'));
    const outcomes = await Promise.allSettled(asked);
    const next = cache.get('key');
    await nextTurn();
    readings[1]?.resolve('back');

    for (const outcome of outcomes)
      assert.ok(outcome.status === 'rejected' && outcome.reason instanceof StoreUnavailable);
    assert.equal(await next, 'back');
  });

  it('goes on reading for the others when the one who began gives up', async () => {
    const { cache, readings } = controlled();

    const impatient = withWaitBudget(5, () => cache.get('key'));
    const patient = cache.get('key');
    await assert.rejects(impatient, StoreUnavailable);
    readings[0]?.resolve('value');

    assert.equal(await patient, 'value');
    assert.equal(readings.length, 1);
  });

  it('waits for nobody within a transaction, and remembers what it read there', async () => {
    const { cache, readings, readers } = controlled();
    const tenantId = newId();
    const waiting = cache.get('key');
    await nextTurn();

    await inUnitOfWork({ db, kind: 'write', actor: () => systemActor(tenantId) }, async (unit) => {
      const transaction = await unit.transaction();
      const asked = [cache.get('key'), cache.get('other')];
      await nextTurn();
      assert.ok(readers.slice(1).every((reader) => reader === transaction));
      readings[1]?.resolve('own');
      readings[2]?.resolve('another');
      assert.deepEqual(await Promise.all(asked), ['own', 'another']);
      return true;
    });
    readings[0]?.resolve('shared');

    assert.equal(await waiting, 'shared');
    assert.equal(await cache.get('other'), 'another');
    assert.equal(readings.length, 3);
  });

  it('does not remember what a transaction read before a change', async () => {
    const { cache, readings } = controlled();

    await inUnitOfWork({ db, kind: 'write', actor: () => systemActor(newId()) }, async (unit) => {
      await unit.transaction();
      const asked = cache.get('key');
      await nextTurn();
      cache.clear();
      readings[0]?.resolve('old');
      assert.equal(await asked, 'old');
      return true;
    });
    const after = cache.get('key');
    await nextTurn();
    readings[1]?.resolve('new');

    assert.equal(await after, 'new');
  });
});

describe('a tenant whose memory is empty', () => {
  let app: TestApp;
  before(async () => {
    app = await startTestApp();
  });
  after(() => app.close());

  /** How often each prepared statement or query was sent while the work ran. */
  async function counted(work: () => Promise<unknown>): Promise<(text: string) => number> {
    const sent = await sentDuring(app.db, work);
    return (text) => sent.filter((sql) => sql.includes(text)).length;
  }

  it('asks the database once for a client, however many requests want it after a change', async () => {
    const tenant = await app.tenant();
    const { client } = await app.services.clients.create(tenant.actor, {
      name: 'Wanted',
      metadata: { grant_types: ['client_credentials'] },
    });
    const entry = await app.registry.get(tenant.tenant.slug);
    const directory = entry?.context.directory ?? assert.fail('no provider');
    await directory.client(client.clientId);
    directory.clear();

    const times = await counted(async () => {
      const found = await Promise.all(Array.from({ length: CROWD }, () => directory.client(client.clientId)));
      assert.ok(found.every((each) => each?.clientId === client.clientId));
    });

    assert.equal(times('FROM clients c'), 1);
  });

  it('is loaded once, and for the others also when the first request gives up', async () => {
    const tenant = await app.tenant();

    const times = await counted(async () => {
      const impatient = withWaitBudget(0.01, () => app.registry.get(tenant.tenant.slug));
      const others = Array.from({ length: CROWD }, () => app.registry.get(tenant.tenant.slug));
      await assert.rejects(impatient, StoreUnavailable);
      assert.equal(new Set(await Promise.all(others)).size, 1);
    });

    assert.equal(times('FROM signing_keys'), 1);
  });

  it('reads the published keys twice at the most for a crowd of tokens by a key it does not know', async () => {
    const tenant = await app.tenant();
    const entry = await app.registry.get(tenant.tenant.slug);
    const { publishedKeys } = entry?.context ?? assert.fail('no provider');

    const times = await counted(async () => {
      const first = publishedKeys();
      await nextTurn();
      const lists = await Promise.all([first, ...Array.from({ length: CROWD }, () => publishedKeys())]);
      assert.ok(lists.every((keys) => keys.length > 0));
    });

    assert.equal(times('FROM signing_keys'), 2);
  });
});
