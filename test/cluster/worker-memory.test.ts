import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { workerArguments, workerEnvironment } from '../../src/cluster/worker-memory.ts';

describe('the memory of workers', () => {
  it('is asked to stay small, beside whatever else the primary was started with', () => {
    assert.deepEqual(workerArguments(['--heap-growing-percent=50']), [
      '--max-semi-space-size=16',
      '--heap-growing-percent=50',
    ]);
    assert.deepEqual(workerEnvironment({ PATH: '/bin' }), { MALLOC_ARENA_MAX: '2' });
  });

  it('is what the operator says, wherever that was said', () => {
    assert.deepEqual(workerArguments(['--max_semi_space_size=32']), ['--max_semi_space_size=32']);
    assert.deepEqual(workerArguments([], '--max-semi-space-size=4 --enable-source-maps'), []);
    assert.deepEqual(workerEnvironment({ MALLOC_ARENA_MAX: '8' }), {});
  });

  it('is the same for a process that is alone, when it is started as the readme says', () => {
    const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

    assert.equal(scripts.start, `node ${workerArguments([]).join(' ')} bin/serve.mjs`);
  });
});
