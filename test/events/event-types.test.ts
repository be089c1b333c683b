import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { EVENT_TYPES } from '../../src/events/event-types.ts';

describe('event types', () => {
  it('are named noun.verb', () => {
    const misnamed = Object.keys(EVENT_TYPES).filter((name) => !/^[a-z_]+\.[a-z_]+$/.test(name));

    assert.deepEqual(misnamed, []);
  });

  it('are all in docs/events.md, with the same words and in the same order', async () => {
    const text = await readFile(new URL('../../docs/events.md', import.meta.url), 'utf8');

    const documented = [...text.matchAll(/^\| `(.+?)` \| (.+) \|$/gm)].map(([, name, meaning]) => [
      name,
      meaning,
    ]);

    assert.deepEqual(documented, Object.entries(EVENT_TYPES));
  });
});
