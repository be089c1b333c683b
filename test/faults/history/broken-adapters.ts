import { setTimeout as delay } from 'node:timers/promises';
import type { Rule } from './check-history.ts';
import type { FaultKind, Mix } from './plan.ts';

/**
 * Adapters that are wrong on purpose, each in one way that real ones were: the checker is worth something
 * as long as it finds every one of them. Each changes what the real adapter sends to the database, or what
 * it gets back, in server processes of their own (broken-server.ts).
 */
export interface BrokenAdapter {
  flaw: string;
  /** Any of them shows it. */
  breaks: readonly Rule[];
  /** What brings it to light. */
  mix: Mix;
  faults?: readonly FaultKind[];
  /** Changes a statement on its way to the database, or its result on the way back. */
  tamper?: (statement: Statement, run: Run) => Promise<Result>;
  /** A commit that failed looks like one that succeeded. */
  ignoresCommitErrors?: boolean;
  /** Nobody is told when to come back. */
  hidesRetryAfter?: boolean;
  /** Configured to repeat nothing, and judged by that. */
  isStrict?: boolean;
  /** A setting of the database, for what is wrong with the way it is used. */
  setting?: string;
  /** Refresh tokens are followed by something new every time. */
  forgetsSuccessors?: boolean;
}

/** A prepared statement, by the name the adapter gives it. */
export interface Statement {
  name: string;
  sql: string;
  bindings: readonly unknown[];
}

export interface Result {
  rows: Record<string, unknown>[];
  rowCount: number;
}

export type Run = (statement: Statement) => Promise<Result>;

const TOKENS: Mix = { 'race-exchange': 10, 'race-refresh': 10, refresh: 10, introspect: 3 };
const SESSIONS: Mix = { renew: 20, introspect: 10 };
const LOGOUTS: Mix = { renew: 20, refresh: 5, 'race-logout': 15, 'use-ended': 5 };
const CRASHES: readonly FaultKind[] = ['crash-database', 'crash-database', 'crash-database'];
const MUCH_TOO_LONG_MS = 5_000;
const REVOCATIONS: Mix = { 'revoke-access': 10, refresh: 3 };
/** The statement that saves a session which belongs to somebody. */
const SAVES_SESSION = /INSERT INTO user_sessions[^]*SET id_hash/;
const ENDS: Mix = {
  refresh: 10,
  'race-refresh': 3,
  'race-revoke': 10,
  'revoke-refresh': 5,
  'replay-code': 3,
  'use-ended': 5,
};

