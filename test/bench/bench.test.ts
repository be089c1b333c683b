import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAnswer } from '../../bench/answer.ts';
import { WORKERS_VARIABLE } from '../../bench/child-messages.ts';
import { openConnection } from '../../bench/connection.ts';
import { createCookieJar } from '../../bench/cookie-jar.ts';
import { cpuSecondsOf } from '../../bench/cpu-time.ts';
import { drive, median, percentile } from '../../bench/driver.ts';
import { printGrowth } from '../../bench/growth/report.ts';
import { measure } from '../../bench/measure.ts';
import { printReport } from '../../bench/report.ts';
import { createStatementCounter } from '../../bench/statement-counter.ts';
import { startServerProcess } from '../../bench/server-process.ts';
import type { ServerProcess } from '../../bench/server-process.ts';
import { describeTarget } from '../../bench/target.ts';
import { discovery } from '../../bench/rows/documents.ts';
import { ROWS, selectRows } from '../../bench/rows/all.ts';
import { findShared } from '../../src/db/shared-read.ts';
import { newId } from '../../src/lib/ids.ts';
import { migratedDatabase } from '../support/database.ts';

const QUICK = { warmUpSeconds: 0.05, seconds: 0.1 };

describe('bench driver', () => {
  it('counts exactly the operations that end within the measured time', async () => {
    let done = 0;
    let before = 0;
    let after = 0;
    const operation = async () => {
      await new Promise((resolve) => setImmediate(resolve));
      done += 1;
    };

    const measured = await drive([operation, operation, operation], {
      ...QUICK,
      onStart: () => {
        before = done;
      },
      onEnd: () => {
        after = done;
      },
    });

    assert.ok(before > 0, 'there was a warm-up');
    assert.ok(measured.operations > 0);
    assert.equal(measured.operations, after - before);
    assert.equal(measured.latencies.length, measured.operations);
    assert.deepEqual(
      measured.latencies,
      measured.latencies.toSorted((a, b) => a - b),
    );
  });

  it('stops everything and fails at the first error, in the warm-up and after it', async () => {
    for (const failAfterMs of [0, 100]) {
      const startedAt = performance.now();
      let running = 0;
      const turn = () => new Promise((resolve) => setImmediate(resolve));
      const wrong = async () => {
        await turn();
        if (performance.now() - startedAt >= failAfterMs) throw new Error('wrong answer');
      };
      const fine = async () => {
        running += 1;
        await turn();
        running -= 1;
      };

      await assert.rejects(drive([fine, wrong, fine], { warmUpSeconds: 0.05, seconds: 60 }), /wrong answer/);

      assert.equal(running, 0);
    }
  });

  it('takes percentiles and medians of what was measured', () => {
    const hundred = Array.from({ length: 100 }, (_, index) => index + 1);

    assert.deepEqual(
      [0.5, 0.95, 0.99, 1].map((share) => percentile(hundred, share)),
      [50, 95, 99, 100],
    );
    assert.equal(percentile([7], 0.99), 7);
    assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5]);
  });
});

