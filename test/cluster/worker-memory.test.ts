import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { workerArguments, workerEnvironment } from '../../src/cluster/worker-memory.ts';

describe('the memory of workers', () => {
  const HEAP = workerArguments([]);

  it('is asked to stay small, beside whatever else the primary was started with', () => {
    assert.deepEqual(HEAP, [
      '--max-semi-space-size=4',
      '--heap-growing-percent=15',
      '--no-allocation-site-pretenuring',
      '--no-parallel-scavenge',
    ]);
    assert.deepEqual(workerArguments(['--enable-source-maps']), [...HEAP, '--enable-source-maps']);
    assert.deepEqual(workerEnvironment({ PATH: '/bin' }), {
      MALLOC_ARENA_MAX: '2',
      MALLOC_MMAP_THRESHOLD_: '131072',
      MALLOC_TRIM_THRESHOLD_: '131072',
    });
  });

  it('is what the operator says, wherever that was said', () => {
    const [, ...others] = HEAP;
    assert.deepEqual(workerArguments(['--max_semi_space_size=32']), [...others, '--max_semi_space_size=32']);
    assert.deepEqual(workerArguments([], '--max-semi-space-size=16 --enable-source-maps'), others);
    assert.ok(!('MALLOC_ARENA_MAX' in workerEnvironment({ MALLOC_ARENA_MAX: '8' })));
    // Of two that contradict each other, Node takes the last.
    assert.equal(workerArguments(['--allocation-site-pretenuring']).at(-1), '--allocation-site-pretenuring');
  });

  it('is the same for a process that is alone, when it is started as the readme says', () => {
    const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));

    const environment = Object.entries(workerEnvironment({})).map(([name, value]) => `${name}=${value}`);
    assert.equal(scripts.start, `${environment.join(' ')} node ${HEAP.join(' ')} bin/serve.mjs`);
  });
});
