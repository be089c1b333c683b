import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { databaseCounters } from '../../src/db/rate-counters.ts';
import { createRateLimiter } from '../../src/http/rate-limiter.ts';
import type { RateLimiter, SharedCounters } from '../../src/http/rate-limiter.ts';
import { newId } from '../../src/lib/ids.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { redisCounters } from '../../src/redis/redis-counters.ts';
import { createRedis } from '../../src/redis/redis.ts';
import type { Redis } from '../../src/redis/redis.ts';
import { testDb } from '../support/database.ts';
import { ready, startRedisServer } from '../support/redis-server.ts';
import type { RedisServer } from '../support/redis-server.ts';

const log = createLogger({ level: 'silent' });

describe('a rate limiter', () => {
  const limit = { name: 'pages', perMinute: 20 };
  let time: number;

  beforeEach(() => {
    time = Date.UTC(2026, 0, 1, 12, 0, 15);
  });

  const limiterOn = (...stores: SharedCounters[]) => createRateLimiter({ stores, log, now: () => time });

  function take(limiter: RateLimiter, count: number, who = 'a'): number {
    return Array.from({ length: count }, () => {
      const { isAllowed } = limiter.enter(limit, who);
      if (isAllowed) limiter.leave(limit, who, true);
      return isAllowed;
    }).filter(Boolean).length;
  }

  it('allows so many a minute, to each by itself, and says what is left and for how long', () => {
    const limiter = limiterOn();

    const first = limiter.enter(limit, 'a');
    limiter.leave(limit, 'a', true);

    assert.deepEqual(first, { isAllowed: true, remaining: 19, resetSeconds: 45, isFirstRefusal: false });
    assert.equal(take(limiter, 50), 19);
    assert.equal(take(limiter, 50, 'b'), 20);
  });

  it('begins anew with the minute', () => {
    const limiter = limiterOn();
    take(limiter, 50);
    time += 45_000;

    assert.equal(take(limiter, 50), 20);
  });

  it('counts what is under way, and lets go of what is not limited', () => {
    const limiter = limiterOn();
    const atOnce = Array.from({ length: 30 }, () => limiter.enter(limit, 'a'));
    for (let index = 0; index < 20; index += 1) limiter.leave(limit, 'a', false);

    assert.equal(atOnce.filter(({ isAllowed }) => isAllowed).length, 20);
    assert.equal(take(limiter, 30), 20);
  });

  describe('that has met more networks than it has counters', () => {
    const counters = 50_000;
    const buckets = 1_024;

    function flooded(): RateLimiter {
      const limiter = limiterOn();
      for (let network = 0; network < counters; network += 1) take(limiter, 1, `flood-${network}`);
      return limiter;
    }

    it('limits a new one', () => {
      assert.equal(take(flooded(), 50, 'newcomer'), 20);
    });

    it('allows all new ones together a fixed number of times the limit', () => {
      const limiter = flooded();
      let allowed = 0;
      for (let network = 0; network < 20_000; network += 1) allowed += take(limiter, 3, `late-${network}`);

      assert.ok(allowed <= buckets * limit.perMinute, `${allowed} were allowed`);
    });

    it('lets those who were there before have their own, and other limits as well', () => {
      const limiter = flooded();
      for (let network = 0; network < 20_000; network += 1) take(limiter, 3, `late-${network}`);

      const other = { name: 'client', perMinute: 20 };

      assert.equal(take(limiter, 50, 'flood-1'), 19);
      assert.equal(limiter.enter(other, 'newcomer').isAllowed, true);
    });

    it('begins anew with the minute', () => {
      const limiter = flooded();
      take(limiter, 50, 'newcomer');
      time += 45_000;

      assert.equal(take(limiter, 50, 'newcomer'), 20);
    });
  });

  it('tells the first refusal of a minute from those that follow', () => {
    const limiter = limiterOn();
    take(limiter, 20);

    const refusals = [limiter.enter(limit, 'a'), limiter.enter(limit, 'a')];

    assert.deepEqual(
      refusals.map(({ isFirstRefusal }) => isFirstRefusal),
      [true, false],
    );
  });

  /** Waits until a limiter has shared what it counted. */
  function observed(store: SharedCounters): { store: SharedCounters; shared: () => Promise<void> } {
    let next = Promise.withResolvers<void>();
    return {
      store: {
        async add(amounts) {
          const sums = await store.add(amounts);
          setImmediate(() => {
            next.resolve();
            next = Promise.withResolvers();
          });
          return sums;
        },
      },
      shared: () => next.promise,
    };
  }

  async function countTogether(store: SharedCounters): Promise<number> {
    const who = newId();
    const [one, two] = [observed(store), observed(store)];
    const [first, second] = [limiterOn(one.store), limiterOn(two.store)];

    take(first, 15, who);
    await one.shared();
    const allowed = take(second, 1, who);
    await two.shared();

    return allowed + take(second, 50, who);
  }

  it('counts together with other processes over PostgreSQL', async () => {
    assert.equal(await countTogether(databaseCounters(await testDb())), 5);
  });

  it('counts together with other processes over Redis', async () => {
    const server = await startRedisServer();
    const redis = createRedis({ url: server.url, log });
    await ready(redis);

    const allowed = await countTogether(redisCounters(redis));

    assert.equal(allowed, 5);
    const keys = (await server.command('keys', '*')) as string[];
    assert.match(keys.join(), /^gatehouse:s:rate:[\w-]{43}$/);
    assert.ok(Number(await server.command('ttl', keys[0]!)) > 0);
    redis.close();
    await server.stop();
  });

  it('falls back to the next store while one cannot count, and to its own memory without any', async () => {
    const away: SharedCounters = { add: async () => undefined };
    const broken: SharedCounters = { add: () => Promise.reject(new Error('away')) };
    const database = databaseCounters(await testDb());

    const together = await countTogether({
      add: async (amounts) => (await away.add(amounts)) ?? database.add(amounts),
    });
    const alone = observed(away);
    const limiter = limiterOn(broken, alone.store);
    const before = take(limiter, 15);
    await alone.shared();

    assert.equal(together, 5);
    assert.equal(before + take(limiter, 50), 20);
  });

  describe('with a Redis', () => {
    let server: RedisServer;
    let redis: Redis;

    beforeEach(async () => {
      server = await startRedisServer();
      redis = createRedis({ url: server.url, log });
      await ready(redis);
    });
    afterEach(async () => {
      redis.close();
      await server.stop();
    });

    /** Waits until a store knows of so many. */
    async function untilTold(store: SharedCounters, who: string, count: number): Promise<void> {
      const key = `pages ${who} ${Math.floor(time / 60_000)}`;
      while ((await store.add([{ key, amount: 0 }]))?.[0] !== count) await pause(20);
    }

    it('that is gone, tells PostgreSQL all it has counted, also of who has stopped, once', async () => {
      const database = databaseCounters(await testDb());
      const [one, two] = [redis, redis].map(() => limiterOn(redisCounters(redis), database));
      const [loud, quiet] = [newId(), newId()];
      if (!one || !two) return assert.fail();
      take(one, 9, loud);
      take(one, 12, quiet);
      take(two, 6, loud);
      await untilTold(redisCounters(redis), loud, 15);
      await untilTold(redisCounters(redis), quiet, 12);
      await server.kill();

      take(one, 1, loud);
      take(two, 1, loud);
      await untilTold(database, loud, 17);
      await untilTold(database, quiet, 12);
      const newcomer = limiterOn(database);
      take(newcomer, 1, loud);
      await untilTold(database, loud, 18);

      while (take(newcomer, 1, loud) === 1);
      await untilTold(database, loud, 20);
    });

    it('that has forgotten, tells it again', async () => {
      const limiter = limiterOn(redisCounters(redis));
      take(limiter, 10);
      await untilTold(redisCounters(redis), 'a', 10);
      await server.flush();

      take(limiter, 1);

      await untilTold(redisCounters(redis), 'a', 11);
    });

    it('counts for a tenant under keys of the tenant', async () => {
      const { store, shared } = observed(redisCounters(redis));
      const limiter = limiterOn(store);

      for (const tenantId of ['one', 'two']) {
        limiter.enter({ ...limit, tenantId }, 'a client');
        limiter.leave({ ...limit, tenantId }, 'a client', true);
      }
      await shared();

      const keys = (await server.command('keys', '*')) as string[];
      assert.deepEqual(keys.map((key) => key.replace(/:[\w-]{43}$/, '')).toSorted(), [
        'gatehouse:t:one:rate',
        'gatehouse:t:two:rate',
      ]);
    });
  });

  it('forgets nothing when a store does', async () => {
    const forgetful = observed({ add: async (amounts) => amounts.map(() => 1) });
    const limiter = limiterOn(forgetful.store);

    take(limiter, 18);
    await forgetful.shared();

    assert.equal(take(limiter, 50), 2);
  });

  it('tells nobody of who is not conspicuous', async () => {
    const told: string[] = [];
    const store = observed({
      add: async (amounts) => amounts.map(({ key }) => told.push(key)),
    });
    const limiter = createRateLimiter({ stores: [store.store], log, now: () => time });
    const wide = { name: 'pages', perMinute: 1000 };

    for (const [who, count] of [
      ['quiet', 40],
      ['loud', 60],
    ] as const) {
      for (let index = 0; index < count; index += 1) {
        limiter.enter(wide, who);
        limiter.leave(wide, who, true);
      }
    }
    await store.shared();

    assert.equal(told.length, 1);
    assert.match(told[0] ?? '', /loud/);
  });
});

describe('counters in PostgreSQL', () => {
  it('are removed when they are spent, by whoever counts next', async () => {
    const db = await testDb();
    const counters = databaseCounters(db);
    const [old, fresh] = [newId(), newId()];
    await counters.add([{ key: old, amount: 1 }]);
    const rows = () => db('rate_counters').whereRaw('id_hash = sha256(?)', [Buffer.from(old)]);
    await rows().update({ expires_at: db.raw("now() - interval '1 second'") });

    while ((await rows()).length > 0) await counters.add([{ key: fresh, amount: 1 }]);

    assert.deepEqual(await rows(), []);
  });

  it('add up what many processes count at once', async () => {
    const counters = databaseCounters(await testDb());
    const keys = [newId(), newId(), newId()];

    await Promise.all(
      Array.from({ length: 30 }, (_, index) =>
        counters.add((index % 2 ? keys : keys.toReversed()).map((key) => ({ key, amount: 2 }))),
      ),
    );

    assert.deepEqual(await counters.add(keys.map((key) => ({ key, amount: 0 }))), [60, 60, 60]);
  });
});
