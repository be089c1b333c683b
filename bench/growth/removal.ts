import { parseArgs } from 'node:util';
import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/database.ts';
import { createExpiryJob } from '../../src/jobs/expiry-job.ts';
import { createLogger } from '../../src/lib/logger.ts';
import { slotAt, slotSecondsOf } from '../../src/oidc/adapter/token-slots.ts';
import { createBenchDatabase } from '../bench-database.ts';
import { startGatehouseProcess } from '../gatehouse-process.ts';
import { median } from '../driver.ts';
import { measure } from '../measure.ts';
import type { Result, Server } from '../measure.ts';
import { ROWS } from '../rows/all.ts';
import { runAndCleanUp } from '../run-and-clean-up.ts';
import type { Undo } from '../run-and-clean-up.ts';
import type { Row } from '../rows/row.ts';
import { describeTarget } from '../target.ts';

/**
 * What the removal of millions of expired rows does to those who work meanwhile: rounds with and without
 * it in turns, on one server. Access tokens go slot by slot, sessions row by row.
 */

const USAGE = `npm run bench:removal -- [options] [row]

  --tokens N         expired access tokens, emptied slot by slot (default 4500000)
  --sessions N       expired sessions, removed in batches (default 500000)
  --seconds N        of a round (default 10)
  --rounds N         of each kind, up to 6 (default 5)

The row is the work that is measured (default refresh): ${ROWS.map(({ name }) => name).join(', ')}
DATABASE_URL: the PostgreSQL server to use; it must be given, and five million rows take 4 GB.`;

const LIVES = { refreshAbsoluteSeconds: 7_776_000 };
const ROWS_PER_STATEMENT = 50_000;
const CONNECTIONS = 4;
const TIMEOUT_MS = 3_600_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tokens: { type: 'string', default: '4500000' },
    sessions: { type: 'string', default: '500000' },
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '5' },
    help: { type: 'boolean', default: false },
  },
});

const undo: Undo = [];
const serverUrl = process.env['DATABASE_URL'];
if (values.help || !serverUrl) console.log(USAGE);
else await runAndCleanUp(undo, () => run(serverUrl));

async function run(databaseServer: string): Promise<void> {
  const row = ROWS.find(({ name }) => name.startsWith(positionals[0] ?? 'refresh'));
  if (!row) throw new Error(USAGE);
  const rounds = Math.min(6, Number(values.rounds));
  const load = { seconds: Number(values.seconds), warmUpSeconds: 2 };

  const database = await createBenchDatabase(databaseServer);
  undo.push(() => database.remove());
  // This process removes what has expired, and nobody else.
  const env = { ...database.env, BENCH_JOBS: 'off' };
  const serverProcess = await startGatehouseProcess('gatehouse', { env });
  undo.push(() => serverProcess.stop());
  const server: Server = { process: serverProcess, target: await describeTarget(serverProcess.target) };
  const db = createDatabase({
    url: database.env['DATABASE_URL'] ?? '',
    poolMax: CONNECTIONS,
    statementTimeoutMs: TIMEOUT_MS,
    lockTimeoutMs: TIMEOUT_MS,
    acquireTimeoutMs: TIMEOUT_MS,
  });
  undo.push(() => db.destroy());

  const without: Result[] = [];
  const during: Result[] = [];
  await insertSessions(db, Number(values.sessions));
  for (let round = 0; round < rounds; round += 1) {
    // Two periods ahead: nothing that lives is there.
    const slot = (slotAt(Date.now() / 1000, slotSecondsOf('AccessToken', LIVES)) + 2 + round) % 8;
    await insertTokens(db, slot, Math.ceil(Number(values.tokens) / rounds));
    await db.raw('CHECKPOINT');
    const measureQuiet = async () => void without.push(await measure(row, server, load));
    const measureRemoval = async () => void during.push(await measureDuring(db, row, server, load));
    for (const turn of round % 2 === 0 ? [measureQuiet, measureRemoval] : [measureRemoval, measureQuiet])
      await turn();
  }
  print(row, without, during, await left(db));
}