export const BROKEN_ADAPTERS = {
  'consumes-without-condition': {
    flaw: 'marks codes as used whether or not they were used before',
    breaks: ['a code is redeemed once'],
    mix: TOKENS,
    tamper: replaced(/^oidc_tokens_AuthorizationCode/, 'AND consumed_at IS NULL', ''),
  },
  'forgets-used-tokens': {
    flaw: 'removes what was used, so that nobody notices who brings it again',
    breaks: ['what ended stays ended'],
    mix: { ...TOKENS, 'replay-code': 5, 'refresh-old': 5 },
    tamper: async (statement, run) => {
      const result = await run(statement);
      if (!/^oidc_family_(AuthorizationCode|RefreshToken)/.test(statement.name)) return result;
      return withRows(result, ({ consumed_at: used }) => used === null);
    },
  },
  'revokes-what-it-sees': {
    flaw: 'revokes the tokens that there are, and not those that are just being issued',
    breaks: ['what ended stays ended'],
    mix: ENDS,
    tamper: replaced(
      /^oidc_kill_Grant:/,
      `AND model = 'Grant' AND id_hash = ?`,
      `AND model IN ('AccessToken', 'AuthorizationCode', 'RefreshToken') AND grant_hash = ?`,
    ),
  },
  'revokes-in-memory': {
    flaw: 'keeps revocations in the memory of the process that was asked',
    breaks: ['what ended stays ended'],
    mix: ENDS,
    tamper: revokedInMemory(),
  },
  'finds-dead-grants': {
    flaw: 'looks at the token and forgets to look at its grant',
    breaks: ['what ended stays ended'],
    mix: ENDS,
    tamper: replaced(/^oidc_(family|tokens)_/, /AND (g\.)?dead_at IS NULL/g, ''),
  },
  'forgets-revoked-tokens': {
    flaw: 'acknowledges that an access token is revoked, and marks nothing',
    breaks: ['a revoked access token does not work'],
    mix: REVOCATIONS,
    tamper: acknowledged(/^oidc_kill_AccessToken/),
  },
  'forgets-revoked-jwts': {
    flaw: 'acknowledges that a JWT access token is revoked, and does not put it on the list',
    breaks: ['a revoked access token does not work'],
    mix: REVOCATIONS,
    tamper: acknowledged(/^revoked_add$/),
  },
  'trusts-jwts-of-dead-grants': {
    flaw: 'looks for a JWT on the list of revoked ones, and forgets to look at its grant',
    breaks: ['what ended stays ended'],
    mix: ENDS,
    tamper: replaced(/^revoked_check_grant/, 'g.dead_at IS NULL', 'true'),
  },
  'drops-retired-keys': {
    flaw: 'publishes a key for no longer than it signs',
    breaks: ['what was signed can be verified'],
    mix: { 'rotate-keys': 1, refresh: 10, renew: 5 },
    tamper: replaced(/^list-sealed-signing-keys/, `, 'retiring')`, `)`),
  },
  'sessions-without-lock': {
    flaw: 'saves a session whether or not it is still as it was read, so that parallel tabs overwrite each other',
    breaks: ['nothing acknowledged is lost'],
    mix: SESSIONS,
    tamper: inTurn(
      replaced(/^oidc_session_lock:/, 'FOR UPDATE OF s', ''),
      replaced(
        /^oidc_deferred_[^]*SET id_hash/,
        /(model = 'Session' [^()]*) AND xmin = \?::xid FOR UPDATE/,
        '$1 AND ?::xid IS NOT NULL',
      ),
    ),
  },
  'sessions-rise-again': {
    flaw: 'saves a session without looking whether it has ended',
    breaks: ['a session ends when it is ended, and only then', 'what ended stays ended'],
    mix: LOGOUTS,
    tamper: inTurn(
      replaced(/^oidc_session_lock:/, 'FOR UPDATE OF s', ''),
      replaced(
        /^oidc_deferred_[^]*SET id_hash/,
        /(model = 'Session' [^()]*) AND dead_at IS NULL AND xmin = \?::xid FOR UPDATE/,
        '$1 AND ?::xid IS NOT NULL',
      ),
      replaced(SAVES_SESSION, 'l.ended_at IS NULL AND', ''),
      replaced(SAVES_SESSION, /(SET id_hash[^]*) AND dead_at IS NULL/, '$1'),
      replaced(SAVES_SESSION, 'SET id_hash', 'SET dead_at = NULL, id_hash'),
    ),
  },
  'random-successors': {
    flaw: 'lets a refresh token be repeated, and gives another successor every time',
    breaks: ['a refresh token has one successor'],
    mix: TOKENS,
    forgetsSuccessors: true,
    tamper: inTurn(
      replaced(/^oidc_tokens_RefreshToken/, 'AND consumed_at IS NULL', ''),
      async (statement, run) => {
        const result = await run(statement);
        if (!statement.name.startsWith('oidc_family_RefreshToken')) return result;
        return { ...result, rows: result.rows.map((row) => ({ ...row, consumed_at: null })) };
      },
    ),
  },
  'no-grace': {
    flaw: 'does not know the successor of a refresh token any more when a client repeats itself',
    breaks: ['nothing acknowledged is lost'],
    mix: TOKENS,
    forgetsSuccessors: true,
  },
  'repeats-though-strict': {
    flaw: 'gives an answer again though it is told to repeat nothing',
    breaks: ['a strict refresh token works once'],
    mix: TOKENS,
    isStrict: true,
    tamper: async (statement, run) => {
      const result = await run(statement);
      if (!statement.name.startsWith('oidc_family_RefreshToken')) return result;
      const rows = result.rows.map((row) => ({ ...row, consumed_seconds_ago: row['consumed_at'] && -1 }));
      return { ...result, rows };
    },
  },
  'spares-families-though-strict': {
    flaw: 'refuses a used refresh token and lets its family live, though it is told to repeat nothing',
    breaks: ['what ended stays ended'],
    mix: { 'refresh-old': 10, refresh: 5, 'use-ended': 5 },
    isStrict: true,
    tamper: async (statement, run) => {
      const result = await run(statement);
      if (!statement.name.startsWith('oidc_family_RefreshToken')) return result;
      return withRows(result, ({ consumed_at: used }) => used === null);
    },
  },
  'not-found-on-failure': {
    flaw: 'answers "not found" when the database does not answer',
    breaks: ['nothing acknowledged is lost'],
    mix: { refresh: 10, introspect: 5, renew: 3 },
    faults: ['cut-connections', 'crash-database', 'cut-connections', 'crash-database'],
    tamper: async (statement, run) => {
      try {
        return await run(statement);
      } catch (err) {
        if (!statement.sql.trimStart().startsWith('SELECT')) throw err;
        return { rows: [], rowCount: 0 };
      }
    },
  },
  'waits-for-the-database': {
    flaw: 'waits for the database longer than anybody waits for an answer',
    breaks: ['every answer comes in time'],
    mix: { refresh: 10, introspect: 5, renew: 3 },
    faults: CRASHES,
    tamper: async (statement, run) => {
      try {
        return await run(statement);
      } catch (err) {
        await delay(MUCH_TOO_LONG_MS);
        throw err;
      }
    },
  },
  'does-not-say-when': {
    flaw: 'refuses without saying when to come back',
    breaks: ['a 503 says when to come back'],
    mix: { refresh: 10, introspect: 5, renew: 3 },
    faults: CRASHES,
    hidesRetryAfter: true,
  },
  'ignores-failed-commits': {
    flaw: 'answers as if everything were stored when the commit has failed',
    breaks: ['nothing acknowledged is lost', 'what ended stays ended', 'only expected answers'],
    mix: { renew: 20, introspect: 3, 'revoke-refresh': 10, 'use-ended': 5 },
    faults: ['lose-commits', 'lose-commits', 'lose-commits', 'lose-commits'],
    ignoresCommitErrors: true,
  },
  'acknowledges-too-early': {
    flaw: 'answers before what it answers is in the log of the database',
    breaks: ['nothing acknowledged is lost', 'what ended stays ended'],
    mix: { renew: 10, refresh: 20, 'revoke-refresh': 5 },
    faults: CRASHES,
    setting: 'synchronous_commit = off',
  },
} satisfies Record<string, BrokenAdapter>;

