import type { Knex } from 'knex';
import { createDatabase } from '../../src/db/database.ts';

/**
 * Makes a database as large as years of use: people with profile, password, consents, grants, a refresh
 * token for each grant, sessions and events. The rows are those the server writes, in its own tables and
 * with all indexes in place, made by the database itself from a series of numbers.
 */

export interface Size {
  users: number;
  grantsPerUser: number;
  sessionsPerUser: number;
  eventsPerUser: number;
}

/** Of one statement: it reads back nothing, and what it writes fits into memory. */
const USERS_PER_STATEMENT = 10_000;
const CONNECTIONS = 4;
/** But the token tables, which autovacuum leaves alone. */
const FILLED = [
  'users',
  'user_profiles',
  'password_credentials',
  'consents',
  'oidc_models_grants',
  'oidc_models_sessions',
  'events',
];
const GRANT_SECONDS = 180 * 86_400;
const CHAIN_SECONDS = 90 * 86_400;
const SESSION_SECONDS = 14 * 86_400;
/** A sixth of what a chain is kept, as in src/oidc/adapter/token-slots.ts. */
const SLOT_SECONDS = CHAIN_SECONDS / 6;

/** A UUIDv7 by its number: in order, as the server's are, one a second. */
const uuid = (kind: string, number: string) =>
  `(lpad(to_hex(1700000000000 + ${number}::bigint * 1000), 12, '0') || '7${kind}8' || lpad(to_hex(${number}::bigint), 15, '0'))::uuid`;

const hash = (text: string) => `sha256((${text})::bytea)`;
/** A share of `seconds` from now on, the same for the same text. */
const within = (seconds: number, text: string) =>
  `now() + ${seconds} * (0.001 + 0.999 * (hashtext(${text})::float8 + 2147483648) / 4294967296) * interval '1 second'`;

const USER_ID = uuid('0aa', 'u');
/** Of the last weeks, since that is what people are shown: an event every eight days. */
const EVENT_ID = `(lpad(to_hex(floor(extract(epoch FROM now()) * 1000)::bigint - (e - 1) * 691200000::bigint - u), 12, '0')
  || '7ee0' || '8' || lpad(to_hex(e::bigint * 10000000 + u), 15, '0'))::uuid`;
const SERIES = 'FROM generate_series(?::int, ?::int) AS u';

/** What each statement makes for the people of a range; `:tenant`, `:client` and `:password` are those of the bench. */
function statements({ grantsPerUser, sessionsPerUser, eventsPerUser }: Size): string[] {
  const grants = `${SERIES} CROSS JOIN generate_series(1, ${grantsPerUser}) AS g`;
  const client = `CASE WHEN g = 1 THEN :client ELSE 'app-' || g END`;
  const grantId = `'grant-' || u || '-' || g`;
  return [
    `INSERT INTO users (id, tenant_id, email, email_verified_at)
     SELECT ${USER_ID}, :tenant, ${emailOf('u')}, now() ${SERIES}`,
    `INSERT INTO user_profiles (user_id, tenant_id, claims)
     SELECT ${USER_ID}, :tenant, jsonb_build_object('given_name', 'Given ' || u, 'family_name', 'Family ' || u % 5000, 'locale', 'en') ${SERIES}`,
    `INSERT INTO password_credentials (user_id, tenant_id, hash, pepper_id)
     SELECT ${USER_ID}, :tenant, known.hash, known.pepper_id ${SERIES}
      CROSS JOIN (SELECT hash, pepper_id FROM password_credentials WHERE user_id = :password) known`,
    `INSERT INTO consents (id, tenant_id, user_id, client_id, scopes)
     SELECT ${uuid('0cc', `(u::bigint * ${grantsPerUser} + g)`)}, :tenant, ${USER_ID}, ${client}, ARRAY['openid', 'email', 'things:read'] ${grants}`,
    `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, account_id, client_id, expires_at)
     SELECT :tenant, 'Grant', ${hash(grantId)},
            jsonb_build_object('iat', 1764000000, 'exp', 1780000000, 'kind', 'Grant', 'accountId', ${USER_ID}, 'clientId', ${client},
              'openid', jsonb_build_object('scope', 'openid email'), 'resources', jsonb_build_object('https://rs256.bench.example', 'things:read')),
            ${USER_ID}, ${client}, ${within(GRANT_SECONDS, `'g' || u || g`)} ${grants}`,
    // In the slot of its expiry, as the server draws it.
    `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, grant_hash, account_id, client_id, expires_at)
     SELECT :tenant, 'RefreshToken',
            set_byte(${hash(`'rt' || u || '-' || g`)}, 0,
              (floor(extract(epoch FROM expires) / ${SLOT_SECONDS})::bigint % 8)::int * 32 + (hashtext('s' || u || g) & 31)),
            jsonb_build_object('iat', 1764000000, 'exp', 1780000000, 'iiat', 1764000000, 'kind', 'RefreshToken', 'gty', 'authorization_code',
              'grantId', ${grantId}, 'accountId', ${USER_ID}, 'clientId', ${client}, 'scope', 'openid email things:read',
              'authTime', 1764000000, 'sessionUid', 'session-' || u || '-1', 'resource', 'https://rs256.bench.example', 'rotations', 0, 'nonce', md5('n' || u)),
            ${hash(grantId)}, ${USER_ID}, ${client}, expires
       FROM (SELECT u, g, ${within(CHAIN_SECONDS, `'r' || u || g`)} AS expires ${grants}) chains`,
    `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, session_uid, account_id, expires_at)
     SELECT :tenant, 'Session', ${hash(`'session' || u || '-' || s`)},
            jsonb_build_object('iat', 1764000000, 'exp', 1780000000, 'kind', 'Session', 'uid', 'session-' || u || '-' || s, 'accountId', ${USER_ID},
              'loginTs', 1764000000, 'amr', jsonb_build_array('pwd'), 'authorizations', jsonb_build_object(
                :client, jsonb_build_object('sid', md5('sid' || u || s), 'grantId', 'grant-' || u || '-1', 'persistsLogout', false),
                'app-2', jsonb_build_object('sid', md5('sid2' || u || s), 'grantId', 'grant-' || u || '-2', 'persistsLogout', false))),
            'session-' || u || '-' || s, ${USER_ID}, ${within(SESSION_SECONDS, `'s' || u || s`)}
       ${SERIES} CROSS JOIN generate_series(1, ${sessionsPerUser}) AS s`,
    `INSERT INTO events (id, tenant_id, type, actor_type, actor_id, target_type, target_id, data, ip, user_agent, correlation_id)
     SELECT ${EVENT_ID}, :tenant, 'user.login', 'user', (${USER_ID})::text, 'user', (${USER_ID})::text,
            jsonb_build_object('client_id', :client, 'amr', jsonb_build_array('pwd')), '192.0.2.1', 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36', md5('c' || u || e)
       ${SERIES} CROSS JOIN generate_series(1, ${eventsPerUser}) AS e`,
  ];
}

