import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { keepApart, keepHashersApart } from '../../bench/cores.ts';

/** A machine with one core has nothing to share out, and is left as it is. */
const CORES = availableParallelism();
const ALL = CORES === 1 ? '0' : `0-${CORES - 1}`;

describe('the cores of a bench', () => {
  let directory: string;
  let child: ChildProcess;
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'gatehouse-cores-'));
    const script = join(directory, 'child.cjs');
    // A file that is read starts the threads that would hash.
    writeFileSync(
      script,
      `require('fs').readFile(__filename, () => process.send('up')); setInterval(() => {}, 1000);`,
    );
    child = fork(script, { execArgv: [] });
    await once(child, 'message');
  });
  after(() => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true });
  });

  const coresOf = (thread: string) =>
    /^Cpus_allowed_list:\s*(\S+)$/m.exec(
      readFileSync(`/proc/${child.pid}/task/${thread}/status`, 'utf8'),
    )?.[1];
  const threads = () => readdirSync(`/proc/${child.pid}/task`);
  const mainThread = () => coresOf(String(child.pid));
  const hashing = () =>
    threads()
      .filter((thread) =>
        readFileSync(`/proc/${child.pid}/task/${thread}/comm`, 'utf8').startsWith('libuv-worker'),
      )
      .map(coresOf);
  const only = (core: number) => (CORES === 1 ? '0' : String(core));

  it('are one for the server’s main thread, and any for the others, until they are let go', () => {
    const letGo = keepApart([child.pid ?? 0]);
    const during = [mainThread(), ...new Set(hashing())];
    letGo();

    assert.deepEqual(during, [only(0), ALL]);
    assert.deepEqual([...new Set(threads().map(coresOf))], [ALL]);
  });

  it('are one for a hash at a time, and the others for all else, until they are let go', () => {
    const letGo = keepHashersApart([child.pid ?? 0], 1);
    const during = [mainThread(), ...new Set(hashing())];
    letGo();

    assert.deepEqual(during, [CORES <= 2 ? '0' : `0-${CORES - 2}`, only(CORES - 1)]);
    assert.deepEqual([...new Set(threads().map(coresOf))], [ALL]);
  });

  it('are shared where there are no more of them than hashes at a time', () => {
    const letGo = keepHashersApart([child.pid ?? 0], CORES);
    const during = [mainThread(), ...new Set(hashing())];
    letGo();

    assert.deepEqual(during, [only(0), ALL]);
  });
});
