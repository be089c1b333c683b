import type { Knex } from 'knex';

/** What people see of their browser sessions; see src/sessions/session.ts. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE user_sessions (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
      session_uid text NOT NULL,
      browser text,
      os text,
      device_kind text NOT NULL CHECK (device_kind IN ('desktop', 'mobile', 'tablet', 'other')),
      ip inet,
      methods text[] NOT NULL DEFAULT '{}',
      client_ids text[] NOT NULL DEFAULT '{}',
      login_ts bigint,
      authenticated_at timestamptz NOT NULL DEFAULT now(),
      last_seen_at timestamptz NOT NULL DEFAULT now(),
      ends_at timestamptz NOT NULL,
      ended_at timestamptz,
      end_reason text,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT user_sessions_tenant_id_session_uid_key UNIQUE (tenant_id, session_uid),
      CONSTRAINT user_sessions_ended_check CHECK ((ended_at IS NULL) = (end_reason IS NULL))
    ) WITH (fillfactor = 80);
    CREATE INDEX user_sessions_user_id_idx ON user_sessions (user_id, id);
    CREATE INDEX user_sessions_expires_at_idx ON user_sessions (expires_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE user_sessions');
}
