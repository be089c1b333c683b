import type { Knex } from 'knex';

const ROWS = 10_000;

const hash = (kind: string) => `sha256(('${kind}' || n)::bytea)`;
const soon = `now() + interval '1 day' + n * interval '1 second'`;
/** Of somebody else each time, so that no account has many. */
const USER = `(SELECT array_agg(id) FROM (SELECT id FROM users WHERE tenant_id = :tenant LIMIT 1000) people)`;
const userOf = `(SELECT ids[1 + n % array_length(ids, 1)] FROM of_users)`;
const SERIES = `FROM generate_series(1, ${ROWS}) AS n`;

/** The tables that `fillDatabase` of the bench leaves empty, since nothing it measures reads many of their rows. */
const FILLS = [
  `INSERT INTO attempt_counters (tenant_id, id_hash, expires_at) SELECT :tenant, ${hash('a')}, ${soon} ${SERIES}`,
  `INSERT INTO rate_counters (id_hash, amount, expires_at) SELECT ${hash('r')}, 1, ${soon} ${SERIES}`,
  `INSERT INTO replay_ids (tenant_id, id_hash, expires_at) SELECT :tenant, ${hash('j')}, ${soon} ${SERIES}`,
  `INSERT INTO revoked_tokens (tenant_id, id_hash, expires_at) SELECT :tenant, ${hash('v')}, ${soon} ${SERIES}`,
  `INSERT INTO login_states (tenant_id, id_hash, client_id, state_sealed, expires_at)
   SELECT :tenant, ${hash('l')}, 'app', 'sealed', ${soon} ${SERIES}`,
  `INSERT INTO idempotency_keys (tenant_id, id_hash, request_hash, expires_at)
   SELECT :tenant, ${hash('i')}, ${hash('q')}, ${soon} ${SERIES}`,
  `INSERT INTO logout_deliveries (id, tenant_id, client_id, account_id, next_attempt_at)
   SELECT gen_random_uuid(), :tenant, 'app', gen_random_uuid(), ${soon} ${SERIES}`,
  `INSERT INTO mails (id, tenant_id, recipient, template, locale, status, is_requested, idempotency_key, next_attempt_at, expires_at)
   SELECT gen_random_uuid(), :tenant, 'grown-' || n || '@example.com', 'password-reset', 'en',
          CASE WHEN n % 10 = 0 THEN 'queued' ELSE 'sent' END, true, 'key-' || n, ${soon}, ${soon} ${SERIES}`,
  `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, expires_at)
   SELECT :tenant, CASE WHEN n % 2 = 0 THEN 'Interaction' ELSE 'PushedAuthorizationRequest' END, ${hash('o')}, '{}', ${soon} ${SERIES}`,
  `INSERT INTO oidc_models (tenant_id, model, id_hash, payload, grant_hash, expires_at)
   SELECT :tenant, 'AccessToken', ${hash('t')}, '{}', ${hash('g')}, ${soon} ${SERIES}`,
  `WITH of_users AS (SELECT ${USER} AS ids)
   INSERT INTO one_time_tokens (id, tenant_id, purpose, token_hash, user_id, binding_hash, expires_at)
   SELECT gen_random_uuid(), :tenant, 'password-reset', ${hash('c')}, ${userOf}, ${hash('b')}, ${soon} ${SERIES}`,
  `WITH of_users AS (SELECT ${USER} AS ids)
   INSERT INTO user_sessions (id, tenant_id, user_id, session_uid, device_kind, ends_at, expires_at)
   SELECT gen_random_uuid(), :tenant, ${userOf}, 'uid-' || n, 'desktop', ${soon}, ${soon} ${SERIES}`,
  `WITH of_users AS (SELECT ${USER} AS ids)
   INSERT INTO data_exports (id, tenant_id, user_id, locale, content_sealed, ready_at, expires_at)
   SELECT gen_random_uuid(), :tenant, ${userOf}, 'en', 'sealed', now(), ${soon} ${SERIES}`,
  `INSERT INTO data_exports (id, tenant_id, user_id, locale, expires_at)
   SELECT gen_random_uuid(), :tenant, id, 'en', now() + interval '1 day' FROM users WHERE email LIKE 'grown-%'`,
  `INSERT INTO data_export_parts (export_id, tenant_id, position, content_sealed)
   SELECT id, tenant_id, 0, 'sealed' FROM data_exports WHERE ready_at IS NOT NULL`,
  `INSERT INTO user_preferences (user_id, tenant_id) SELECT id, tenant_id FROM users ON CONFLICT DO NOTHING`,
  `INSERT INTO account_deletions (user_id, tenant_id, due_at)
   SELECT id, tenant_id, now() + interval '1 day' FROM users WHERE email LIKE 'grown-%' ON CONFLICT DO NOTHING`,
];

/** But the token tables, which autovacuum leaves alone. */
const ANALYZED = [
  'attempt_counters',
  'rate_counters',
  'replay_ids',
  'revoked_tokens',
  'login_states',
  'idempotency_keys',
  'logout_deliveries',
  'mails',
  'oidc_models_ephemeral',
  'one_time_tokens',
  'user_sessions',
  'data_exports',
  'data_export_parts',
  'user_preferences',
  'account_deletions',
];

export async function fillOtherTables(db: Knex, tenantId: string): Promise<void> {
  for (const fill of FILLS) await db.raw(fill.replaceAll(':tenant', `'${tenantId}'::uuid`));
  await db.raw(`ANALYZE ${ANALYZED.join(', ')}`);
}
