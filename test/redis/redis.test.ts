import assert from 'node:assert/strict';
import { createLogger } from '../../src/lib/logger.ts';
import { createRedis } from '../../src/redis/redis.ts';
import type { Redis } from '../../src/redis/redis.ts';
import { sharedKey, tenantKey } from '../../src/redis/redis-keys.ts';
import { publish, subscribe } from '../../src/redis/subscription.ts';
import { ready, startRedisServer } from '../support/redis-server.ts';
import type { RedisServer } from '../support/redis-server.ts';

const log = createLogger({ level: 'silent' });

describe('the connection to Redis', () => {
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

  const ping = () => redis.attempt((client) => client.ping());

  it('answers what it is asked', async () => {
    assert.equal(await ping(), 'PONG');
    assert.equal(redis.isReady(), true);
  });

  it('says nothing, and does not throw, while Redis is gone, and answers when it is back', async () => {
    await server.kill();
    const whileGone = await ping();
    await Promise.all([ready(redis), server.restart()]);

    assert.equal(whileGone, undefined);
    assert.equal(await ping(), 'PONG');
  });

  it('gives up on a Redis that has stopped answering, and then asks it nothing until it answers again', async () => {
    server.stall();
    const first = await ping();
    const isReady = redis.isReady();
    const back = ready(redis);
    server.resume();
    await back;

    assert.equal(first, undefined);
    assert.equal(isReady, false);
    assert.equal(await ping(), 'PONG');
  });

  it('takes a refusal by Redis for no answer', async () => {
    assert.equal(await redis.attempt((client) => client.call('no-such-command')), undefined);
    assert.equal(await ping(), 'PONG');
  });

  it('closes at once while Redis has stopped answering', async () => {
    const closed = new Promise((resolve) => redis.client.once('end', resolve));
    server.stall();

    redis.close();

    await closed;
  });
});

describe('messages between replicas', () => {
  let server: RedisServer;
  let replicas: [Redis, Redis];

  beforeEach(async () => {
    server = await startRedisServer();
    replicas = [createRedis({ url: server.url, log }), createRedis({ url: server.url, log })];
    await Promise.all(replicas.map(ready));
  });

  afterEach(async () => {
    for (const redis of replicas) redis.close();
    await server.stop();
  });

  it('reach the others, and whoever was cut off learns that some may be missing', async () => {
    const [sender, receiver] = replicas;
    const heard = subscription(receiver);

    await heard.gap();
    await publish(sender, 'a-channel', 'first');
    const first = await heard.message();
    await server.kill();
    await publish(sender, 'a-channel', 'lost');
    await Promise.all([heard.gap(), ready(sender), server.restart()]);
    await publish(sender, 'a-channel', 'second');

    assert.equal(first, 'first');
    assert.equal(await heard.message(), 'second');
  });

  function subscription(redis: Redis) {
    const messages = queue<string>();
    const gaps = queue<true>();
    subscribe(redis, 'a-channel', { onMessage: messages.put, onGap: () => gaps.put(true) });
    return { message: messages.take, gap: gaps.take };
  }
});

describe('a key', () => {
  it('of one tenant is never that of another, whatever the parts hold', () => {
    const keys = [
      tenantKey('a', 'x', 'y'),
      tenantKey('b', 'x', 'y'),
      tenantKey('a', 'x:y'),
      tenantKey('a:x', 'y'),
      sharedKey('a', 'x', 'y'),
      sharedKey('t', 'a', 'x', 'y'),
    ];

    assert.equal(new Set(keys).size, keys.length);
  });
});

function queue<Item>() {
  const items: Item[] = [];
  const takers: ((item: Item) => void)[] = [];
  const put = (item: Item): void => {
    const taker = takers.shift();
    if (taker) taker(item);
    else items.push(item);
  };
  const take = (): Promise<Item> => {
    const item = items.shift();
    return item === undefined ? new Promise((resolve) => takers.push(resolve)) : Promise.resolve(item);
  };
  return { put, take };
}
