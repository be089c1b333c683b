/**
 * Every table that says something about a person, and what of it they get when they ask for their data. A
 * test compares this with the schema, so that no new table and no new column is forgotten.
 */
export interface PersonalTable {
  table: string;
  /** Selects the person's rows; takes what `bindings` says. */
  where: string;
  bindings: readonly ('tenantId' | 'userId' | 'email')[];
  columns: readonly string[];
  /** Tells the person's rows apart and orders them, where there can be more than one. */
  key?: string;
  /** Not theirs to read: secrets, and what is only of use to the server. */
  withheld: readonly string[];
}

const OWN = { where: 'tenant_id = ? AND user_id = ?', bindings: ['tenantId', 'userId'] } as const;
const INTERNAL = ['tenant_id', 'user_id'];

export const PERSONAL_TABLES: readonly PersonalTable[] = [
  {
    table: 'users',
    where: 'tenant_id = ? AND id = ?',
    bindings: ['tenantId', 'userId'],
    columns: [
      'id',
      'status',
      'email',
      'email_verified_at',
      'created_at',
      'updated_at',
      'lock_cause',
      'locked_until',
    ],
    withheld: ['tenant_id', 'deleted_at', 'access_version'],
  },
  {
    table: 'user_profiles',
    ...OWN,
    columns: ['claims', 'asked_at', 'created_at', 'updated_at'],
    withheld: INTERNAL,
  },
  {
    table: 'user_preferences',
    ...OWN,
    columns: ['preferences', 'created_at', 'updated_at'],
    withheld: INTERNAL,
  },
  {
    table: 'password_credentials',
    ...OWN,
    columns: ['is_temporary', 'created_at', 'updated_at'],
    withheld: [...INTERNAL, 'hash', 'pepper_id'],
  },
  {
    table: 'user_sessions',
    ...OWN,
    key: 'id',
    columns: [
      'id',
      'browser',
      'os',
      'device_kind',
      'ip',
      'methods',
      'client_ids',
      'authenticated_at',
      'last_seen_at',
      'ends_at',
      'ended_at',
      'end_reason',
      'created_at',
    ],
    withheld: [...INTERNAL, 'session_uid', 'login_ts', 'expires_at', 'updated_at'],
  },
  {
    table: 'consents',
    ...OWN,
    key: 'id',
    columns: ['client_id', 'scopes', 'claims', 'resources', 'created_at', 'updated_at'],
    withheld: ['id', ...INTERNAL],
  },
  {
    table: 'role_assignments',
    ...OWN,
    key: 'role_id',
    columns: ['role_id', 'created_at'],
    withheld: [...INTERNAL, 'updated_at'],
  },
  {
    table: 'data_exports',
    ...OWN,
    key: 'id',
    columns: ['created_at', 'ready_at', 'expires_at'],
    withheld: ['id', ...INTERNAL, 'locale', 'content_sealed', 'updated_at'],
  },
  {
    table: 'account_deletions',
    ...OWN,
    columns: ['due_at', 'created_at'],
    withheld: [...INTERNAL, 'updated_at'],
  },
  {
    table: 'mails',
    // As it was typed, which need not be as the account has it.
    where: 'tenant_id = ? AND lower(recipient) = lower(?)',
    bindings: ['tenantId', 'email'],
    key: 'id',
    columns: ['recipient', 'template', 'locale', 'status', 'sent_at', 'created_at'],
    withheld: [
      'id',
      'tenant_id',
      'data_sealed',
      'is_requested',
      'idempotency_key',
      'attempts',
      'next_attempt_at',
      'last_error',
      'expires_at',
      'updated_at',
    ],
  },
  {
    table: 'events',
    // What others did to the account counts as well, but not where from, and not who: see personal-rows.ts.
    where: 'tenant_id = ? AND ? IN (actor_id, target_id)',
    bindings: ['tenantId', 'userId'],
    columns: ['id', 'type', 'reason', 'ip', 'user_agent', 'created_at'],
    withheld: [
      'tenant_id',
      'actor_type',
      'actor_id',
      'target_type',
      'target_id',
      'data',
      'correlation_id',
      'updated_at',
    ],
  },
];

/** Tables about people that hold nothing for them to read. */
export const NOT_PERSONAL: Readonly<Record<string, string>> = {
  oidc_models: 'short-lived protocol state; what lasts of it is in user_sessions and consents',
  one_time_tokens: 'codes under way, for minutes',
  logout_deliveries: 'messages under way to apps',
};