describe('bench against a server', () => {
  let server: Server;
  let origin: string;
  let requests: IncomingMessage[];
  let sockets: Set<unknown>;
  /** The request from which on the server answers 500. */
  let failFrom: number;

  beforeEach(async () => {
    requests = [];
    sockets = new Set();
    failFrom = Number.POSITIVE_INFINITY;
    server = createServer((request, response) => {
      requests.push(request);
      sockets.add(request.socket);
      response.statusCode = requests.length >= failFrom ? 500 : 200;
      response.end(JSON.stringify({ token_endpoint: `${origin}/token` }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    origin = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;
  });

  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  function target() {
    const paths = {
      discovery: '/',
      jwks: '/',
      authorization: '/',
      token: '/',
      introspection: '/',
      userinfo: '/',
    };
    const nobody = { id: '', secret: '' };
    return {
      issuer: origin,
      origin,
      paths,
      service: nobody,
      services: [],
      web: nobody,
      users: [],
      store: '',
    };
  }

  function measureDiscovery(load: { warmUpSeconds: number; seconds: number }) {
    const itself = {
      name: 'itself',
      target: target(),
      pids: [process.pid],
      countStatements: () => Promise.reject(new Error('not asked for')),
      stop: async () => {},
    };
    return measure(discovery, { process: itself, target: target() }, load);
  }

  it('keeps one connection a worker, and reports requests and CPU time', async () => {
    const result = await measureDiscovery({ warmUpSeconds: 0.05, seconds: 0.5 });

    assert.equal(sockets.size, discovery.workers);
    assert.ok(result.operations > 0 && result.operations < requests.length);
    assert.equal(result.requestsPerOperation, 1);
    assert.ok(result.p50 <= result.p95 && result.p95 <= result.p99);
    assert.ok(result.opsPerCpuSecond > 0);
  });

  it('fails when one of many answers is wrong', async () => {
    failFrom = 100;

    await assert.rejects(
      measureDiscovery({ warmUpSeconds: 0.05, seconds: 60 }),
      /discovery: unexpected answer 500/,
    );
  });

  it('fails when the server gives up in the middle of an answer, and goes on with another connection', async () => {
    const [answer] = server.listeners('request') as Parameters<Server['on']>[1][];
    server.removeAllListeners('request');
    server.once('request', (_request, response) => {
      response.writeHead(200, { 'content-length': 100 }).write('not all of it');
      setImmediate(() => {
        server.on('request', answer ?? assert.fail);
        response.destroy();
      });
    });
    const connection = openConnection(origin);

    await assert.rejects(connection.request({ method: 'GET', path: '/' }), /closed the connection/);
    const { status } = await connection.request({ method: 'GET', path: '/' });
    await connection.close();

    assert.equal(status, 200);
    assert.equal(connection.requests(), 2);
  });

  it('goes on with another connection when the server wants to end one', async () => {
    server.maxRequestsPerSocket = 3;
    const connection = openConnection(origin);

    const statuses: number[] = [];
    for (let turn = 0; turn < 7; turn += 1)
      statuses.push((await connection.request({ method: 'GET', path: '/' })).status);
    await connection.close();

    assert.deepEqual(statuses, Array(7).fill(200));
  });

  it('fails when there is no server any more', async () => {
    const connection = openConnection('http://127.0.0.1:9');

    await assert.rejects(connection.request({ method: 'GET', path: '/' }), /ECONNREFUSED|connect/);
    await connection.close();
  });
});

describe('bench meters', () => {
  it('reads the CPU time of a process with its children, running and ended', async () => {
    const burn = 'while (process.cpuUsage().user < 200_000);';
    const script = `
      require('node:child_process').spawnSync(process.execPath, ['-e', '${burn}']);
      process.send('burnt');
      process.on('message', () => process.exit());`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    const { pid } = child;
    assert.ok(pid);

    await once(child, 'message');
    const used = cpuSecondsOf([pid]);
    child.send('end');
    await once(child, 'exit');

    assert.ok(used >= 0.15, String(used));
    assert.equal(cpuSecondsOf([pid]), 0);
  });

  it('reads an answer when all of its bytes are there', () => {
    const head = 'HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-A: b\r\nSET-COOKIE: c=2\r\nContent-Length: 3';
    const bytes = Buffer.from(`${head}\r\n\r\n\u00e4!`);

    const answer = readAnswer(bytes);

    for (let length = 0; length < bytes.length; length += 1)
      assert.equal(readAnswer(bytes.subarray(0, length)), undefined);
    assert.equal(answer?.status, 200);
    assert.equal(answer.body, '\u00e4!');
    assert.deepEqual(answer.headers.getAll('set-cookie'), ['a=1', 'c=2']);
    assert.equal(answer.headers.get('cookie'), undefined);
  });

  it('reads an answer that has no body, and refuses one of unknown length', () => {
    assert.equal(readAnswer(Buffer.from('HTTP/1.1 304 Not Modified\r\nETag: "a"\r\n\r\n'))?.body, '');
    assert.throws(() => readAnswer(Buffer.from('HTTP/1.1 200 OK\r\nX: y\r\n\r\n')), /length/);
    assert.throws(() => readAnswer(Buffer.from('SSH-2.0\r\ncontent-length: 0\r\n\r\n')), /length/);
  });

  it('takes a name for that row alone, and the beginning of names for all of theirs', () => {
    const names = (...wanted: string[]) => selectRows(wanted).rows.map(({ name }) => name);

    assert.deepEqual(names('sign-in', 'jw'), ['jwks', 'sign-in']);
    assert.deepEqual(names('sign-'), ['sign-in', 'sign-in-new-device']);
    assert.equal(names().length, ROWS.length);
    assert.deepEqual(selectRows(['sign-in', 'sign-up']).unknown, ['sign-up']);
  });

  it('keeps cookies by name and path, and drops the expired ones', () => {
    const jar = createCookieJar();
    const take = (...lines: string[]) => jar.take({ headers: { get: () => undefined, getAll: () => lines } });

    take('session=1; path=/; httponly', 'step=a; path=/interaction/x', 'step=b; path=/interaction/y');
    take('session=2; path=/', 'step=; path=/interaction/y; expires=Thu, 01 Jan 1970 00:00:00 GMT');

    assert.equal(jar.header('/authorize?x=1'), 'session=2');
    assert.equal(jar.header('/interaction/x/login'), 'session=2; step=a');
    assert.equal(jar.header('/interaction/y'), 'session=2');
    assert.equal(jar.header('/interaction/xyz'), 'session=2');
    assert.equal(jar.only(/^st/).header('/interaction/x'), 'step=a');
  });

  it('prints ratios of Gatehouse to bare', () => {
    const result = {
      operations: 100,
      opsPerSecond: 200,
      p50: 1,
      p95: 2,
      p99: 3,
      opsPerCpuSecond: 400,
      cores: 0.5,
      requestsPerOperation: 1,
    };
    const report = printReport({
      at: 'now',
      node: 'v24',
      cpu: 'CPU',
      cores: 2,
      store: 'PostgreSQL 18',
      seconds: 1,
      warmUpSeconds: 1,
      roundCount: 1,
      cpuIncludes: 'the server process',
      rows: [
        {
          row: 'sign-in',
          rounds: {
            bare: [result],
            gatehouse: [{ ...result, opsPerSecond: 90, opsPerCpuSecond: 100 }],
            workers: [{ ...result, opsPerSecond: 110, opsPerCpuSecond: 80 }],
          },
          storeUse: { queriesPerOperation: 3, commitsPerOperation: 1, statements: {} },
          hashesPerSecond: [100],
        },
      ],
    });

    assert.match(report, /sign-in +bare +200 +1\.0 /);
    assert.match(report, /gatehouse +90\.0 +0\.45 .* 100 +0\.25 .* 3\.0 +1\.0$/m);
    assert.match(report, /workers +110 +0\.55 .* 80\.0 +0\.20 /);
    assert.match(report, /reaches 0\.90 of it/);
  });

  it('prints what growth does to a row', () => {
    const result = {
      operations: 100,
      opsPerSecond: 200,
      p50: 1,
      p95: 2,
      p99: 3,
      opsPerCpuSecond: 400,
      cores: 0.5,
      requestsPerOperation: 1,
    };
    const report = printGrowth({
      at: 'now',
      machine: 'machine',
      perUser: '10 grants',
      sizes: [{ users: 10_000, seconds: 5, bytes: 3e8 }, { users: 1_000_000 }],
      rows: [
        {
          row: 'refresh',
          results: [
            { users: 10_000, rounds: [result] },
            { users: 1_000_000, rounds: [{ ...result, p95: 2.5, opsPerCpuSecond: 360 }] },
          ],
        },
      ],
    });

    assert.match(report, /^\| 10,000 \| 0\.3 GB \| 5 s \|$/m);
    assert.match(
      report,
      /^\| refresh \| 1,000,000 \| 200 \| 1\.0 \| 2\.5 \| 1\.25 \| 3\.0 \| 360 \| 0\.90 \|$/m,
    );
  });
});

describe('bench statement counter', () => {
  it('counts what requests ask of the database, and no more after that', async () => {
    const database = await migratedDatabase();
    const { db } = database;
    const counter = createStatementCounter();
    const server = createServer((_request, response) => {
      void (async () => {
        await db.raw('SELECT 1');
        await db.transaction(async (trx) => {
          await trx.raw('SELECT 2 FROM tenants FOR UPDATE');
          await trx.raw("UPDATE tenants SET name = 'x'");
        });
        await db.raw("UPDATE tenants SET name = 'y'");
        await findShared(db, {
          name: 'counted',
          sql: (hash) => `SELECT payload, id_hash FROM oidc_models WHERE id_hash = ${hash} AND tenant_id = ?`,
          tenantId: newId(),
          idHash: Buffer.alloc(32),
        });
        response.end();
      })();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`;

    // A new connection asks a question of its own.
    await db.raw('SELECT 0');
    counter.start();
    await fetch(url);
    await db.raw('SELECT 3');
    await fetch(url);
    const { total, commits, byText } = counter.counts();
    await fetch(url);
    server.close();
    server.closeAllConnections();
    await database.drop();

    assert.deepEqual([total, commits], [14, 4]);
    assert.equal(byText['SELECT 1'], 2);
    assert.equal(byText['SELECT 3'], undefined);
  });
});

describe('bench rows', () => {
  async function runAllAndStop(server: ServerProcess, rows = ROWS): Promise<void> {
    try {
      const target = await describeTarget(server.target);
      for (const row of rows) {
        const connection = openConnection(target.origin);
        const operation = await row.prepare(target, connection, 1);
        await operation();
        await operation();
        await connection.close();
      }
    } finally {
      await server.stop();
    }
  }

  it('all work against bare oidc-provider', async () => {
    const server = await startServerProcess('bare', './bare-server.ts');

    await runAllAndStop(
      server,
      ROWS.filter(({ only }) => only === undefined),
    );
  }).timeout(60_000);

  for (const workers of [undefined, '2']) {
    const servers = workers === undefined ? 'Gatehouse' : 'several workers';
    it(`all work against ${servers}, which leave nothing running`, async () => {
      const database = await migratedDatabase();
      const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-bench-test-'));
      const env = {
        DATABASE_URL: database.url,
        GATEHOUSE_DATA_DIR: dataDir,
        LOG_LEVEL: 'silent',
        ...(workers !== undefined && { [WORKERS_VARIABLE]: workers }),
      };

      const server = await startServerProcess('gatehouse', './gatehouse-server.ts', { env });
      await runAllAndStop(server);

      const { rows } = await database.db.raw(
        "SELECT count(*)::int FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'gatehouse'",
      );
      await database.drop();
      rmSync(dataDir, { recursive: true });
      assert.equal(rows[0].count, 0);
    }).timeout(60_000);
  }
});