function emailOf(number: string): string {
  return `'grown-' || ${number} || '@example.com'`;
}

/** The address of the person with that number, from 1 on; the password is the bench's. */
export function grownEmail(number: number): string {
  return `grown-${number}@example.com`;
}

/**
 * @param url of the database, migrated, with the bench's own fixtures in it
 * @param fixtures the tenant, the client everybody uses, and a person whose password everybody gets
 * @returns how long it took and how large the database is
 */
export async function fillDatabase(
  url: string,
  size: Size,
  fixtures: { tenantId: string; clientId: string; passwordOf: string },
): Promise<{ seconds: number; bytes: number }> {
  const startedAt = performance.now();
  const timeoutMs = 3_600_000;
  const db = createDatabase({
    url,
    poolMax: CONNECTIONS,
    statementTimeoutMs: timeoutMs,
    lockTimeoutMs: timeoutMs,
    acquireTimeoutMs: timeoutMs,
  });
  try {
    const literals = await Promise.all(
      [`${fixtures.tenantId}`, fixtures.clientId, fixtures.passwordOf].map((text) => quoted(db, text)),
    );
    const [tenant = '', client = '', password = ''] = literals;
    const texts = statements(size).map((sql) =>
      sql
        .replaceAll(':tenant', `${tenant}::uuid`)
        .replaceAll(':client', `${client}::text`)
        .replaceAll(':password', `${password}::uuid`),
    );
    const ranges = rangesOf(size.users);
    const fill = async () => {
      for (let range = ranges.pop(); range; range = ranges.pop()) {
        const bounds = range;
        await db.transaction(async (trx) => {
          await trx.raw('SET LOCAL synchronous_commit = off');
          for (const text of texts) await trx.raw(text, bounds);
        });
      }
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, fill));
    // What autovacuum would have done over the years.
    await db.raw(`VACUUM (ANALYZE) ${FILLED.join(', ')}`);
    const { rows } = await db.raw('SELECT pg_database_size(current_database())::float8 AS bytes');
    return { seconds: (performance.now() - startedAt) / 1000, bytes: rows[0].bytes };
  } finally {
    await db.destroy();
  }
}

/** Of the numbers of people, the lowest last. */
function rangesOf(users: number): [number, number][] {
  const count = Math.ceil(users / USERS_PER_STATEMENT);
  return Array.from({ length: count }, (_, index): [number, number] => [
    index * USERS_PER_STATEMENT + 1,
    Math.min((index + 1) * USERS_PER_STATEMENT, users),
  ]).toReversed();
}

async function quoted(db: Knex, text: string): Promise<string> {
  const { rows } = await db.raw('SELECT quote_literal(?::text) AS literal', [text]);
  return rows[0].literal;
}
