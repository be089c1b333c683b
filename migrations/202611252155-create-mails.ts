import type { Knex } from 'knex';

/** Mails on their way out; see src/notifications/mail-outbox.ts. */
export async function up(knex: Knex): Promise<void> {
  await knex.raw(`
    CREATE TABLE mails (
      id uuid PRIMARY KEY,
      tenant_id uuid NOT NULL REFERENCES tenants,
      recipient text NOT NULL,
      template text NOT NULL,
      locale text NOT NULL,
      -- What the template fills in: codes and links. Gone once the mail is.
      data_sealed text,
      status text NOT NULL DEFAULT 'queued',
      -- Anybody may have asked for it, so it counts against the limit of its recipient.
      is_requested boolean NOT NULL,
      idempotency_key text NOT NULL,
      attempts integer NOT NULL DEFAULT 0,
      next_attempt_at timestamptz NOT NULL DEFAULT now(),
      sent_at timestamptz,
      last_error text,
      expires_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT mails_idempotency_key UNIQUE (tenant_id, idempotency_key),
      CONSTRAINT mails_status_check CHECK (status IN ('queued', 'sending', 'sent', 'failed', 'withheld'))
    );
    CREATE INDEX mails_due_idx ON mails (next_attempt_at) WHERE status IN ('queued', 'sending');
    CREATE INDEX mails_recipient_idx ON mails (tenant_id, lower(recipient), created_at) WHERE is_requested;
    CREATE INDEX mails_expires_at_idx ON mails (expires_at);
  `);
}

export async function down(knex: Knex): Promise<void> {
  await knex.raw('DROP TABLE mails');
}
