import assert from 'node:assert/strict';
import { fork, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.ts';
import type { EmbeddedPostgres } from '../../src/db/embedded-postgres.ts';
import { chooseOwner } from '../../src/db/embedded/owner.ts';
import { createLogger } from '../../src/lib/logger.ts';

const USER_PROCESS = fileURLToPath(new URL('fixtures/embedded-user.ts', import.meta.url));

describe('embedded PostgreSQL', () => {
  let scratch: string;
  let dataDir: string;
  const cleanUp: (() => unknown)[] = [];

  // Making a cluster takes seconds: all tests but those about it take this one, stopped.
  before(async () => {
    scratch = await mkdtemp(join(tmpdir(), 'gatehouse-pg-'));
    dataDir = join(scratch, 'data');
    const server = await startEmbeddedPostgres({ dataDir, log: createLogger({ level: 'silent' }) });
    await server.stop();
  });

  after(() => rm(scratch, { recursive: true }));

  afterEach(async () => {
    for (const step of cleanUp.splice(0).toReversed()) await step();
  });

  async function start(directory = dataDir): Promise<EmbeddedPostgres> {
    const server = await startEmbeddedPostgres({
      dataDir: directory,
      log: createLogger({ level: 'silent' }),
    });
    cleanUp.push(() => server.stop());
    return server;
  }

  /** Another process on the data directory; kill it, or tell it to stop and wait for `exit`. */
  async function startProcess(directory = dataDir): Promise<ChildProcess> {
    const child = fork(USER_PROCESS, [directory]);
    cleanUp.push(() => child.kill('SIGKILL'));
    const [answer] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
    assert.match(String(answer), /^postgresql:/);
    return child;
  }

  async function end(child: ChildProcess, how: 'stop' | 'SIGKILL'): Promise<void> {
    const exited = once(child, 'exit');
    if (how === 'stop') child.send('stop');
    else child.kill('SIGKILL');
    await exited;
  }

  /** Until the end of the test. */
  async function moveData(place: string): Promise<void> {
    await rename(dataDir, place);
    cleanUp.push(() => rename(place, dataDir));
  }

  async function query(url: string, sql: string): Promise<Record<string, unknown>[]> {
    const client = new Client({ connectionString: url });
    client.on('error', () => {});
    await client.connect();
    try {
      const { rows } = await client.query(sql);
      return rows;
    } finally {
      await client.end();
    }
  }

  async function postmasterPid(directory = dataDir): Promise<number | undefined> {
    const file = join(directory, 'postgres/cluster/postmaster.pid');
    const text = await readFile(file, 'utf8').catch(() => undefined);
    return text === undefined ? undefined : Number.parseInt(text, 10);
  }

  /** A file of the cluster, until the end of the test. */
  async function overwrite(name: string, content: string): Promise<void> {
    const file = join(dataDir, 'postgres/cluster', name);
    const before = await readFile(file);
    await writeFile(file, content);
    cleanUp.push(() => writeFile(file, before));
  }

  async function eventually<Result>(attempt: () => Promise<Result>): Promise<Result> {
    const deadline = Date.now() + 15_000;
    for (;;) {
      try {
        return await attempt();
      } catch (err) {
        if (Date.now() > deadline) throw err;
        await sleep(20);
      }
    }
  }

  it('gives a durable UTF-8 database to a role that is no superuser', async () => {
    const { url } = await start();

    const [row] = await query(
      url,
      `SELECT current_database() AS database, current_user AS role, rolsuper, lower('ÄÖÜ') AS lower,
         current_setting('fsync') AS fsync, current_setting('data_checksums') AS checksums,
         current_setting('server_encoding') AS encoding, current_setting('TimeZone') AS zone
       FROM pg_roles WHERE rolname = current_user`,
    );

    assert.deepEqual(row, {
      database: 'gatehouse',
      role: 'gatehouse',
      rolsuper: false,
      lower: 'äöü',
      fsync: 'on',
      checksums: 'on',
      encoding: 'UTF8',
      zone: 'UTC',
    });
  });

  it('listens on a socket only, in directories nobody else can enter', async () => {
    const { url } = await start();

    const [row] = await query(url, `SELECT current_setting('listen_addresses') AS addresses`);

    assert.deepEqual(row, { addresses: '' });
    for (const path of [dataDir, join(dataDir, 'postgres'), join(dataDir, 'postgres/cluster')]) {
      assert.equal((await stat(path)).mode & 0o777, 0o700, path);
    }
  });

  it('works below a directory that is its operator’s alone, and leaves its permissions alone', async () => {
    const home = join(scratch, 'home, of the "operator"');
    await mkdir(home, { mode: 0o700 });
    await moveData(join(home, 'data'));

    const { url } = await start(join(home, 'data'));

    assert.deepEqual(await query(url, 'SELECT 1 AS one'), [{ one: 1 }]);
    assert.equal((await stat(home)).mode & 0o777, 0o700);
  });

  it('finds room for its socket when the data directory’s path is too long for one', async () => {
    const deep = join(scratch, 'a-rather-long-name'.repeat(8));
    await moveData(deep);

    const { url } = await start(deep);

    cleanUp.unshift(() => rm(new URL(url).searchParams.get('host') ?? '', { recursive: true }));
    assert.deepEqual(await query(url, 'SELECT 1 AS one'), [{ one: 1 }]);
  });

  it('keeps its data from one start to the next', async () => {
    const first = await start();
    await query(first.url, 'CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)');
    await first.stop();
    assert.equal(await postmasterPid(), undefined);

    const second = await start();

    assert.deepEqual(await query(second.url, 'SELECT n FROM kept'), [{ n: 42 }]);
    assert.deepEqual(await readdir(join(dataDir, 'postgres')), ['cluster', 'postgres.log']);
  });

  it('runs two data directories side by side', async () => {
    const [one, two] = await Promise.all([start(), start(join(scratch, 'other'))]);

    await query(one.url, 'CREATE TABLE only_here (n int)');

    await assert.rejects(query(two.url, 'SELECT * FROM only_here'), /does not exist/);
  });

  it('is shared by the processes on a data directory, and stopped by the last one', async () => {
    const server = await startProcess();
    const pid = await postmasterPid();
    const cli = await start();
    assert.equal(await postmasterPid(), pid);

    await end(server, 'stop');
    const answer = await query(cli.url, 'SELECT 1 AS one');
    await cli.stop();

    assert.deepEqual(answer, [{ one: 1 }]);
    assert.equal(await postmasterPid(), undefined);
  });

  it('is not stopped by the process that started it while another one came to use it', async () => {
    const cli = await start();
    const server = await startProcess();

    await cli.stop();

    assert.notEqual(await postmasterPid(), undefined);
    await end(server, 'stop');
    assert.equal(await postmasterPid(), undefined);
  });

  it('is made once when several processes start on a new data directory together', async () => {
    const fresh = join(scratch, 'new');

    const children = await Promise.all([startProcess(fresh), startProcess(fresh)]);
    const entries = await readdir(join(fresh, 'postgres'));
    await Promise.all(children.map((child) => end(child, 'stop')));

    assert.deepEqual(entries, ['cluster', 'postgres.log']);
    assert.equal(await postmasterPid(fresh), undefined);
  });

  it('is there for everyone who came, however starts and stops fall together', async () => {
    const comeAndGo = async () => {
      for (let round = 0; round < 4; round += 1) {
        const server = await start();
        assert.deepEqual(await query(server.url, 'SELECT 1 AS one'), [{ one: 1 }]);
        await server.stop();
      }
    };

    await Promise.all([comeAndGo(), comeAndGo(), comeAndGo()]);

    assert.equal(await postmasterPid(), undefined);
  });

  it('outlives a killed process, and the next one takes it over', async () => {
    const killed = await startProcess();
    const pid = await postmasterPid();
    await end(killed, 'SIGKILL');

    const server = await start();
    const pidAfter = await postmasterPid();
    await server.stop();

    assert.equal(pidAfter, pid);
    assert.equal(await postmasterPid(), undefined);
  });

  it('is stopped by the last process even if another one was killed', async () => {
    const server = await start();
    const killed = await startProcess();
    await end(killed, 'SIGKILL');

    await server.stop();

    assert.equal(await postmasterPid(), undefined);
  });

  it('comes back with all its data when it was killed under a running process', async () => {
    const server = await start();
    await query(server.url, 'CREATE TABLE recovered (n int); INSERT INTO recovered VALUES (42)');
    const pid = await postmasterPid();
    process.kill(Number(pid), 'SIGKILL');

    const rows = await eventually(() => query(server.url, 'SELECT n FROM recovered'));
    const pidAfter = await postmasterPid();
    await server.stop();

    assert.deepEqual(rows, [{ n: 42 }]);
    assert.notEqual(pidAfter, pid);
    assert.equal(await postmasterPid(), undefined);
  });

  it('starts after a crash although another process has the old server’s id now', async () => {
    const { ids } = await chooseOwner(join(dataDir, 'postgres/cluster'));
    const stranger = spawn('sleep', ['600'], { ...ids });
    cleanUp.push(() => stranger.kill());
    const lock = `${stranger.pid}\n/proc/self/fd/3\n1700000000\n5432\n${join(dataDir, 'postgres/cluster')}\n\n`;
    await writeFile(join(dataDir, 'postgres/cluster/postmaster.pid'), lock);
    await writeFile(join(dataDir, 'postgres/cluster/.s.PGSQL.5432.lock'), lock);

    const server = await start();

    assert.deepEqual(await query(server.url, 'SELECT 1 AS one'), [{ one: 1 }]);
    assert.equal(stranger.exitCode, null);
  });

  it('says plainly that it cannot open the cluster of another PostgreSQL', async () => {
    await overwrite('PG_VERSION', '9\n');

    await assert.rejects(start(), /was made by PostgreSQL 9, .*Set DATABASE_URL/);
  });

  it('says why it does not start, with the end of its log', async () => {
    await overwrite('postgresql.conf', 'no_such_setting = on\n');

    await assert.rejects(start(), /does not start\. Set DATABASE_URL.*no_such_setting/s);
  });
});
