import { randomBytes } from 'node:crypto';
import type { Knex } from 'knex';
import type { Actor } from '../../src/http/actor.ts';
import type { User } from '../../src/users/user.ts';
import { GOOD_PASSWORD, startTestApp } from './app.ts';
import type { TestApp, TestTenant } from './app.ts';
import { migratedDatabase } from './database.ts';
import { startSmtpSink } from './smtp-sink.ts';
import type { SmtpSink } from './smtp-sink.ts';

/** What the application needs to send mails that arrive. */
export interface Postbox {
  /** One of its own: the delivery takes whatever is due, of every tenant. */
  db: Knex;
  /** Of the database. */
  url: string;
  sink: SmtpSink;
  env: Record<string, string>;
  close(): Promise<void>;
}

export async function startPostbox(): Promise<Postbox> {
  const own = await migratedDatabase();
  const sink = await startSmtpSink();
  return {
    db: own.db,
    url: own.url,
    sink,
    env: { SMTP_URL: sink.url },
    async close() {
      await sink.close();
      await own.drop();
    },
  };
}

/** The application with a tenant, whose mails arrive at a mail server. */
export interface MailApp {
  app: TestApp;
  tenant: TestTenant;
  sink: SmtpSink;
  /** A visitor of the tenant. */
  anyone: () => Actor;
  /** Somebody new with an account, whose address is not verified. */
  person: () => Promise<User>;
  close(): Promise<void>;
}

export async function startMailApp(): Promise<MailApp> {
  const postbox = await startPostbox();
  const { db, sink, env } = postbox;
  const app = await startTestApp({ db, env });
  const tenant = await app.tenant();
  return {
    app,
    tenant,
    sink,
    anyone: () => ({ ...tenant.actor, type: 'anonymous' }),
    person: () => app.services.users.create(tenant.actor, { email: newAddress(), password: GOOD_PASSWORD }),
    async close() {
      await app.close();
      await postbox.close();
    },
  };
}

export function newAddress(domain = 'example.com'): string {
  return `${randomBytes(4).toString('hex')}@${domain}`;
}
