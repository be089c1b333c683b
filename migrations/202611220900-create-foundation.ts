import type { Knex } from 'knex';

/**
 * Tenants, keys, clients, people, protocol state and events.
 *
 * Protocol state is one table partitioned by kind: grants, sessions and refresh tokens live long and
 * are updated in place, the rest is written once and expires within minutes, so each part gets the
 * indexes, fill factor and vacuum settings it needs.
 */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE tenants (
      id uuid PRIMARY KEY,
      slug text NOT NULL,
      name text NOT NULL,
      -- Raised with every change that needs a new provider: keys, features, branding.
      oidc_version integer NOT NULL DEFAULT 1,
      -- Raised with every change of what replicas cache: clients, resources.
      config_version integer NOT NULL DEFAULT 1,
      disabled_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      deleted_at timestamptz,
      CONSTRAINT tenants_slug_key UNIQUE (slug),
      -- {0,1} because knex takes a question mark for a binding.
      CONSTRAINT tenants_slug_check CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9]){0,1}$')
    );

    CREATE TABLE signing_keys (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      kid text NOT NULL,
      alg text NOT NULL,
      status text NOT NULL,
      public_jwk jsonb NOT NULL,
      -- Gone once the key is: a key that signs nothing any more keeps no private half.
      private_jwk_sealed text,
      activated_at timestamptz,
      retired_at timestamptz,
      removed_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT signing_keys_tenant_id_kid_key UNIQUE (tenant_id, kid),
      CONSTRAINT signing_keys_alg_check CHECK (alg IN ('RS256', 'ES256', 'EdDSA')),
      CONSTRAINT signing_keys_status_check CHECK (status IN ('next', 'current', 'retiring', 'gone', 'revoked')),
      CONSTRAINT signing_keys_private_check CHECK ((status IN ('gone', 'revoked')) = (private_jwk_sealed IS NULL))
    );
    CREATE UNIQUE INDEX signing_keys_current_key ON signing_keys (tenant_id, alg) WHERE status = 'current';
    CREATE UNIQUE INDEX signing_keys_next_key ON signing_keys (tenant_id, alg) WHERE status = 'next';

    CREATE TABLE clients (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      client_id text NOT NULL,
      name text NOT NULL,
      -- Client metadata in the names of OpenID Connect Dynamic Client Registration.
      metadata jsonb NOT NULL,
      first_party boolean NOT NULL DEFAULT false,
      default_scope text,
      default_resource text,
      disabled_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      deleted_at timestamptz,
      -- An id is never given out again, not even after its client was deleted.
      CONSTRAINT clients_tenant_id_client_id_key UNIQUE (tenant_id, client_id)
    );

    CREATE TABLE client_secrets (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      client_uuid uuid NOT NULL REFERENCES clients ON DELETE CASCADE,
      secret_hash bytea NOT NULL,
      hint text NOT NULL,
      expires_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX client_secrets_client_uuid_idx ON client_secrets (client_uuid);

    CREATE TABLE resources (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      identifier text NOT NULL,
      name text NOT NULL,
      scopes jsonb NOT NULL DEFAULT '[]',
      access_token_format text NOT NULL DEFAULT 'jwt',
      access_token_ttl_seconds integer,
      signing_alg text,
      -- Clients that speak for this resource, so may introspect its tokens.
      introspection_client_ids text[] NOT NULL DEFAULT '{}',
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      deleted_at timestamptz,
      CONSTRAINT resources_access_token_format_check CHECK (access_token_format IN ('jwt', 'opaque')),
      CONSTRAINT resources_signing_alg_check CHECK (signing_alg IN ('RS256', 'ES256', 'EdDSA')),
      CONSTRAINT resources_access_token_ttl_seconds_check CHECK (access_token_ttl_seconds BETWEEN 10 AND 86400)
    );
    CREATE UNIQUE INDEX resources_tenant_id_identifier_key ON resources (tenant_id, identifier) WHERE deleted_at IS NULL;

    CREATE TABLE users (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      status text NOT NULL DEFAULT 'active',
      -- As the person typed it; compared in lower case.
      email text NOT NULL,
      email_verified_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      deleted_at timestamptz,
      CONSTRAINT users_status_check CHECK (status IN ('pending', 'active', 'locked', 'disabled', 'deleted')),
      CONSTRAINT users_deleted_check CHECK ((status = 'deleted') = (deleted_at IS NOT NULL))
    );
    CREATE UNIQUE INDEX users_tenant_id_email_key ON users (tenant_id, lower(email)) WHERE deleted_at IS NULL;
    CREATE INDEX users_tenant_id_id_idx ON users (tenant_id, id);

    CREATE TABLE user_profiles (
      user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
      tenant_id uuid NOT NULL REFERENCES tenants,
      -- Standard claims (OpenID Connect Core §5.1) that no other column holds.
      claims jsonb NOT NULL DEFAULT '{}',
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );

    CREATE TABLE password_credentials (
      user_id uuid PRIMARY KEY REFERENCES users ON DELETE CASCADE,
      tenant_id uuid NOT NULL REFERENCES tenants,
      hash text NOT NULL,
      pepper_id text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );

    CREATE TABLE roles (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      name text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT roles_tenant_id_name_key UNIQUE (tenant_id, name)
    );

    CREATE TABLE role_assignments (
      role_id uuid NOT NULL REFERENCES roles ON DELETE CASCADE,
      user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
      tenant_id uuid NOT NULL REFERENCES tenants,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (role_id, user_id)
    );
    CREATE INDEX role_assignments_user_id_idx ON role_assignments (user_id);

    CREATE TABLE consents (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
      client_id text NOT NULL,
      scopes text[] NOT NULL DEFAULT '{}',
      claims text[] NOT NULL DEFAULT '{}',
      -- Resource indicator -> scopes.
      resources jsonb NOT NULL DEFAULT '{}',
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT consents_user_id_client_id_key UNIQUE (tenant_id, user_id, client_id)
    );

    CREATE TABLE one_time_tokens (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      purpose text NOT NULL,
      token_hash bytea NOT NULL,
      user_id uuid REFERENCES users ON DELETE CASCADE,
      expires_at timestamptz NOT NULL,
      consumed_at timestamptz,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT one_time_tokens_token_hash_key UNIQUE (token_hash)
    );
    CREATE INDEX one_time_tokens_expires_at_idx ON one_time_tokens (expires_at);

    CREATE TABLE events (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      type text NOT NULL,
      actor_type text NOT NULL,
      actor_id text,
      target_type text,
      target_id text,
      reason text,
      data jsonb NOT NULL DEFAULT '{}',
      ip inet,
      user_agent text,
      correlation_id text,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX events_tenant_id_id_idx ON events (tenant_id, id);
    CREATE INDEX events_target_idx ON events (tenant_id, target_type, target_id, id);

    CREATE TABLE oidc_models (
      tenant_id uuid NOT NULL,
      model text NOT NULL,
      -- SHA-256 of the id: whoever reads the table holds no usable token.
      id_hash bytea NOT NULL,
      payload jsonb NOT NULL,
      grant_hash bytea,
      session_uid text,
      account_id uuid,
      client_id text,
      consumed_at timestamptz,
      -- A tombstone: the row stays, dead, until it would have expired.
      dead_at timestamptz,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, model, id_hash)
    ) PARTITION BY LIST (model);

    CREATE TABLE oidc_models_grants PARTITION OF oidc_models FOR VALUES IN ('Grant') WITH (fillfactor = 80);
    CREATE INDEX oidc_models_grants_account_idx ON oidc_models_grants (tenant_id, account_id);
    CREATE INDEX oidc_models_grants_client_idx ON oidc_models_grants (tenant_id, client_id);
    CREATE INDEX oidc_models_grants_expires_at_idx ON oidc_models_grants (expires_at);

    CREATE TABLE oidc_models_sessions PARTITION OF oidc_models FOR VALUES IN ('Session') WITH (fillfactor = 80);
    CREATE UNIQUE INDEX oidc_models_sessions_uid_key ON oidc_models_sessions (tenant_id, session_uid);
    CREATE INDEX oidc_models_sessions_account_idx ON oidc_models_sessions (tenant_id, account_id) WHERE account_id IS NOT NULL;
    CREATE INDEX oidc_models_sessions_expires_at_idx ON oidc_models_sessions (expires_at);

    CREATE TABLE oidc_models_refresh_tokens PARTITION OF oidc_models FOR VALUES IN ('RefreshToken') WITH (fillfactor = 80);
    CREATE INDEX oidc_models_refresh_tokens_expires_at_idx ON oidc_models_refresh_tokens (expires_at);

    CREATE TABLE oidc_models_ephemeral PARTITION OF oidc_models DEFAULT;
    CREATE INDEX oidc_models_ephemeral_expires_at_idx ON oidc_models_ephemeral (expires_at);

    CREATE TABLE replay_ids (
      tenant_id uuid NOT NULL,
      id_hash bytea NOT NULL,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, id_hash)
    );
    CREATE INDEX replay_ids_expires_at_idx ON replay_ids (expires_at);

    CREATE TABLE revoked_tokens (
      tenant_id uuid NOT NULL,
      id_hash bytea NOT NULL,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, id_hash)
    );
    CREATE INDEX revoked_tokens_expires_at_idx ON revoked_tokens (expires_at);

    CREATE TABLE login_states (
      tenant_id uuid NOT NULL,
      -- SHA-256 of the interaction's uid.
      id_hash bytea NOT NULL,
      client_id text NOT NULL,
      state_sealed text NOT NULL,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (tenant_id, id_hash)
    );
    CREATE INDEX login_states_expires_at_idx ON login_states (expires_at);

    CREATE TABLE logout_deliveries (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      client_id text NOT NULL,
      account_id uuid NOT NULL,
      sid text,
      attempts integer NOT NULL DEFAULT 0,
      next_attempt_at timestamptz NOT NULL DEFAULT now(),
      last_error text,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now()
    );
    CREATE INDEX logout_deliveries_next_attempt_at_idx ON logout_deliveries (next_attempt_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw(`
    DROP TABLE logout_deliveries, login_states, revoked_tokens, replay_ids, oidc_models, events,
      one_time_tokens, consents, role_assignments, roles, password_credentials, user_profiles, users,
      resources, client_secrets, clients, signing_keys, tenants;
  `);
}
