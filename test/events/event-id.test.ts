import assert from 'node:assert/strict';
import { newEventId } from '../../src/events/event-id.ts';
import { isId } from '../../src/lib/ids.ts';

describe('event id', () => {
  it('sorts in the order of making, within a millisecond and when the clock is set back', () => {
    const now = new Date('2040-01-01T00:00:00Z');

    const ids = Array.from({ length: 10_000 }, () => newEventId(now));
    ids.push(newEventId(new Date('2039-01-01T00:00:00Z')));

    assert.deepEqual(ids, [...ids].sort());
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.every((id) => isId(id) && id[14] === '7' && /[89ab]/.test(id[19] ?? '')));
  });
});