export type BrokenAdapterName = keyof typeof BROKEN_ADAPTERS;

type Tamper = NonNullable<BrokenAdapter['tamper']>;

/**
 * @param where matches the name and text of the statements that are to be changed
 * @throws when such a statement has changed so that the flaw does not fit into it any more
 */
function replaced(where: RegExp, part: string | RegExp, by: string): Tamper {
  return (statement, run) => {
    if (!where.test(`${statement.name}: ${statement.sql}`)) return run(statement);
    const sql = statement.sql.replace(part, by);
    if (sql === statement.sql) throw new Error(`the flaw does not fit ${statement.name}: ${statement.sql}`);
    return run({ ...statement, sql });
  };
}

/** The statement is not run, and looks as if it had changed the row it is about. */
function acknowledged(where: RegExp): Tamper {
  return (statement, run) =>
    where.test(statement.name)
      ? Promise.resolve({ rows: [{ account_id: null, client_id: null }], rowCount: 1 })
      : run(statement);
}

function inTurn(...tampers: Tamper[]): Tamper {
  return (statement, run) =>
    tampers.reduceRight<Run>((next, tamper) => (one) => tamper(one, next), run)(statement);
}

function revokedInMemory(): Tamper {
  const revoked = new Set<string>();
  return async (statement, run) => {
    if (statement.name === 'oidc_kill_Grant') {
      const hash = statement.bindings.find((value) => Buffer.isBuffer(value));
      if (hash) revoked.add(hash.toString('hex'));
      return { rows: [{ account_id: null, client_id: null }], rowCount: 1 };
    }
    const result = await run(statement);
    if (!statement.name.startsWith('oidc_family_')) return result;
    return withRows(
      result,
      ({ grant_id_hash: hash }) => !Buffer.isBuffer(hash) || !revoked.has(hash.toString('hex')),
    );
  };
}

function withRows({ rows }: Result, keep: (row: Record<string, unknown>) => boolean): Result {
  const kept = rows.filter(keep);
  return { rows: kept, rowCount: kept.length };
}