/** The job as it runs in a server, started with the round and stopped with it. */
async function measureDuring(
  db: Knex,
  row: Row,
  server: Server,
  load: { seconds: number; warmUpSeconds: number },
): Promise<Result> {
  const stopping = new AbortController();
  const log = createLogger({ level: 'silent' });
  const job = createExpiryJob({ db, log, ...LIVES });
  let removing: Promise<void> | undefined;
  let failure: unknown;
  const started = setTimeout(() => {
    removing = job.run(stopping.signal).catch((err: unknown) => {
      failure = err;
    });
  }, load.warmUpSeconds * 1000);
  try {
    return await measure(row, server, load);
  } finally {
    clearTimeout(started);
    stopping.abort();
    await removing;
    if (failure !== undefined) console.error('the job failed', failure);
  }
}

async function insertTokens(db: Knex, slot: number, count: number): Promise<void> {
  process.stderr.write(`${count} expired tokens for slot ${slot}\n`);
  await inParts(
    db,
    count,
    `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, grant_hash, account_id, client_id, expires_at)
    SELECT t.id, 'AccessToken', set_byte(sha256(i::text::bytea), 0, ${slot * 32} + i % 32),
           jsonb_build_object('iat', 1764000000, 'exp', 1764000600, 'kind', 'AccessToken', 'clientId', 'bench-web', 'accountId', t.id,
             'grantId', md5(i::text), 'scope', 'openid email', 'gty', 'authorization_code', 'sessionUid', md5('s' || i)),
           sha256(('g' || i)::bytea), t.id, 'bench-web', now() - interval '1 hour' + i * interval '1 microsecond'
      FROM generate_series(?::int, ?::int) AS i, tenants t`,
  );
}

async function insertSessions(db: Knex, count: number): Promise<void> {
  process.stderr.write(`${count} expired sessions\n`);
  await inParts(
    db,
    count,
    `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, session_uid, account_id, expires_at)
    SELECT t.id, 'Session', sha256(('session' || i)::bytea),
           jsonb_build_object('iat', 1764000000, 'exp', 1764000600, 'kind', 'Session', 'uid', 'expired-' || i, 'accountId', t.id, 'loginTs', 1764000000),
           'expired-' || i, t.id, now() - interval '1 hour' + i * interval '1 microsecond'
      FROM generate_series(?::int, ?::int) AS i, tenants t`,
  );
}

async function inParts(db: Knex, count: number, sql: string): Promise<void> {
  const starts = Array.from(
    { length: Math.ceil(count / ROWS_PER_STATEMENT) },
    (_, part) => part * ROWS_PER_STATEMENT + 1,
  );
  const fill = async () => {
    for (let start = starts.pop(); start !== undefined; start = starts.pop())
      await db.raw(sql, [start, Math.min(start + ROWS_PER_STATEMENT - 1, count)]);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, fill));
}

async function left(db: Knex): Promise<number> {
  const { rows } = await db.raw(
    "SELECT count(*)::int AS left FROM oidc_models WHERE expires_at < now() - interval '30 minutes'",
  );
  return rows[0].left;
}

function print(row: Row, without: readonly Result[], during: readonly Result[], rest: number): void {
  const of = (results: readonly Result[], pick: (result: Result) => number) => median(results.map(pick));
  const line = (name: string, results: readonly Result[]) =>
    `| ${name} | ${Math.round(of(results, ({ opsPerSecond }) => opsPerSecond))} | ${of(results, ({ p50 }) => p50).toFixed(1)} | ${of(results, ({ p95 }) => p95).toFixed(1)} | ${of(results, ({ p99 }) => p99).toFixed(1)} | ${results.map(({ p99 }) => p99.toFixed(0)).join(', ')} |`;
  const p99 = ({ p99: value }: Result) => value;
  console.log(
    [
      `${values.tokens} tokens and ${values.sessions} sessions had expired; ${rest} are left. Work: ${row.name}.`,
      '',
      '| | ops/s | p50 ms | p95 ms | p99 ms | p99 of each round |',
      '|---|---:|---:|---:|---:|---|',
      line('without', without),
      line('during removal', during),
      '',
      `p99 during removal is ${(of(during, p99) / of(without, p99)).toFixed(2)} of that without.`,
    ].join('\n'),
  );
}
