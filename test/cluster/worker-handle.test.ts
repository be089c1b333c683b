import assert from 'node:assert/strict';
import cluster from 'node:cluster';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createWorkerHandle } from '../../src/cluster/worker-handle.ts';
import type { ClusterWorker } from '../../src/cluster/worker-handle.ts';

const SILENT_WORKER = fileURLToPath(new URL('fixtures/silent-worker.ts', import.meta.url));
const NEVER = 3_600;

describe('a worker process', () => {
  const handles: ClusterWorker[] = [];
  afterEach(() => {
    for (const { worker } of handles.splice(0)) worker.process.kill('SIGKILL');
  });

  function launch({ startSeconds, cwd }: { startSeconds: number; cwd?: string }) {
    cluster.setupPrimary({ exec: SILENT_WORKER, args: [], execArgv: [], cwd: cwd ?? process.cwd() });
    const worker = cluster.fork();
    const handle = createWorkerHandle(worker, {
      drainSeconds: 1,
      graceMs: 0,
      startSeconds,
      other: () => undefined,
      topics: {},
    });
    handles.push(handle);
    return handle;
  }

  it('that cannot be made has not started and has ended', async () => {
    const handle = launch({ startSeconds: NEVER, cwd: '/does/not/exist' });

    await assert.rejects(handle.ready, /ENOENT/);
    assert.deepEqual(await handle.ended, { code: null, signal: null });
    await handle.drain();
  });

  it('is killed when it does not serve in time', async () => {
    const handle = launch({ startSeconds: 0.2 });

    await assert.rejects(handle.ready, /did not serve within 0\.2 s/);
    assert.deepEqual(await handle.ended, { code: null, signal: 'SIGKILL' });
  });

  for (const [what, says] of [
    ['serves', { type: 'ready', port: 1 }],
    ['changes the schema', { type: 'migrating', isUnderWay: true }],
  ] as const) {
    it(`is not killed while it ${what}`, async () => {
      const handle = launch({ startSeconds: 0.2 });
      handle.worker.emit('message', says);

      const outcome = await Promise.race([handle.ended, pause(400)]);

      assert.equal(outcome, undefined);
    });
  }

  it('is killed when it does not serve in time after it has changed the schema', async () => {
    const handle = launch({ startSeconds: 0.2 });
    handle.worker.emit('message', { type: 'migrating', isUnderWay: true });
    await pause(400);
    handle.worker.emit('message', { type: 'migrating', isUnderWay: false });

    await assert.rejects(handle.ready, /did not serve/);
    assert.equal((await handle.ended).signal, 'SIGKILL');
  });
});
