import { writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { DOCUMENTS_VARIABLE, WORKERS_VARIABLE } from './child-messages.ts';
import { createBenchDatabase } from './bench-database.ts';
import { startGatehouseProcess } from './gatehouse-process.ts';
import { countStoreUse, measure } from './measure.ts';
import type { Server } from './measure.ts';
import { hashesPerSecond } from './password-hash.ts';
import { printReport, printStatements, SERVERS } from './report.ts';
import type { RowReport, RunReport, ServerName } from './report.ts';
import { ROWS, selectRows } from './rows/all.ts';
import { runAndCleanUp } from './run-and-clean-up.ts';
import type { Undo } from './run-and-clean-up.ts';
import { startServerProcess } from './server-process.ts';
import type { ServerProcess } from './server-process.ts';
import { soak } from './soak.ts';
import { measureStart } from './start-time.ts';
import { describeTarget } from './target.ts';

/**
 * Compares Gatehouse with bare oidc-provider over a Map, in one run on one machine, each in one process.
 * Any answer but the expected one fails the run.
 */

const USAGE = `npm run bench -- [options] [rows]

  --seconds N        measured per row, server and round (default 5)
  --warm-up N        seconds before that (default 2)
  --rounds N         interleaved rounds, of which the medians count (default 3)
  --only SERVER      ${SERVERS.join(' or ')}, without the others
  --workers N        Gatehouse with N workers as well; compare what a CPU second does
  --statements       the statements of each row, below the table
  --json FILE        all rounds and the statements of each row
  --cpu-prof DIR     CPU profiles of the servers
  --start            how long Gatehouse takes from its start until it is ready, and nothing else
  --soak MINUTES     all rows at once on Gatehouse, and what becomes of its memory, and nothing else

Rows, all unless named (the start of a name will do): ${ROWS.map(({ name }) => name).join(', ')}
DATABASE_URL: the PostgreSQL server to use; default: the embedded one. LOG_LEVEL and GATEHOUSE_* reach Gatehouse.`;

/** Enough to see what happens only now and then. */
const COUNTED_OPERATIONS = 50;
const STARTS = 5;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    workers: { type: 'string' },
    json: { type: 'string' },
    statements: { type: 'boolean', default: false },
    'cpu-prof': { type: 'string' },
    start: { type: 'boolean', default: false },
    soak: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const undo: Undo = [];
if (values.help) console.log(USAGE);
else await runAndCleanUp(undo, values.start ? runStart : values.soak === undefined ? run : runSoak);

async function run(): Promise<void> {
  const { rows, unknown } = selectRows(positionals);
  if (unknown.length > 0) throw new Error(`There is no row ${unknown.join(', ')}.\n\n${USAGE}`);
  const takesPart = (name: ServerName) =>
    values.only === undefined ? name !== 'workers' || values.workers !== undefined : values.only === name;
  const names = SERVERS.filter(takesPart);
  if (names.length === 0) throw new Error(`--only takes ${SERVERS.join(' or ')}`);
  const load = { seconds: positive('seconds'), warmUpSeconds: positive('warm-up') };
  const roundCount = positive('rounds');

  const servers = new Map<ServerName, Server>();
  for (const name of names) servers.set(name, await start(name));

  let documents: Server | undefined;
  const reports: RowReport[] = [];
  for (const row of rows) {
    const report: RowReport = { row: row.name, rounds: {} };
    reports.push(report);
    for (let round = 0; round < roundCount; round += 1) {
      // Whoever comes second may find the machine warmer, or busier.
      for (const name of round % 2 === 0 ? names : names.toReversed()) {
        const server = servers.get(name);
        if (!server || (row.only === 'gatehouse' && name === 'bare')) continue;
        progress(`${row.name}: ${name}, round ${round + 1} of ${roundCount}`);
        (report.rounds[name] ??= []).push(
          await measure(row, server, {
            ...load,
            hashers: name === 'gatehouse' ? passwordHashers() : undefined,
          }),
        );
      }
      if (!names.includes('gatehouse')) continue;
      if (row.bound === 'password hash') {
        const concurrency = passwordHashers();
        (report.hashesPerSecond ??= []).push(await hashesPerSecond({ concurrency, seconds: load.seconds }));
      }
      if (row.bound === 'node:http') {
        progress(`${row.name}: node:http, round ${round + 1} of ${roundCount}`);
        documents ??= await startDocumentServer(servers.get('gatehouse'));
        (report.nodeHttp ??= []).push(await measure(row, documents, load));
      }
    }
    const gatehouse = servers.get('gatehouse');
    if (gatehouse) report.storeUse = await countStoreUse(row, gatehouse, COUNTED_OPERATIONS);
  }

  progress('');
  const report = describeRun(servers, { ...load, roundCount, rows: reports });
  console.log(printReport(report));
  if (values.statements) console.log(printStatements(report));
  if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
}

/** On the database of DATABASE_URL as in production, and on the embedded one as for a newcomer. */
async function runStart(): Promise<void> {
  const serverUrl = process.env['DATABASE_URL'];
  const settings = [
    ...(serverUrl === undefined ? [] : [{ name: 'production, DATABASE_URL', serverUrl, mode: 'production' }]),
    { name: 'development, embedded PostgreSQL', serverUrl: undefined, mode: 'development' },
  ];
  for (const { name, serverUrl: url, mode } of settings) {
    const database = await createBenchDatabase(url);
    undo.push(() => database.remove());
    const env = { ...database.env, ...(url === undefined && { DATABASE_URL: '' }), NODE_ENV: mode };
    const { seconds, cpuSeconds } = await measureStart(env, STARTS);
    console.log(`${name}: ready after ${seconds.toFixed(2)} s, ${cpuSeconds.toFixed(2)} s of CPU`);
  }
}

async function runSoak(): Promise<void> {
  const minutes = positive('soak');
  const server = await start('gatehouse');
  console.log('minutes  resident MB  operations/s  refused');
  await soak(server, { minutes, sampleSeconds: Math.min(30, minutes * 6) }, (sample) => {
    const { minutes: at, megabytes, operationsPerSecond, refusals } = sample;
    const figures = [at.toFixed(1), megabytes.toFixed(0), operationsPerSecond.toFixed(0), String(refusals)];
    console.log(figures.map((figure, index) => figure.padStart([7, 11, 12, 7][index] ?? 0)).join('  '));
  });
}

async function start(name: ServerName): Promise<Server> {
  progress(`starting ${name}`);
  const cpuProfileDir = values['cpu-prof'] && resolve(values['cpu-prof'], name);
  const starting =
    name === 'bare'
      ? startServerProcess('bare', './bare-server.ts', { cpuProfileDir })
      : startGatehouseProcess(name, {
          cpuProfileDir,
          env: {
            ...(await gatehouseEnvironment()),
            ...(name === 'workers' && { [WORKERS_VARIABLE]: String(positive('workers')) }),
          },
        });
  return whenUp(starting);
}

/** `node:http` alone, with the documents of Gatehouse. */
async function startDocumentServer(gatehouse: Server | undefined): Promise<Server> {
  if (!gatehouse) throw new Error('there is nobody to read the documents from');
  const { origin, paths, issuer } = gatehouse.target;
  const documents = [paths.discovery, paths.jwks].map((path) => `${origin}${path}`);
  const env = { [DOCUMENTS_VARIABLE]: JSON.stringify({ ...gatehouse.process.target, issuer, documents }) };
  return whenUp(startServerProcess('node:http', './document-server.ts', { env }));
}

async function whenUp(starting: Promise<ServerProcess>): Promise<Server> {
  // From now on, and not only once it is up: an interrupted run must leave nothing behind.
  undo.push(async () => (await starting.catch(() => undefined))?.stop());
  const server = await starting;
  return { process: server, target: await describeTarget(server.target) };
}

async function gatehouseEnvironment(): Promise<NodeJS.ProcessEnv> {
  const database = await createBenchDatabase(process.env['DATABASE_URL']);
  undo.push(() => database.remove());
  return {
    ...database.env,
    GATEHOUSE_PASSWORD_HASHERS: String(passwordHashers()),
    // A soak uses tokens for longer than they live by default.
    ...(values.soak !== undefined && { GATEHOUSE_ACCESS_TOKEN_TTL_SECONDS: '86400' }),
  };
}

/** One core is for all else, as for the hash alone nothing else needs one. */
function passwordHashers(): number {
  return Number(process.env['GATEHOUSE_PASSWORD_HASHERS'] ?? Math.max(1, availableParallelism() - 1));
}

function describeRun(
  servers: ReadonlyMap<ServerName, Server>,
  run: Pick<RunReport, 'seconds' | 'warmUpSeconds' | 'roundCount' | 'rows'>,
): RunReport {
  const { store, postgresPid } = (servers.get('gatehouse') ?? servers.get('workers'))?.target ?? {};
  const withStore = postgresPid
    ? 'the server process and, for Gatehouse, of all processes of its PostgreSQL server'
    : 'the server process alone: PostgreSQL does not run here as processes that can be read';
  return {
    at: new Date().toISOString(),
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown CPU',
    cores: availableParallelism(),
    store: store ?? 'no database',
    cpuIncludes: store ? withStore : 'the server process',
    ...run,
  };
}

function positive(option: 'seconds' | 'warm-up' | 'rounds' | 'soak' | 'workers'): number {
  const value = Number(values[option]);
  if (!(value > 0)) throw new Error(`--${option} takes a number above 0`);
  return value;
}

/** On standard error, so that the report alone can be kept. */
function progress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}
