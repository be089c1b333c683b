import { availableParallelism, cpus } from 'node:os';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { createBenchDatabase } from '../bench-database.ts';
import { startGatehouseProcess } from '../gatehouse-process.ts';
import { measure } from '../measure.ts';
import type { Result, Server } from '../measure.ts';
import { ROWS, selectRows } from '../rows/all.ts';
import { runAndCleanUp } from '../run-and-clean-up.ts';
import type { Undo } from '../run-and-clean-up.ts';
import { describeTarget } from '../target.ts';
import type { Size } from './fill-database.ts';
import { printGrowth } from './report.ts';
import type { GrowthReport } from './report.ts';

/**
 * Measures every row of the bench at several sizes of the database, in turns within one run: one Gatehouse
 * process and one database for each size, on the same PostgreSQL server.
 */

const USAGE = `npm run bench:growth -- [options] [rows]

  --users LIST       people in each database (default 10000,100000)
  --grants N         of each person (default 10), with a refresh token each
  --sessions N       of each person (default 3)
  --events N         of each person (default 5)
  --seconds N        measured per row, size and round (default 5)
  --warm-up N        seconds before that (default 2)
  --rounds N         interleaved rounds, of which the medians count (default 3)
  --json FILE        all rounds

Rows, all unless named (the start of a name will do): ${ROWS.map(({ name }) => name).join(', ')}
DATABASE_URL: the PostgreSQL server to use. A million people with the defaults take 25 GB.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    users: { type: 'string', default: '10000,100000' },
    grants: { type: 'string', default: '10' },
    sessions: { type: 'string', default: '3' },
    events: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    'warm-up': { type: 'string', default: '2' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});

const undo: Undo = [];
if (values.help) console.log(USAGE);
else await runAndCleanUp(undo, run);

async function run(): Promise<void> {
  const { rows, unknown } = selectRows(positionals);
  if (unknown.length > 0) throw new Error(`There is no row ${unknown.join(', ')}.\n\n${USAGE}`);
  const load = { seconds: positive('seconds'), warmUpSeconds: positive('warm-up') };
  const roundCount = positive('rounds');
  const sizes = values.users.split(',').map(Number);
  if (!sizes.every((users) => users > 0)) throw new Error('--users takes numbers above 0');

  const servers: { users: number; server: Server }[] = [];
  for (const users of sizes) servers.push({ users, server: await start(users) });

  const report: GrowthReport = {
    at: new Date().toISOString(),
    machine: `Node ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model}, ${servers[0]?.server.target.store}`,
    perUser: `${values.grants} grants, ${values.grants} refresh tokens, ${values.sessions} sessions, ${values.events} events`,
    sizes: servers.map(({ users, server }) => ({ users, ...server.target.filled })),
    rows: [],
  };
  for (const row of rows) {
    const results = servers.map(({ users }) => ({ users, rounds: [] as Result[] }));
    report.rows.push({ row: row.name, results });
    for (let round = 0; round < roundCount; round += 1) {
      // Whoever comes second may find the machine warmer, or busier.
      const order = [...servers.keys()];
      for (const index of round % 2 === 0 ? order : order.toReversed()) {
        const size = servers[index];
        if (!size) continue;
        process.stderr.write(`${row.name}: ${size.users}, round ${round + 1} of ${roundCount}\n`);
        results[index]?.rounds.push(await measure(row, size.server, load));
      }
    }
  }
  console.log(printGrowth(report));
  if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
}

async function start(users: number): Promise<Server> {
  process.stderr.write(`filling a database with ${users} people\n`);
  const database = await createBenchDatabase(process.env['DATABASE_URL']);
  undo.push(() => database.remove());
  const size: Size = {
    users,
    grantsPerUser: positive('grants'),
    sessionsPerUser: positive('sessions'),
    eventsPerUser: positive('events'),
  };
  const starting = startGatehouseProcess(`gatehouse with ${users}`, {
    env: { ...database.env, BENCH_SIZE: JSON.stringify(size) },
  });
  undo.push(async () => (await starting.catch(() => undefined))?.stop());
  const server = await starting;
  return { process: server, target: await describeTarget(server.target) };
}

function positive(option: 'grants' | 'sessions' | 'events' | 'seconds' | 'warm-up' | 'rounds'): number {
  const value = Number(values[option]);
  if (!(value > 0)) throw new Error(`--${option} takes a number above 0`);
  return value;
}
