import assert from 'node:assert/strict';
import { serializeEventData } from '../../src/events/event-data.ts';

describe('event data', () => {
  it('writes dates as RFC 3339 and leaves undefined members out', () => {
    const json = serializeEventData({
      at: new Date('2026-01-02T03:04:05Z'),
      missing: undefined,
      list: [null],
    });

    assert.equal(json, '{"at":"2026-01-02T03:04:05.000Z","list":[null]}');
  });

  const unrecordable: [string, unknown][] = [
    ['a function', () => 1],
    ['a buffer', Buffer.from('hash')],
    ['a map', new Map()],
    ['an error', new Error('x')],
    ['NaN', Number.NaN],
    ['a bigint', 1n],
    ['a symbol', Symbol('x')],
    ['an undefined array item', [undefined]],
  ];
  for (const [kind, value] of unrecordable) {
    it(`refuses ${kind} instead of dropping or distorting it`, () => {
      assert.throws(() => serializeEventData({ outer: { value } }), TypeError);
    });
  }

  for (const name of [
    'password',
    'client_secret',
    'clientSecret',
    'access_token',
    'refresh_token',
    'Token',
  ]) {
    it(`refuses a member named ${name}, at any depth`, () => {
      assert.throws(() => serializeEventData({ before: [{ [name]: 'x' }] }), /must not hold a secret/);
    });
  }

  it('refuses more than 256 KiB', () => {
    assert.throws(() => serializeEventData({ text: 'x'.repeat(256 * 1024) }), /is over/);
  });

  it('refuses a structure that contains itself', () => {
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;

    assert.throws(() => serializeEventData(loop), /nested too deep/);
  });
});
